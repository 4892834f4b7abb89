"""A physical trace, folded into slots: the same yardstick for the run on the plant and for the slot-based policies.

Reads the trace's lines (``docs/simulator.md``) once, in time order, and keeps means per slot of what the chargers and
the background drew. Cost and peak then follow from slot means, by the formula that judges plans:

    energy cost = Σ price · (max(site, 0) − max(background, 0)) · hours
    demand cost = charge · max(0, highest block mean of the site − max(highest background, month's peak so far, 0))

Limits are judged on the instant, not on means: exceeding counts as a violation unless it falls into the few seconds that
a lowered limit, a jump of the background or a station that begins to disobey opens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

__all__ = ["Bill", "TraceError", "TraceSlots", "TraceVisit", "bill", "block_means", "trace_to_slots"]

COMPLY_S = 5.0
TOLERANCE_W = 50.0
FAULT_AGAIN_S = 3600.0
SITE = "site"


class TraceError(ValueError):
    """A line of the trace that cannot be; the message says which."""


@dataclass(frozen=True, slots=True)
class TraceVisit:
    """One stay as it went. Seconds from the start; energies at the battery, Wh."""

    vehicle: str
    connector: str
    arrive_s: float
    depart_s: float
    need_wh: float
    got_wh: float

    @property
    def missing_wh(self) -> float:
        return max(0.0, self.need_wh - self.got_wh)

    @property
    def late(self) -> bool:
        """Left with more than 2 % of its need and 100 Wh missing."""
        return self.need_wh - self.got_wh > 0.02 * self.need_wh + 100


@dataclass(frozen=True, slots=True)
class TraceSlots:
    """A trace in slots of ``slot_s``. Lists have one mean per slot, kW; a last slot that the trace does not fill is
    filled with nothing. ``limit_kw``: the lowest site limit of the slot. ``connector_kw``: the same per connector.
    ``violations``: separate times that a limit was exceeded; ``*_kws``: how much, in kW × s."""

    slot_s: int
    ev_kw: tuple[float, ...]
    base_kw: tuple[float, ...]
    limit_kw: tuple[float, ...]
    price: tuple[float, ...]
    currency: str
    connector_kw: Mapping[str, tuple[float, ...]]
    visits: tuple[TraceVisit, ...]
    instant_peak_kw: float
    violations: int
    violating_kws: float
    ramping_kws: float
    worst_over_kw: float
    worst_at: tuple[str, float] | None
    faults: int

    @property
    def energy_kwh(self) -> float:
        """What the chargers drew from the grid."""
        return sum(self.ev_kw) * self.slot_s / 3600

    @property
    def unmet_kwh(self) -> float:
        """What the batteries did not get of their need."""
        return sum(visit.missing_wh for visit in self.visits) / 1000

    @property
    def vehicles_late(self) -> int:
        return sum(visit.late for visit in self.visits)


@dataclass(frozen=True, slots=True)
class Bill:
    """Money in the tariff's currency; ``peak_kw``: the highest demand block of the site."""

    energy_cost: float
    demand_cost: float
    peak_kw: float

    @property
    def cost(self) -> float:
        return self.energy_cost + self.demand_cost


def bill(
    ev_kw: Sequence[float],
    base_kw: Sequence[float],
    price: Sequence[float],
    *,
    slot_s: int,
    demand_charge_per_kw: float,
    demand_interval_min: int,
    mtd_peak_kw: float = 0.0,
) -> Bill:
    """What charging adds to the site's bill (formula above), from slot means."""
    hours = slot_s / 3600
    site_kw = [ev + base for ev, base in zip(ev_kw, base_kw, strict=True)]
    energy_cost = hours * sum(p * (max(net, 0.0) - max(base, 0.0)) for p, net, base in zip(price, site_kw, base_kw, strict=True))
    peak_kw = max(0.0, *block_means(site_kw, slot_s=slot_s, interval_s=demand_interval_min * 60))
    free_kw = max(0.0, mtd_peak_kw, *block_means(base_kw, slot_s=slot_s, interval_s=demand_interval_min * 60))
    return Bill(energy_cost, demand_charge_per_kw * max(0.0, peak_kw - free_kw), peak_kw)


