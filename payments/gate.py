"""May this driver charge now, and for how much. AutoPay cannot debit at plug-out: energy is delivered on credit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from payments.rules import Rules
from payments.states import MandateState

__all__ = ["GateAnswer", "GateRefusal", "MandateTerms", "decide"]


class GateRefusal(StrEnum):
    """Why not."""

    NO_MANDATE = "no_mandate"
    MANDATE_NOT_ACTIVE = "mandate_not_active"
    MANDATE_PAUSED = "mandate_paused"
    MANDATE_EXPIRES = "mandate_expires"
    IN_ARREARS = "in_arrears"
    EXPOSURE = "exposure"


@dataclass(frozen=True, slots=True)
class MandateTerms:
    """The newest mandate of a driver."""

    mandate_id: str
    state: MandateState
    max_amount_paise: int
    expire_at: datetime


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """``allowed``, or ``refusal``. ``ceiling_paise``: the most that may be owed; ``open_paise``: what is owed and
    reserved already; ``message``: for the driver."""

    allowed: bool
    message: str
    ceiling_paise: int = 0
    open_paise: int = 0
    refusal: GateRefusal | None = None
    mandate_id: str = ""

    @property
    def room_paise(self) -> int:
        """What another session may cost at most."""
        return max(0, self.ceiling_paise - self.open_paise)


def decide(
    mandate: MandateTerms | None,
    *,
    open_paise: int,
    worst_case_paise: int,
    credit_limit_paise: int,
    session_ends_at: datetime,
    in_arrears: bool,
    rules: Rules,
) -> GateAnswer:
    """The gate. ``worst_case_paise``: the whole session at its highest price, taxes included; ``open_paise``: unpaid
    bills and the reservations of sessions that run."""
    if worst_case_paise < 0 or open_paise < 0:
        raise ValueError("amounts at the gate are 0 paise or more")
    if mandate is None:
        return GateAnswer(False, "set up UPI AutoPay first", refusal=GateRefusal.NO_MANDATE, open_paise=open_paise)
    ceiling = min(mandate.max_amount_paise, credit_limit_paise, rules.no_second_factor_up_to_paise)

    def refuse(why: GateRefusal, message: str) -> GateAnswer:
        return GateAnswer(False, message, ceiling, open_paise, why, mandate.mandate_id)

    if mandate.state is MandateState.PAUSED:
        return refuse(GateRefusal.MANDATE_PAUSED, "the mandate is paused: resume it in the UPI app")
    if mandate.state is not MandateState.ACTIVE:
        return refuse(
            GateRefusal.MANDATE_NOT_ACTIVE, f"the mandate is {mandate.state.value.replace('_', ' ')}: finish it, or set up a new one"
        )
    if mandate.expire_at <= session_ends_at + rules.mandate_spare:
        return refuse(GateRefusal.MANDATE_EXPIRES, "the mandate ends before this session could be debited: set up a new one")
    if in_arrears:
        return refuse(GateRefusal.IN_ARREARS, "an earlier session is unpaid: pay it first")
    if open_paise + worst_case_paise > ceiling:
        text = f"unpaid and running sessions (₹{open_paise / 100:.2f}) leave too little of the limit (₹{ceiling / 100:.2f})"
        return refuse(GateRefusal.EXPOSURE, text)
    return GateAnswer(True, "may charge", ceiling, open_paise, None, mandate.mandate_id)
