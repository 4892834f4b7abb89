"""May this driver charge now, for how much, and on which of the driver's instruments. Pure.

AutoPay cannot debit at plug-out: energy is delivered on credit, so what bounds it is the driver's open exposure. ₹15,000 is
the most that one debit may take without a second factor (RBI e-mandate framework 2026), and each day has one debit: it bounds
how fast credit comes back, not how much there may be. ``spread_days`` says over how many days' debits the exposure may be
spread; with one day the ceiling is min(mandate's maximum, credit limit, ₹15,000).

Reserve Pay and one-time mandates have the money blocked beforehand: the ceiling is what is left of the block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from depot.money_text import rupees
from payments.instruments import Instrument, in_order, superseded
from payments.rules import Rules
from payments.states import MandateState, Mode

__all__ = ["Ask", "Credit", "Exposure", "GateAnswer", "GateRefusal", "credit_ceiling_paise", "decide", "energy_within"]


class GateRefusal(StrEnum):
    """Why not."""

    NO_MANDATE = "no_mandate"
    MANDATE_NOT_ACTIVE = "mandate_not_active"
    MANDATE_PAUSED = "mandate_paused"
    MANDATE_EXPIRES = "mandate_expires"
    IN_ARREARS = "in_arrears"
    EXPOSURE = "exposure"
    BLOCK_TOO_SMALL = "block_too_small"
    ONE_TIME_USED = "one_time_used"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What a driver owes or may come to owe, in paise. ``unpaid_paise``: billed and not taken yet; ``running_paise``: sessions
    under way on credit, each at its reservation or its cost so far, whichever is more, those included that a station began
    without asking. ``on_block``: of each block what is billed or reserved. ``in_arrears``: a bill that nobody collects any more."""

    unpaid_paise: int = 0
    running_paise: int = 0
    on_block: Mapping[str, int] = field(default_factory=dict)
    in_arrears: bool = False

    def __post_init__(self) -> None:
        if min(self.unpaid_paise, self.running_paise, *self.on_block.values(), 0) < 0:
            raise ValueError("amounts at the gate are 0 paise or more")

    @property
    def open_paise(self) -> int:
        """On credit."""
        return self.unpaid_paise + self.running_paise


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """The operator's terms. ``limit_paise``: the most that a driver may owe; ``spread_days``: over how many days' debits."""

    limit_paise: int
    spread_days: int = 1
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        if self.limit_paise < 0 or self.spread_days < 1:
            raise ValueError("a credit limit is 0 paise or more, and spread over at least one day")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A session to be. ``worst_paise``: the whole of it at its highest price, taxes included; ``least_paise``: the smallest
    one that is worth beginning, None: the whole or nothing. ``ends_at``: at the latest."""

    worst_paise: int
    ends_at: datetime
    least_paise: int | None = None

    def __post_init__(self) -> None:
        if self.worst_paise < 0 or (self.least_paise or 0) < 0:
            raise ValueError("amounts at the gate are 0 paise or more")


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """``allowed``, or ``refusal``. ``ceiling_paise``: the most that may be owed, or what the block holds; ``open_paise``: what is
    owed, billed and reserved already; ``granted_paise``: what this session may cost, less than was asked for where it is a
    smaller one; ``message``: for the driver."""

    allowed: bool
    message: str
    ceiling_paise: int = 0
    open_paise: int = 0
    refusal: GateRefusal | None = None
    mandate_id: str = ""
    granted_paise: int = 0
    mode: Mode | None = None
    state: MandateState | None = None

    @property
    def room_paise(self) -> int:
        """What another session may cost at most."""
        return max(0, self.ceiling_paise - self.open_paise)


def decide(instruments: Sequence[Instrument], exposure: Exposure, ask: Ask, credit: Credit) -> GateAnswer:
    """The gate. The newest instrument in force that carries the session pays for it; where none does, the answer speaks of
    the newest."""
    first: GateAnswer | None = None
    replaced = {one.mandate_id for one in superseded(instruments)}
    for one in in_order(instruments):
        if one.mandate_id in replaced:
            continue
        answer = _by_block(one, exposure, ask, credit) if one.mode.blocks else _on_credit(one, exposure, ask, credit)
        if answer.allowed:
            return answer
        first = first or answer
    return first or GateAnswer(
        False, "set up UPI AutoPay or reserve an amount first", refusal=GateRefusal.NO_MANDATE, open_paise=exposure.open_paise
    )


def energy_within(paise: int, worst_paise: Callable[[int], int], most_wh: int) -> int:
    """The most energy, Wh, of which ``worst_paise(wh)`` is not above ``paise``; at most ``most_wh``. ``worst_paise`` must not fall."""
    if worst_paise(most_wh) <= paise:
        return most_wh
    low, high = 0, most_wh  # low is affordable (or nothing is), high is not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if worst_paise(middle) <= paise else (low, middle)
    return low if worst_paise(low) <= paise else 0


def credit_ceiling_paise(one: Instrument, credit: Credit) -> int:
    """The most that may be owed on this AutoPay mandate."""
    return min(credit.limit_paise, _one_debit_paise(one, credit) * credit.spread_days)


def _one_debit_paise(one: Instrument, credit: Credit) -> int:
    return min(one.max_amount_paise, credit.rules.no_second_factor_up_to_paise)


def _on_credit(one: Instrument, exposure: Exposure, ask: Ask, credit: Credit) -> GateAnswer:
    rules, open_paise = credit.rules, exposure.open_paise
    one_debit, ceiling = _one_debit_paise(one, credit), credit_ceiling_paise(one, credit)
    granted = _granted(ask, ceiling - open_paise)
    debits = max(1, -(-(open_paise + (granted or ask.worst_paise)) // max(1, one_debit)))
    needed_until = ask.ends_at + rules.mandate_spare + (min(debits, credit.spread_days) - 1) * timedelta(days=1)
    told = _not_in_force(one) or _too_short(one, needed_until) or _arrears(exposure)
    if told is None and granted is None:
        text = f"unpaid and running sessions ({rupees(open_paise)}) leave too little of the limit ({rupees(ceiling)})"
        told = GateRefusal.EXPOSURE, text
    return _answer(one, ceiling, open_paise, ask, granted, told)


def _by_block(one: Instrument, exposure: Exposure, ask: Ask, credit: Credit) -> GateAnswer:
    spent = exposure.on_block.get(one.mandate_id, 0)
    left = one.left_paise(spent)
    granted = _granted(ask, left)
    told = _not_in_force(one) or _too_short(one, ask.ends_at + credit.rules.block_spare) or _arrears(exposure)
    if told is None and granted is None:
        if one.mode is Mode.ONE_TIME and left == 0:
            told = GateRefusal.ONE_TIME_USED, "this one-time payment is used: approve a new one"
        else:
            told = GateRefusal.BLOCK_TOO_SMALL, f"{rupees(left)} are left of the reserved amount: top up, or reserve a new amount"
    return _answer(one, left + spent, spent, ask, granted, told)


def _granted(ask: Ask, room_paise: int) -> int | None:
    """What the session may cost; None: nothing that is worth beginning."""
    if ask.worst_paise <= room_paise:
        return ask.worst_paise
    least = ask.worst_paise if ask.least_paise is None else ask.least_paise
    return room_paise if 0 < least <= room_paise else None


_Told = tuple[GateRefusal, str]


_WAITS_FOR_DRIVER = frozenset({MandateState.NEW, MandateState.LINK_SENT, MandateState.INTENT_OPEN, MandateState.INITIATED})


def _not_in_force(one: Instrument) -> _Told | None:
    if one.state is MandateState.ACTIVE:
        return None
    if one.state is MandateState.PAUSED:
        return GateRefusal.MANDATE_PAUSED, "the mandate is paused: resume it in the UPI app"
    if one.state in _WAITS_FOR_DRIVER:
        return GateRefusal.MANDATE_NOT_ACTIVE, "the mandate waits for the driver's approval in the UPI app: approve it, or set up a new one"
    return GateRefusal.MANDATE_NOT_ACTIVE, f"the mandate is {one.state.value.replace('_', ' ')}: set up a new one"


def _too_short(one: Instrument, needed_until: datetime) -> _Told | None:
    if one.expire_at > needed_until:
        return None
    return GateRefusal.MANDATE_EXPIRES, "the mandate ends before this session could be debited: set up a new one"


def _arrears(exposure: Exposure) -> _Told | None:
    return (GateRefusal.IN_ARREARS, "an earlier session is unpaid: pay it first") if exposure.in_arrears else None


def _answer(one: Instrument, ceiling: int, open_paise: int, ask: Ask, granted: int | None, told: _Told | None) -> GateAnswer:
    if told is not None or granted is None:
        why, message = told or (GateRefusal.EXPOSURE, "too little room")
        return GateAnswer(False, message, ceiling, open_paise, why, one.mandate_id, 0, one.mode, one.state)
    message = "may charge" if granted == ask.worst_paise else f"may charge for up to {rupees(granted)}"
    return GateAnswer(True, message, ceiling, open_paise, None, one.mandate_id, granted, one.mode, one.state)
