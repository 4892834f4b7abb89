"""Money: from a driver's UPI AutoPay mandate to one debit per bill, with a ledger whose sum is zero.

    states     mandate, notification, payment, refund, and what they make of a bill; pure, order-free
    reasons    why a payment fails, and what to do about it
    rules      what regulator and network allow: notice, execution windows, caps, retries; pure
    gate       may this driver charge now, and for how much; pure
    money      a session's bill in integer paise; pure
    debits     the next step of a bill towards its one debit; pure
    ledger     double entry, append-only
    gateway    the gateway as a port: requests, entities, outcomes
    razorpay   that port over HTTP, in the shape of Razorpay's API
    keys       the gateway's secrets, and the guard that keeps live keys and mocks apart
    records    the room's rows, read and changed in units of work
    terms      what the operator decides: credit, taxes, rules
    mandates   drivers' instruments: opened, looked at, ended
    service    what the depot calls: gate, metered sessions, refunds
    payers     whose tag starts whose sessions
    privacy    contact data sealed, masked, found by a keyed index; pure but for the random nonce
    contacts   the list of drivers' contact data: kept sealed, told to the driver, erased
    overview   what a person wants to see: mandates, bills, debits, the ledger's sums
    tallies    how often, and when last: webhooks turned away, answers of the gateway
    collector  carries a bill's steps out: one intent, one debit, look-up after any doubt
    worker     finds what is due: bills, refunds, mandates, the hourly look at everything
    webhooks   what the gateway tells: verified, kept once, applied in any order
    process    worker and webhook receiver as one process per depot
    mock_gateway   a gateway of our own with books of its own, for demo and tests

Errors:

    PaymentsError
    ├── InvalidBill        a bill that cannot be right
    ├── InvalidTariff      a driver's tariff that cannot be right, or says what is not supported
    ├── InvalidEntry       a ledger entry that cannot be right
    ├── UnsafeKeys         a live key with a mock's address, or the reverse; or no usable key
    ├── UnknownRecord      no such driver, mandate or bill
    ├── Refused            the request contradicts what is stored; the message says what to do
    ├── UnreadableContact  sealed contact data that none of the keys opens (payments.privacy)
    └── GatewayTrouble     the gateway refused, or did not answer, where the caller has to know at once
"""


class PaymentsError(Exception):
    """Root of this room's errors."""


class InvalidBill(PaymentsError):
    """A bill that cannot be right."""


class InvalidTariff(PaymentsError):
    """A driver's tariff that cannot be right, or says what is not supported."""


class InvalidEntry(PaymentsError):
    """A ledger entry that cannot be right."""


class UnsafeKeys(PaymentsError):
    """A live key with a mock's address, or the reverse; or no usable key."""


class UnknownRecord(PaymentsError):
    """No such driver, mandate or bill."""


class Refused(PaymentsError):
    """The request contradicts what is stored; the message says what to do."""


class GatewayTrouble(PaymentsError):
    """The gateway refused, or did not answer, where the caller has to know at once."""
