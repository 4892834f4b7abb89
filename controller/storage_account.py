"""What stationary batteries may draw, and give, by all that was sent to them: their part of the limiter's budget.

    orders, readings --> StorageAccount (a Grant, as a connector has) --> StorageBook --sums--> background
                                                                                 --held_w--> subtracted from the budget
                                                                                 --yields_w--> before a charger is cut

Invariants 1 and 9. A battery that charges is load: its bound (what is confirmed, in flight, settling or measured, until that has
reverted) is taken from the budget before the order leaves. What it gives is credited only as its own meter shows it, the least
of the last seconds, and no more than it was told; a silent one counts 0. A charging battery yields before any charger is cut.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.allocation import Allocation, Budget, Row
from controller.grants import Grant
from depot.assets import StorageReading, StorageSpec
from depot.values import Because

FRESH_S = 3.0
"""An older reading of a battery is not believed."""

CREDIT_S = 5.0
"""What it gives is credited as the least that it gave in the last seconds …"""

SETTLE_S = 2.0
"""… and an order is taken to have settled after this, when a reading agrees."""

YIELD_S = 3.0
"""So long a battery that was asked to draw less is given for it; then chargers go down."""


@dataclass(slots=True)
class StorageAccount:
    """One battery. ``grant``: its running account. ``wants_w``: where it shall go (:mod:`controller.storage_control`)."""

    spec: StorageSpec
    grant: Grant
    pace: float = 1.0
    wants_w: int = 0
    soc: float | None = None
    _given: deque[tuple[float, int]] = field(default_factory=deque)

    def read(self, reading: StorageReading) -> None:
        """A new reading."""
        at_s = reading.at.timestamp()
        if at_s <= self.grant.measured_at_s:
            return
        self.grant.measured(reading.power_w, at_s=at_s)
        self.soc = reading.soc
        self._given.append((at_s, max(0, -reading.power_w)))
        while at_s - self._given[0][0] > CREDIT_S * self.pace:
            self._given.popleft()

    def fresh(self, now_s: float) -> bool:
        """Whether its last reading may be believed."""
        return now_s - self.grant.measured_at_s <= FRESH_S * self.pace

    def moves(self, now_s: float) -> bool:
        """Whether it is on its way to another power."""
        return self.grant.changing or (now_s - self.grant.told_at_s <= (SETTLE_S + 1.5) * self.pace and self.grant.unseen())

    def draws_bound_w(self, now_s: float) -> int:
        """The most that it may draw, W."""
        return self.grant.bound_w(now_s)

    def credit_w(self, now_s: float) -> int:
        """What of its giving may be built on now, W: as measured, as told, and as it shall go on."""
        if not self.fresh(now_s) or not self._given:
            return 0
        least_w = min(given_w for _, given_w in self._given)
        return max(0, min(least_w, -self.grant.told_w, -self.wants_w))


@dataclass(frozen=True, slots=True)
class StorageSums:
    """What batteries add to what the chargers' meters say together; the words are those of
    :meth:`controller.background.BackgroundEstimator.update`. ``draws_w``: the most that they may draw at this moment."""

    measured_w: int = 0
    bound_w: int = 0
    quiet: bool = True
    oldest_s: float = math.inf
    sure_w: int = 0
    settled_w: int = 0
    draws_w: int = 0


NOTHING = StorageSums()


class StorageBook:
    """All accounts, by asset. Empty where the site has no battery: then nothing changes for anybody."""

    def __init__(self, specs: Iterable[StorageSpec] = (), *, now_s: float = 0.0, reversion_s: float = 0.0, pace: float = 1.0) -> None:
        self.accounts: dict[str, StorageAccount] = {}
        self.fits_w = 0
        """What all batteries may draw together beside what the chargers may; this and what follows: of the loop's last look."""
        self.feeders_fit_w: dict[str, int] = {}
        self.short_w = 0
        """How much the chargers lack under the site's limit, of what they wish for."""
        self.used_w = 0
        """How much of what batteries give is drawn by chargers."""
        self.over_w = 0
        """By how much the chargers' bounds exceed what they may."""
        self.looked_s = -math.inf
        self._yields_since_s: float | None = None
        for spec in specs:
            if not spec.controlled:
                continue
            grant = Grant(
                rated_w=spec.charge_w, settle_s=SETTLE_S * pace, default_w=0, autonomous=False, commissioned=True, in_session=True,
                gives_w=spec.discharge_w,
            )  # fmt: skip
            # whoever ran before may have sent anything: until it has certainly reverted
            grant.send(-spec.discharge_w, until_s=now_s + reversion_s, now_s=now_s)
            grant.send(spec.charge_w, until_s=now_s + reversion_s, now_s=now_s)
            self.accounts[spec.asset_id] = StorageAccount(spec, grant, pace)

    def sums(self, now_s: float) -> StorageSums:
        """For the estimate of the background."""
        if not self.accounts:
            return NOTHING
        measured = bound = sure = settled = draws = 0
        quiet, oldest = True, math.inf
        for account in self.accounts.values():
            draw_bound_w, give_bound_w = account.draws_bound_w(now_s), account.grant.gives_bound_w(now_s)
            draws += draw_bound_w
            if account.fresh(now_s):
                power_w = account.grant.measured_w or 0
                measured += power_w
                sure += power_w
                settled += power_w
                bound += power_w if power_w < 0 else draw_bound_w
                if power_w:
                    oldest = min(oldest, account.grant.measured_at_s)
                quiet = quiet and not account.moves(now_s)
            else:  # silent: it may give where that makes the background larger, and draws nothing where that would make it smaller
                measured -= give_bound_w
                sure -= give_bound_w
                settled -= give_bound_w
                bound += draw_bound_w
        return StorageSums(measured, bound, quiet, oldest, sure, settled, draws)

    def held_w(self, now_s: float, feeder_id: str = "") -> int:
        """What they take from the budget of the site, or of a feeder, W; below 0 where they pay into the site's."""
        mine = [a for a in self.accounts.values() if not feeder_id or a.spec.feeder_id == feeder_id]
        drawn = sum(account.draws_bound_w(now_s) for account in mine)
        return drawn if feeder_id else drawn - sum(account.credit_w(now_s) for account in mine)

    def yields_w(self, lacking_w: int, now_s: float) -> int:
        """How much of what the chargers lack the batteries will leave within moments, W. For a short time only: then it is
        what they have not left."""
        drawn = sum(account.draws_bound_w(now_s) for account in self.accounts.values())
        if lacking_w <= 0 or not drawn:
            self._yields_since_s = None
            return 0
        if self._yields_since_s is None:
            self._yields_since_s = now_s
        pace = max((account.pace for account in self.accounts.values()), default=1.0)
        return min(lacking_w, drawn) if now_s - self._yields_since_s <= YIELD_S * pace else 0

    def looked(self, rows: Sequence[Row], found: Allocation, *, window_w: int, feeders: Mapping[str, Budget], now_s: float) -> None:
        """What the loop's look says to the batteries. ``window_w``: what the chargers may draw on the site."""
        if not self.accounts:
            return
        bounds_w = sum(row.bound_w for row in rows)
        self.looked_s = now_s
        self.fits_w = window_w + sum(account.draws_bound_w(now_s) for account in self.accounts.values()) - bounds_w
        self.over_w = max(0, bounds_w - window_w)
        credit_w = sum(account.credit_w(now_s) for account in self.accounts.values())
        self.used_w = max(0, min(credit_w, bounds_w - (window_w - credit_w)))
        self.short_w = sum(_lacks_w(row, found.targets[i]) for i, row in enumerate(rows) if found.because[i] is Because.SITE)
        by_feeder = dict.fromkeys(feeders, 0)
        names = list(feeders)
        for row in rows:
            by_feeder[names[row.feeder]] += row.bound_w
        self.feeders_fit_w = {name: feeders[name].window_w + self.held_w(now_s, name) - used for name, used in by_feeder.items()}


def _lacks_w(row: Row, target_w: int) -> int:
    wish_w = row.ceiling_w if row.plan_w < 0 else min(row.ceiling_w, row.plan_w)
    return max(0, wish_w - max(0, target_w))
