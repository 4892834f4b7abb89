"""What to do about a session while it charges: go on, tell the driver, end it. Pure.

A vehicle of the own fleet is never ended for money, whatever else holds. What is ended for lack of money is ended before the
limit: what still flows until a charger obeys is counted in advance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from payments.states import MandateState

__all__ = ["Go", "Policy", "Running", "Stop", "StopWhy", "Verdict", "Warn", "WarnWhy", "judge"]


class WarnWhy(StrEnum):
    """What the driver is told while the session goes on."""

    TOP_UP = "top_up"
    MANDATE_LOST = "mandate_lost"


class StopWhy(StrEnum):
    """Why a session is ended."""

    ENERGY_SPENT = "energy_spent"
    MONEY_SPENT = "money_spent"
    MANDATE_LOST = "mandate_lost"
    NOT_ALLOWED = "not_allowed"


@dataclass(frozen=True, slots=True)
class Go:
    """Nothing to say."""


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell the driver; the session goes on."""

    why: WarnWhy


@dataclass(frozen=True, slots=True)
class Stop:
    """End the session."""

    why: StopWhy


Verdict = Go | Warn | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The operator's. ``warn_share``: what is left before a session ends, of its money or its
    energy, when the driver is told, 0 to 1. ``stop_on_loss``: a
    session whose mandate is revoked or paused ends, after ``grace_wh`` of energy or ``grace`` of time, whichever comes first."""

    warn_share: float = 0.2
    stop_on_loss: bool = True
    grace_wh: int = 1000
    grace: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One session now. ``limit_paise``: what it may cost; ``cost_paise``: so far; ``ahead_paise``: what may still flow until its
    charger obeys a stop. ``state``: of the mandate that pays, None: nobody knows now. ``lost_wh`` and ``lost_for``: energy and
    time since that mandate was first seen not to be in force. ``refused``: a station began it without asking, and the answer
    would have been no. ``smaller``: ``most_wh`` is as far as the money reaches, less than a whole session; ``blocked``: so, and paid
    from a block, which a driver can top up."""

    fleet: bool
    blocked: bool
    state: MandateState | None
    cost_paise: int
    limit_paise: int
    ahead_paise: int
    energy_wh: int
    most_wh: int
    lost_wh: int = 0
    lost_for: timedelta = timedelta(0)
    refused: bool = False
    smaller: bool = False


def judge(now: Running, policy: Policy) -> Verdict:
    """The verdict on one session. Unknown books keep nobody's session from going on to what was granted."""
    if now.fleet:
        return Go()
    if now.refused:
        return Stop(StopWhy.NOT_ALLOWED)
    if now.energy_wh >= now.most_wh:
        return Stop(StopWhy.MONEY_SPENT if now.smaller else StopWhy.ENERGY_SPENT)
    if now.cost_paise + now.ahead_paise >= now.limit_paise:
        return Stop(StopWhy.MONEY_SPENT)
    if now.state not in (None, MandateState.ACTIVE):
        if policy.stop_on_loss and (now.lost_wh >= policy.grace_wh or now.lost_for >= policy.grace):
            return Stop(StopWhy.MANDATE_LOST)
        return Warn(WarnWhy.MANDATE_LOST)
    return Warn(WarnWhy.TOP_UP) if now.blocked and _low(now, policy.warn_share) else Go()


def _low(now: Running, share: float) -> bool:
    """Whether less than this share is left before the session is ended, of its money or of its energy."""
    money = now.limit_paise - now.ahead_paise - now.cost_paise <= share * now.limit_paise
    return money or now.most_wh - now.energy_wh <= share * now.most_wh
