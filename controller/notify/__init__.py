"""Notifications: a process beside the core takes messages from the outbox and delivers each at least once.

    depot database (read only) --outbox--> Courier --> Channel (webhook, e-mail)
                                              |
                                  <depot>-notify.db: how far each message got on each channel

The core never waits for it, and it never writes where the journal does.
"""