def block_means(row: Sequence[float], *, slot_s: int, interval_s: int) -> list[float]:
    """Means of demand blocks that hold whole slots; the first block begins with the first slot."""
    if interval_s <= slot_s:
        return list(row)
    if interval_s % slot_s:
        raise ValueError(f"a demand block of {interval_s} s does not hold whole slots of {slot_s} s")
    per_block = interval_s // slot_s
    blocks = [row[k : k + per_block] for k in range(0, len(row), per_block)]
    return [sum(block) / len(block) for block in blocks]


def trace_to_slots(lines: Iterable[str], slot_s: int = 900) -> TraceSlots:
    """Fold a trace. Raises :class:`TraceError` for a line that cannot be, or where end or site limit are missing."""
    if slot_s < 1:
        raise ValueError(f"slots of {slot_s} s")
    fold = _Fold(slot_s)
    for number, text in enumerate(lines, 1):
        try:
            row = json.loads(text)
            fold.line(float(row["t"]), row["kind"], row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TraceError(f"line {number}: {error!r}") from error
    return fold.done()


@dataclass(slots=True)
class _Held:
    """A value that holds until the next one, summed up per slot."""

    slot_s: int
    value: float = 0.0
    since: float = 0.0
    per_slot: list[float] = field(default_factory=list)

    def until(self, t: float) -> None:
        """Add value × time up to ``t``."""
        if self.value:
            at = self.since
            while at < t:
                k = int(at // self.slot_s)
                stop = min(t, (k + 1) * float(self.slot_s))
                self.per_slot.extend([0.0] * (k + 1 - len(self.per_slot)))
                self.per_slot[k] += self.value * (stop - at)
                at = stop
        self.since = t

    def means_k(self, slots: int) -> tuple[float, ...]:
        """Thousandths of the mean per slot: kW from W."""
        row = self.per_slot[:slots] + [0.0] * (slots - len(self.per_slot))
        return tuple(ws / self.slot_s / 1000 for ws in row)


class _Fold:
    """The state while reading. Loads are kept as running sums, so that a line costs the same however large the depot."""

    def __init__(self, slot_s: int) -> None:
        self.slot_s = slot_s
        self.now = 0.0
        self.ended = False
        self.feeder_of: dict[str, str] = {}
        self.prices: list[tuple[float, float]] = [(0.0, 0.0)]
        self.currency = ""
        self.connectors: dict[str, _Held] = {}
        self.base = _Held(slot_s)
        self.load: dict[str, float] = {SITE: 0.0}
        self.limits: dict[str, float] = {}
        self.site_limits: list[tuple[float, float]] = []
        self.grace: dict[str, float] = {}
        self.over: dict[str, float] = {}
        self.violating_scopes: set[str] = set()
        self.fault_at: dict[str, float] = {}
        self.visits: list[TraceVisit] = []
        self.faults = self.violations = 0
        self.violating = self.ramping = self.peak = self.worst = 0.0
        self.worst_at: tuple[str, float] | None = None

    def line(self, t: float, kind: str, row: Mapping[str, Any]) -> None:
        if not math.isfinite(t) or t < self.now:
            raise ValueError(f"time goes from {self.now} to {t}")
        w = float(row.get("w", 0.0))
        if not math.isfinite(w):
            raise ValueError("power is not finite")
        if t > self.now:
            self._advance(t)
        match kind:
            case "depot":
                self.feeder_of = {c: f for f, members in row.get("feeders", {}).items() for c in members}
                self.prices = [(float(at), float(p)) for at, p in row.get("slot_prices", [])] or self.prices
                self.currency = str(row.get("currency", ""))
            case "limit":
                self._limit(str(row["scope"]), float(row["w"]))
            case "base":
                self._base(float(row["w"]))
            case "power":
                self._power(str(row["connector"]), float(row["w"]))
            case "fault":
                self._fault(str(row["connector"]))
            case "visit":
                self.visits.append(
                    TraceVisit(row["vehicle"], row["connector"], row["arrive"], row["depart"], float(row["need_wh"]), float(row["got_wh"]))
                )
            case "end":
                self.ended = True
            case _:
                raise ValueError(f"unknown kind {kind!r}")

    def _advance(self, t: float) -> None:
        self.peak = max(self.peak, self.load[SITE])
        for scope, over in self.over.items():
            grace = min(max(self.grace.get(scope, 0.0), self.now), t)
            self.ramping += over * (grace - self.now)
            if grace < t:
                self.violating += over * (t - grace)
                self.violations += scope not in self.violating_scopes
                self.violating_scopes.add(scope)
                if over > self.worst:
                    self.worst, self.worst_at = over, (scope, grace)
            else:
                self.violating_scopes.discard(scope)
        self.now = t

    def _limit(self, scope: str, w: float) -> None:
        if w < self.limits.get(scope, math.inf) and self.now > 0:
            self.grace[scope] = self.now + COMPLY_S
        self.limits[scope] = w
        if scope == SITE:
            self.site_limits.append((self.now, w))
        self._compare(scope)

    def _base(self, w: float) -> None:
        if w > self.base.value and self.now > 0:
            self._open(SITE)
        self.base.until(self.now)
        self._add(SITE, w - self.base.value)
        self.base.value = w

    def _power(self, connector: str, w: float) -> None:
        held = self.connectors.setdefault(connector, _Held(self.slot_s))
        held.until(self.now)
        step, held.value = w - held.value, w
        self._add(SITE, step)
        if connector in self.feeder_of:
            self._add(self.feeder_of[connector], step)

    def _fault(self, connector: str) -> None:
        self.faults += 1
        if self.now - self.fault_at.get(connector, -math.inf) >= FAULT_AGAIN_S:
            self.fault_at[connector] = self.now
            self._open(SITE)
            if connector in self.feeder_of:
                self._open(self.feeder_of[connector])

    def _open(self, scope: str) -> None:
        self.grace[scope] = max(self.grace.get(scope, -math.inf), self.now + COMPLY_S)

    def _add(self, scope: str, step: float) -> None:
        self.load[scope] = self.load.get(scope, 0.0) + step
        self._compare(scope)

    def _compare(self, scope: str) -> None:
        over = self.load.get(scope, 0.0) - self.limits.get(scope, math.inf) - TOLERANCE_W
        if over > 0:
            self.over[scope] = over
        elif scope in self.over:
            del self.over[scope]
            self.violating_scopes.discard(scope)

    def done(self) -> TraceSlots:
        if not self.ended or SITE not in self.limits:
            raise TraceError("the trace has no end or no site limit: the run did not finish")
        slots = max(1, math.ceil(self.now / self.slot_s))
        for held in (self.base, *self.connectors.values()):
            held.until(self.now)
        connector_kw = {connector: held.means_k(slots) for connector, held in sorted(self.connectors.items())}
        return TraceSlots(
            slot_s=self.slot_s,
            ev_kw=tuple(sum(column) for column in zip(*connector_kw.values(), strict=True)) or (0.0,) * slots,
            base_kw=self.base.means_k(slots),
            limit_kw=tuple(w / 1000 for w in self._lowest_limits(slots)),
            price=tuple(self._mean_price(k) for k in range(slots)),
            currency=self.currency,
            connector_kw=connector_kw,
            visits=tuple(self.visits),
            instant_peak_kw=self.peak / 1000,
            violations=self.violations,
            violating_kws=self.violating / 1000,
            ramping_kws=self.ramping / 1000,
            worst_over_kw=self.worst / 1000,
            worst_at=self.worst_at,
            faults=self.faults,
        )

    def _lowest_limits(self, slots: int) -> list[float]:
        lowest = []
        for k in range(slots):
            begin, end = k * self.slot_s, (k + 1) * self.slot_s
            before = [w for at, w in self.site_limits if at <= begin]
            inside = [w for at, w in self.site_limits if begin < at < end]
            lowest.append(min([*before[-1:], *inside] or [self.site_limits[0][1]]))
        return lowest

    def _mean_price(self, k: int) -> float:
        begin, end = k * float(self.slot_s), (k + 1) * float(self.slot_s)
        inside = [(at, price) for at, price in self.prices if begin < at < end]
        first = next((price for at, price in reversed(self.prices) if at <= begin), self.prices[0][1])
        if not inside:
            return first
        return sum(price * (until - at) for (at, price), (until, _) in pairwise([(begin, first), *inside, (end, 0.0)])) / self.slot_s
