"""A payment gateway of our own, in the shape of Razorpay's API, with books of its own. For demo and tests: no money.

    settings   how it behaves, and how it misbehaves by chance; profiles by name; seeded
    faults     what can be asked to go wrong
    npci       what regulator and network allow: windows, cycles, caps, reasons; pure
    books      its database: what a judge reads
    entities   rows as the API shows them
    desk       what all parts share: books, clock, faults, telling by webhook
    mandates   asked for, approved, paused, ended; blocks
    debits     accepted, queued, decided; notices before them
    refunds    money back
    settling   the merchant's money, with a report
    bank       all of that as time passes
    sender     webhooks leave: repeated, until they are disabled
    bodies     what the API takes
    frame      errors in the real one's shape, answers that go wrong
    api        the gateway's HTTP API
    driver     pages that play the driver's UPI app
    lab        the page of the gateway itself
    control    the same for programs
    guard      who may press buttons
    serve      all of it as a process

It shares no code with the room that it is tested against, except for the store.
"""
