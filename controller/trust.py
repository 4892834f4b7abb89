"""What the meter says about obedience: a pure verdict per reading (invariant 1, ADR 0007).

    unproven --a settled reading at the level, or within the tolerance (then with a factor of its own)--> obeys
    any      --a settled reading above it--> overdraws (factor learned) --more than DEFIANT_RATIO, or at 0 W--> defiant

Trust is lost at once and given back by a person only: a charger that overdrew once is budgeted with its factor for good.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.grants import IDLE_W, Grant
from depot.events import TrustLevel

TOLERANCE = 0.02
"""Meter class 1 at the charger plus rounding: this share above the level is still obedience."""

TOLERANCE_W = 150
"""The same for small levels, W."""

DEFIANT_RATIO = 1.35
"""Above this ratio the level is not being followed at all."""

FACTOR_MARGIN = 1.02
"""A learned factor gets this on top: the next reading may come from another working point."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A change of trust, with the sentence for people."""

    trust: TrustLevel
    factor: float
    reason: str


def judge(grant: Grant, *, pausable: bool) -> Verdict | None:
    """Judge the newest reading of ``grant``; None where nothing changes or nothing can be said yet.

    Obedience is shown only by a reading of a level that has settled. Disobedience shows at once: more than anything that
    was sent allows. Nothing can be said about a reading that is older than the change.
    ``pausable`` False: a session that was told 0 W may idle at twice :data:`IDLE_W` without being called defiant.
    """
    measured_w = grant.measured_w
    if not grant.in_session or measured_w is None or grant.measured_at_s < grant.told_at_s:
        return None
    expected_w = grant.expected_w()
    settled = expected_w is not None and not grant.settling and not grant.unseen()
    if grant.gives_w and settled and -measured_w > _gives_at_most_w(expected_w or 0):
        if grant.trust in (TrustLevel.OVERDRAWS, TrustLevel.DEFIANT):
            return None
        reason = f"gave {-measured_w} W when told to give {max(0, -(expected_w or 0))} W: is asked for nothing more"
        return Verdict(TrustLevel.OVERDRAWS, grant.factor, reason)
    if expected_w is None or grant.settling:
        expected_w = grant.permitted_w(grant.measured_at_s)
    expected_w = max(0, expected_w)  # who gives less than it was told, or nothing, obeys; who draws instead does not
    allowed_w = max(expected_w * (1 + TOLERANCE), expected_w + TOLERANCE_W) * max(grant.factor, 1.0)
    if expected_w == 0:
        allowed_w = max(allowed_w, IDLE_W if pausable else 2 * IDLE_W)
    if measured_w <= allowed_w:
        if not settled or not expected_w or measured_w <= IDLE_W or grant.trust not in (TrustLevel.UNPROVEN, TrustLevel.OBEYS):
            return None
        factor = max(grant.factor, _habit(measured_w / expected_w))
        if grant.trust is TrustLevel.OBEYS and factor == grant.factor:
            return None
        return Verdict(TrustLevel.OBEYS, factor, f"drew {measured_w} W when told {expected_w} W")
    if grant.trust is TrustLevel.DEFIANT:
        return None
    ratio = measured_w / expected_w if expected_w else math.inf
    if ratio > DEFIANT_RATIO:
        return Verdict(TrustLevel.DEFIANT, 1.0, f"drew {measured_w} W when told {expected_w} W: does not follow limits")
    factor = round(max(grant.factor, ratio) * FACTOR_MARGIN, 4)
    return Verdict(TrustLevel.OVERDRAWS, factor, f"drew {measured_w} W when told {expected_w} W: budgeted at {factor:.2f} ×")


def _gives_at_most_w(level_w: int) -> float:
    """What a charger that obeys gives at a level, W."""
    told_w = max(0, -level_w)
    return max(told_w * (1 + TOLERANCE), told_w + TOLERANCE_W, IDLE_W)


def fell_back(grant: Grant) -> bool | None:
    """Whether the newest reading shows what became of a live profile that ran out with nobody to renew it: True, the default
    took over; False, it draws more than its default. None: nothing ran out, or the reading cannot tell.

    That it came down is believed only of a session that drew more before: a vehicle may want little by itself.
    """
    measured_w, default_w = grant.measured_w, grant.default_w
    if not grant.in_session or measured_w is None or default_w is None or grant.confirmed_w is None or grant.flights or grant.settling:
        return None
    if grant.measured_at_s < max(grant.confirmed_until_s, grant.told_at_s) + grant.settle_s:
        return None
    allowed_w = max(default_w * (1 + TOLERANCE), default_w + TOLERANCE_W, IDLE_W) * max(grant.factor, 1.0)
    if grant.confirmed_w <= allowed_w or grant.by_hand or grant.trust in (TrustLevel.OVERDRAWS, TrustLevel.DEFIANT):
        return None
    if measured_w > allowed_w:
        return False
    return True if grant.peak_w is not None and grant.peak_w > allowed_w else None


def _habit(ratio: float) -> float:
    """The factor of a charger that obeys: what it draws above its level within the tolerance, in steps of half a percent."""
    return 1.0 if ratio <= 1.002 else min(1 + TOLERANCE, math.ceil(ratio * 200) / 200)
