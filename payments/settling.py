"""A line of the gateway's settlement report against our books: what it moves, and what about it is wrong. Pure.

    payment   the gateway owed us its amount: the bank has amount less fee, the fee is ours to bear
    refund    what we gave back is kept from the transfer
    other     nothing of ours: it stands as a difference until a person has explained it

What the line does not bring stays in the account *gateway clearing*, so that account holds what is on its way and what is wrong,
and nothing else (:mod:`payments.settlements` proves it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from depot.money_text import rupees
from payments.gateway import SettlementItem, SettlementKind
from payments.ledger import Account, Transfer

__all__ = ["DifferenceKind", "Found", "Known", "Verdict", "judge"]


class DifferenceKind(StrEnum):
    """What does not agree."""

    MISSING = "missing"
    SHORT = "short"
    OVER = "over"
    UNKNOWN = "unknown"
    FEE = "fee"
    LATE = "late"
    TWICE = "twice"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Known:
    """What our books say of the thing. ``fee_paise`` None: the gateway never told one; ``settled``: a line came already."""

    amount_paise: int
    fee_paise: int | None = None
    settled: bool = False
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A difference. ``amount_paise``: positive, the gateway brought too little (of a fee: kept too much); ``clearing_paise``: what of
    it stands in the account gateway clearing (positive: still to come to us)."""

    kind: DifferenceKind
    amount_paise: int
    clearing_paise: int
    note: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``transfers``: for the ledger; ``differences``: for a person."""

    transfers: tuple[Transfer, ...]
    differences: tuple[Found, ...] = ()


def judge(item: SettlementItem, known: Known | None) -> Verdict:
    """What a settled line does."""
    net = item.credit_paise - item.debit_paise
    if item.kind in (SettlementKind.ADJUSTMENT, SettlementKind.OTHER):
        return Verdict(_moved(net), (Found(DifferenceKind.ADJUSTMENT, -net, -net, f"the gateway calls it {item.kind}"),))
    if known is None:
        return Verdict(_moved(net), (Found(DifferenceKind.UNKNOWN, -net, -net, f"a {item.kind} that is not in our books"),))
    if known.settled:
        return Verdict(_moved(net), (Found(DifferenceKind.TWICE, -net, -net, f"the {item.kind} was settled before"),))
    if item.kind is SettlementKind.REFUND:
        lacking = -net - known.amount_paise
        words = f"{rupees(known.amount_paise)} was given back, {rupees(-net)} was kept"
        found = (Found(_short_or_over(lacking), lacking, lacking, words),) if lacking else ()
        return Verdict(_moved(net), (*found, *_late(known, known.amount_paise)))
    return _payment(item, known, net)


def _payment(item: SettlementItem, known: Known, net: int) -> Verdict:
    fee = known.fee_paise if known.fee_paise is not None else item.fee_paise
    kept = min(item.fee_paise, known.amount_paise)
    tax = min(item.tax_paise, kept)
    fees = tuple(Transfer(a, Account.CLEARING, p) for a, p in ((Account.FEES, kept - tax), (Account.FEE_TAX, tax)) if p)
    found: list[Found] = []
    lacking = known.amount_paise - net - kept
    if lacking:
        found.append(Found(_short_or_over(lacking), lacking, lacking, _told(known.amount_paise - kept, net)))
    if item.fee_paise != fee:
        found.append(
            Found(
                DifferenceKind.FEE,
                item.fee_paise - fee,
                0,
                f"{rupees(fee)} was told, {rupees(item.fee_paise)} was kept",
            )
        )
    return Verdict((*_moved(net), *fees), (*found, *_late(known, known.amount_paise)))


def _moved(net_paise: int) -> tuple[Transfer, ...]:
    if net_paise == 0:
        return ()
    if net_paise > 0:
        return (Transfer(Account.BANK, Account.CLEARING, net_paise),)
    return (Transfer(Account.CLEARING, Account.BANK, -net_paise),)


def _late(known: Known, amount_paise: int) -> tuple[Found, ...]:
    return (Found(DifferenceKind.LATE, amount_paise, 0, "it was missing, and came after all"),) if known.missed else ()


def _short_or_over(lacking_paise: int) -> DifferenceKind:
    return DifferenceKind.SHORT if lacking_paise > 0 else DifferenceKind.OVER


def _told(expected_paise: int, came_paise: int) -> str:
    return f"{rupees(expected_paise)} was to come, {rupees(came_paise)} came"
