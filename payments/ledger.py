"""Double entry, append-only, integer paise.

An entry is made of transfers, each of which debits one account and credits another by the same amount: its sum is zero
by construction. :func:`check` proves it for what is stored. Nothing is changed or deleted (the tables refuse it);
mistakes are corrected by further entries. Debits are positive. An entry's ``key`` says what it is about
(``capture:pay_…``), and a second entry with the same key is not made: repeats are harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from sqlmodel import Session, col, func, select

from payments import InvalidEntry
from payments.money import Bill, round_half_up
from payments.tables import EntryRow, PostingRow
from payments.times import to_ms

__all__ = [
    "Account",
    "Check",
    "Entry",
    "Transfer",
    "balance",
    "check",
    "credited",
    "explained",
    "invoiced",
    "paid_otherwise",
    "part_of",
    "post",
    "refunded",
    "settled",
    "taken",
    "written_off",
]


class Account(StrEnum):
    """The accounts. RECEIVABLE and REFUNDS_DUE are kept per driver. FEES: what the gateway keeps; FEE_TAX: the GST in it, which
    the depot may set off; CASH and BANK: where money ends; DIFFERENCES: what a person has explained of settlements."""

    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    CGST = "cgst"
    SGST = "sgst"
    IGST = "igst"
    ROUND_OFF = "round_off"
    CLEARING = "gateway_clearing"
    FEES = "fees"
    FEE_TAX = "fee_tax"
    BANK = "bank"
    CASH = "cash"
    DIFFERENCES = "settlement_differences"
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


def taken(payment_id: str, driver_id: str, *, owed_paise: int, written_off_paise: int, surplus_paise: int, at: datetime) -> Entry:
    """The gateway has taken a driver's money; it owes us until settlement. ``written_off_paise``: what had been given up;
    ``surplus_paise``: what no bill asks for (a doubled debit), the driver's."""
    parts = ((Account.RECEIVABLE, owed_paise), (Account.BAD_DEBTS, written_off_paise), (Account.REFUNDS_DUE, surplus_paise))
    words = "debit captured" if owed_paise else "debit captured after it was written off" if written_off_paise else "surplus debit captured"
    transfers = tuple(Transfer(Account.CLEARING, account, paise) for account, paise in parts if paise)
    return Entry(f"capture:{payment_id}", at, words, driver_id, transfers)


def credited(key: str, driver_id: str, part: Bill, at: datetime) -> Entry:
    """Credit note for a paid bill or a part of it: revenue and taxes go back, the driver is due a refund."""
    reverse = tuple(Transfer(t.credit, t.debit, t.amount_paise) for t in _transfers(part, Account.REFUNDS_DUE))
    return Entry(f"credit:{key}", at, "credit note", driver_id, reverse)


def part_of(bill: Bill, amount_paise: int) -> Bill:
    """The part of a bill that a credit of ``amount_paise`` takes back: its amounts in proportion, each rounded half up, what is
    left of the rounding in the taxable value. The energy stays: what was charged was charged."""
    if amount_paise == bill.total_paise:
        return replace(bill, energy_wh=0)
    ratio = Fraction(amount_paise, bill.total_paise)
    cgst, sgst, igst = (round_half_up(tax * ratio) for tax in (bill.cgst_paise, bill.sgst_paise, bill.igst_paise))
    return Bill(
        energy_wh=0,
        taxable_paise=amount_paise - cgst - sgst - igst,
        cgst_paise=cgst,
        sgst_paise=sgst,
        igst_paise=igst,
        round_off_paise=0,
        total_paise=amount_paise,
    )


def refunded(refund_id: str, driver_id: str, amount_paise: int, at: datetime) -> Entry:
    """The gateway has given money back to the driver."""
    transfer = Transfer(Account.REFUNDS_DUE, Account.CLEARING, amount_paise)
    return Entry(f"refund:{refund_id}", at, "refund processed", driver_id, (transfer,))


def written_off(bill_id: str, driver_id: str, amount_paise: int, why: str, at: datetime) -> Entry:
    """The driver's debt is given up."""
    transfer = Transfer(Account.BAD_DEBTS, Account.RECEIVABLE, amount_paise)
    return Entry(f"writeoff:{bill_id}", at, f"written off: {why}", driver_id, (transfer,))


def paid_otherwise(bill_id: str, driver_id: str, amount_paise: int, into: Account, memo: str, at: datetime) -> Entry:
    """A driver has paid what was owed without the gateway: in cash, or straight to the depot's bank."""
    return Entry(f"other:{bill_id}", at, memo, driver_id, (Transfer(into, Account.RECEIVABLE, amount_paise),))


def settled(settlement_id: str, entity_id: str, transfers: tuple[Transfer, ...], at: datetime) -> Entry:
    """A line of the gateway's settlement."""
    return Entry(f"settle:{settlement_id}:{entity_id}", at, f"settlement {settlement_id}", "", transfers)


def explained(difference_id: str, clearing_paise: int, why: str, at: datetime) -> Entry:
    """A difference that a person has explained leaves the account gateway clearing."""
    ends = (Account.DIFFERENCES, Account.CLEARING)
    debit, credit = ends if clearing_paise > 0 else ends[::-1]
    return Entry(f"explained:{difference_id}", at, f"difference explained: {why}", "", (Transfer(debit, credit, abs(clearing_paise)),))


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
