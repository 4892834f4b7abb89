"""Double entry, append-only, integer paise.

An entry is made of transfers, each of which debits one account and credits another by the same amount: its sum is zero
by construction. :func:`check` proves it for what is stored. Nothing is changed or deleted (the tables refuse it);
mistakes are corrected by further entries. Debits are positive. An entry's ``key`` says what it is about
(``capture:pay_…``), and a second entry with the same key is not made: repeats are harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, col, func, select

from payments import InvalidEntry
from payments.money import Bill
from payments.tables import EntryRow, PostingRow
from payments.times import to_ms

__all__ = [
    "Account",
    "Check",
    "Entry",
    "Transfer",
    "balance",
    "captured",
    "check",
    "credited",
    "invoiced",
    "post",
    "recovered",
    "refunded",
    "unallocated",
    "written_off",
]


class Account(StrEnum):
    """The accounts. RECEIVABLE and REFUNDS_DUE are kept per driver."""

    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    CGST = "cgst"
    SGST = "sgst"
    IGST = "igst"
    ROUND_OFF = "round_off"
    CLEARING = "gateway_clearing"
    FEES = "fees"
    REFUNDS_DUE = "refunds_due"
    BAD_DEBTS = "bad_debts"


_PER_DRIVER = (Account.RECEIVABLE, Account.REFUNDS_DUE)


@dataclass(frozen=True, slots=True)
class Transfer:
    """``amount_paise`` > 0 from ``credit`` to ``debit``."""

    debit: Account
    credit: Account
    amount_paise: int

    def __post_init__(self) -> None:
        if self.amount_paise <= 0 or self.debit is self.credit:
            raise InvalidEntry(f"a transfer of {self.amount_paise} paise from {self.credit} to {self.debit}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of money. ``party``: the driver, for the accounts that are kept per driver."""

    key: str
    at: datetime
    memo: str
    party: str
    transfers: tuple[Transfer, ...]

    def __post_init__(self) -> None:
        if not self.transfers:
            raise InvalidEntry(f"entry {self.key} moves nothing")

    @property
    def postings(self) -> list[tuple[Account, int]]:
        """Two lines a transfer: the debit, then the credit."""
        return [line for t in self.transfers for line in ((t.debit, t.amount_paise), (t.credit, -t.amount_paise))]


def invoiced(bill_id: str, driver_id: str, bill: Bill, at: datetime) -> Entry:
    """The driver owes the bill."""
    return Entry(f"invoice:{bill_id}", at, "session invoiced", driver_id, _transfers(bill, Account.RECEIVABLE))


def captured(payment_id: str, driver_id: str, amount_paise: int, at: datetime) -> Entry:
    """The gateway has taken what the driver owed; it owes us until settlement."""
    transfer = Transfer(Account.CLEARING, Account.RECEIVABLE, amount_paise)
    return Entry(f"capture:{payment_id}", at, "debit captured", driver_id, (transfer,))


def unallocated(payment_id: str, driver_id: str, amount_paise: int, at: datetime) -> Entry:
    """The gateway has taken money that no bill asks for (a doubled debit): it is the driver's."""
    transfer = Transfer(Account.CLEARING, Account.REFUNDS_DUE, amount_paise)
    return Entry(f"capture:{payment_id}", at, "debit captured that no bill asks for", driver_id, (transfer,))


def credited(bill_id: str, driver_id: str, bill: Bill, at: datetime) -> Entry:
    """Credit note for a paid bill as a whole: revenue and taxes go back, the driver is due a refund."""
    reverse = tuple(Transfer(t.credit, t.debit, t.amount_paise) for t in _transfers(bill, Account.REFUNDS_DUE))
    return Entry(f"credit:{bill_id}", at, "credit note", driver_id, reverse)


def refunded(refund_id: str, driver_id: str, amount_paise: int, at: datetime) -> Entry:
    """The gateway has given money back to the driver."""
    transfer = Transfer(Account.REFUNDS_DUE, Account.CLEARING, amount_paise)
    return Entry(f"refund:{refund_id}", at, "refund processed", driver_id, (transfer,))


def written_off(bill_id: str, driver_id: str, amount_paise: int, why: str, at: datetime) -> Entry:
    """The driver's debt is given up."""
    transfer = Transfer(Account.BAD_DEBTS, Account.RECEIVABLE, amount_paise)
    return Entry(f"writeoff:{bill_id}", at, f"written off: {why}", driver_id, (transfer,))


def recovered(payment_id: str, driver_id: str, amount_paise: int, at: datetime) -> Entry:
    """The gateway has taken, late, what had been written off."""
    transfer = Transfer(Account.CLEARING, Account.BAD_DEBTS, amount_paise)
    return Entry(f"capture:{payment_id}", at, "debit captured after it was written off", driver_id, (transfer,))


def post(session: Session, depot_id: str, entry: Entry) -> bool:
    """Append ``entry`` in the caller's unit of work. False: there is one with this key, nothing was done."""
    if session.exec(select(EntryRow.seq).where(EntryRow.depot_id == depot_id, EntryRow.key == entry.key)).first() is not None:
        return False
    last = session.exec(select(func.max(EntryRow.seq)).where(EntryRow.depot_id == depot_id)).one()
    seq = (last or 0) + 1
    session.add(EntryRow(depot_id=depot_id, seq=seq, key=entry.key, at_ms=to_ms(entry.at), memo=entry.memo))
    session.flush()
    for line, (account, amount) in enumerate(entry.postings, 1):
        party = entry.party if account in _PER_DRIVER else ""
        session.add(PostingRow(depot_id=depot_id, seq=seq, line=line, account=account, party=party, amount_paise=amount))
    session.flush()
    return True


def balance(session: Session, depot_id: str, account: Account, party: str | None = None) -> int:
    """Debits less credits, in paise, of an account or of one party in it."""
    query = select(func.coalesce(func.sum(PostingRow.amount_paise), 0)).where(
        PostingRow.depot_id == depot_id, PostingRow.account == account
    )
    if party is not None:
        query = query.where(PostingRow.party == party)
    return int(session.exec(query).one())


@dataclass(frozen=True, slots=True)
class Check:
    """``sum_paise`` of all postings, the entries that do not balance, and those without lines; sound: 0, none, none."""

    entries: int
    sum_paise: int
    unbalanced: Sequence[int]

    @property
    def sound(self) -> bool:
        """Whether the ledger is what it claims to be."""
        return self.sum_paise == 0 and not self.unbalanced


def check(session: Session, depot_id: str) -> Check:
    """Add everything up again."""
    lines = dict(
        session.exec(
            select(PostingRow.seq, func.sum(PostingRow.amount_paise)).where(PostingRow.depot_id == depot_id).group_by(col(PostingRow.seq))
        ).all()
    )
    entries = session.exec(select(EntryRow.seq).where(EntryRow.depot_id == depot_id)).all()
    wrong = sorted({seq for seq, total in lines.items() if total != 0} | (set(entries) ^ set(lines)))
    return Check(len(entries), sum(lines.values()), wrong)


def _transfers(bill: Bill, debit: Account) -> tuple[Transfer, ...]:
    parts = (
        (Account.REVENUE, bill.taxable_paise),
        (Account.CGST, bill.cgst_paise),
        (Account.SGST, bill.sgst_paise),
        (Account.IGST, bill.igst_paise),
        (Account.ROUND_OFF, bill.round_off_paise),
    )
    return tuple(Transfer(debit, a, p) if p > 0 else Transfer(a, debit, -p) for a, p in parts if p)
