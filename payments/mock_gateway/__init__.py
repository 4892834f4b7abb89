"""A payment gateway of our own, in the shape of Razorpay's API, with books of its own. For demo and tests: no money.

    settings   how it behaves, and how it misbehaves; seeded
    books      its database: what a judge reads
    bank       what happens to mandates, notices, debits and refunds
    sender     webhooks: signed, repeated, doubled, out of order
    api        the gateway's HTTP API
    driver     a page that plays the driver's UPI app
    serve      all of it as a process

It shares no code with the room that it is tested against, except for the store and the room's base error.
"""
