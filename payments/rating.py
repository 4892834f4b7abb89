"""What a session costs under a driver's tariff: exact until each line is rounded once. Pure.

    readings of the register ──pieces at each change of a price──> quantity per element and kind ──> lines ──> taxable value

* Energy is that between two readings, taken as drawn evenly; a price that changes between them splits it in proportion to
  time, a price that changes at an energy splits it there. What is so split is told (``split_wh``).
* A register that falls never makes a negative line. Below the session's first reading it has begun again and is counted on
  from there; what it did not count is not charged. A fall above that is not counted twice. Both are told.
* TIME runs from the start until the vehicle is full or the session has ended; IDLE from then, after the grace, until it
  has gone. What the depot itself held back (``held``) counts as neither.
* Nothing delivered: nothing is due, unless a flat charge says so (``without_energy``).
* Each line is its exact quantity times its exact price, rounded half up to a paisa, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from payments import InvalidBill
from payments.driver_tariff import UNITS, Component, DriverTariff, Kind, Unit
from payments.money import round_half_up

__all__ = ["Rated", "RatedLine", "Reading", "SessionFacts", "Span", "rate"]

_PER_UNIT = {Kind.ENERGY: 1000, Kind.TIME: 3600, Kind.IDLE: 3600, Kind.FLAT: 1}
_GAP = timedelta(hours=1)
"""Readings that are further apart are told of: the prices between them are only as good as an even draw."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The session's register at a moment, Wh."""

    at: datetime
    register_wh: int


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since`` until ``until``, which does not count."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.until < self.since:
            raise InvalidBill(f"a time from {self.since} to {self.until} ends before it begins")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What was measured. ``readings``: oldest first, the first at the start and the last at the end. ``full_at``: when the vehicle
    took no more by its own choice, and began no more; None: never before the end. ``gone_at``: when it was unplugged; None: it is not
    known, then no idle time counts. ``held``: when the depot kept power from it, apart from each other."""

    readings: tuple[Reading, ...]
    full_at: datetime | None = None
    gone_at: datetime | None = None
    held: tuple[Span, ...] = ()
    estimated: bool = False

    def __post_init__(self) -> None:
        if len(self.readings) < 2:
            raise InvalidBill("a session has a register reading at its start and one at its end")
        if any(later.at < earlier.at for earlier, later in pairwise(self.readings)):
            raise InvalidBill("the register's readings are not in the order of time")
        if any(later.since < earlier.until for earlier, later in pairwise(self.held)):
            raise InvalidBill("the times in which the depot held power back overlap")

    @property
    def started_at(self) -> datetime:
        """The first reading's time."""
        return self.readings[0].at

    @property
    def ended_at(self) -> datetime:
        """The last reading's time."""
        return self.readings[-1].at

    @property
    def finished_at(self) -> datetime:
        """When it was full, at the latest the session's end."""
        return self.ended_at if self.full_at is None else min(max(self.full_at, self.started_at), self.ended_at)


@dataclass(frozen=True, slots=True)
class RatedLine:
    """``quantity`` in ``unit``, exact; ``element``: whose price it is, from 0; -1: the least or most price of a session."""

    kind: Kind
    element: int
    quantity: Fraction
    unit: Unit
    price_paise: Fraction
    amount_paise: int
    words: str


@dataclass(frozen=True, slots=True)
class Rated:
    """``taxable_paise``: the sum of the lines. ``split_wh``: energy whose price is an even share of an interval. ``remarks``:
    what people should know of the measurement."""

    lines: tuple[RatedLine, ...]
    energy_wh: int
    taxable_paise: int
    split_wh: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a session over which no price changes. ``since``, ``until`` in exact seconds from the start."""

    since_s: Fraction
    until_s: Fraction
    energy_wh: Fraction
    middle_s: Fraction
    middle_wh: Fraction


def rate(tariff: DriverTariff, facts: SessionFacts) -> Rated:
    """The lines of a session's bill, without tax, and what is to be said of them. Raises :class:`~payments.InvalidBill`."""
    counts, remarks = _counts(facts)
    energy_wh = sum(wh for _, _, wh in counts)
    quantities: dict[tuple[Kind, int], Fraction] = {}
    prices: dict[tuple[Kind, int], Component] = {}

    def add(kind: Kind, found: tuple[int, Component] | None, quantity: Fraction) -> None:
        if found is not None and quantity:
            key = (kind, found[0])
            prices[key] = found[1]
            quantities[key] = quantities.get(key, Fraction(0)) + quantity

    split_wh = Fraction(0)
    energy_then: list[tuple[Fraction, Fraction, Fraction]] = []  # since, until, Wh before: for durations
    before_wh = Fraction(0)
    for since, until, wh in counts:
        pieces = list(_pieces(tariff, facts, since, until, wh, before_wh))
        used = set()
        for piece in pieces:
            found = tariff.find(Kind.ENERGY, _at(facts, piece.middle_s), piece.middle_wh, piece.middle_s)
            used.add(None if found is None else found[0])
            if energy_wh:
                add(Kind.ENERGY, found, piece.energy_wh)
                energy_then.append((piece.since_s, piece.until_s, piece.middle_wh))
        if len(used) > 1:
            split_wh += wh
        before_wh += wh
    if energy_wh:
        for kind, spans in ((Kind.TIME, _time(facts)), (Kind.IDLE, _idle(facts, tariff.idle_grace))):
            for since_s, until_s in spans:
                for begin, end, so_far in _stretches(tariff, facts, since_s, until_s, energy_then, Fraction(energy_wh)):
                    middle = (begin + end) / 2
                    add(kind, tariff.find(kind, _at(facts, middle), so_far, middle), end - begin)
    flat = tariff.find(Kind.FLAT, facts.started_at, Fraction(0), Fraction(0))
    if flat is not None and (energy_wh or flat[1].without_energy):
        add(Kind.FLAT, flat, Fraction(1))
    lines = [_line(tariff, key, prices[key], quantity) for key, quantity in sorted(quantities.items(), key=_order)]
    lines = [line for line in lines if line.amount_paise or line.kind is Kind.ENERGY]
    lines += _bounds(tariff, sum(line.amount_paise for line in lines), energy_wh)
    if split_wh:
        remarks.append(f"{_kwh(round_half_up(split_wh))} kWh were measured over a change of price and are shared out by time")
    if facts.estimated:
        remarks.append("the station told no end of the session: it ends with its last reading")
    if facts.gone_at is None and tariff.counts_idle and energy_wh:
        remarks.append("when the vehicle was unplugged is not known: no idle time is charged")
    return Rated(tuple(lines), energy_wh, sum(line.amount_paise for line in lines), round_half_up(split_wh), tuple(remarks))


# -- energy -----------------------------------------------------------------------------------------------------------


def _counts(facts: SessionFacts) -> tuple[list[tuple[Fraction, Fraction, int]], list[str]]:
    """Energy between two readings; never negative, and none twice."""
    found = []
    highest = base = facts.readings[0].register_wh
    fell, began_again, gap = False, 0, timedelta()
    for earlier, later in pairwise(facts.readings):
        wh = 0
        if later.register_wh < base:
            began_again += 1
            highest = base = later.register_wh
        elif later.register_wh < highest:
            fell = True
        else:
            wh = later.register_wh - highest
            highest = later.register_wh
        if wh:
            gap = max(gap, later.at - earlier.at)
        found.append((_s(facts, earlier.at), _s(facts, later.at), wh))
    remarks = []
    if began_again:
        remarks.append(f"the register began again {began_again} time{'s' if began_again > 1 else ''}: what it did not count is not charged")
    if fell:
        remarks.append("the register fell for a while: no energy is charged twice")
    if gap > _GAP:
        remarks.append(f"no reading for {int(gap.total_seconds()) // 60} min: the energy in between is taken as drawn evenly")
    return found, remarks


def _pieces(tariff: DriverTariff, facts: SessionFacts, since: Fraction, until: Fraction, wh: int, before_wh: Fraction) -> Iterator[_Piece]:
    """An interval, cut where a price may change: by the clock, by duration, or by energy."""
    cuts = {Fraction(0), Fraction(1)}
    length = until - since
    if length and wh:
        cuts |= {(at - since) / length for at in _changes(tariff, facts, since, until)}
    if wh:
        cuts |= {(level - before_wh) / wh for level in _levels(tariff)}
    inside = sorted(cut for cut in cuts if 0 <= cut <= 1)
    for low, high in pairwise(inside):
        middle = (low + high) / 2
        yield _Piece(since + low * length, since + high * length, (high - low) * wh, since + middle * length, before_wh + middle * wh)


def _levels(tariff: DriverTariff) -> set[int]:
    limits = [element.restrictions for element in tariff.elements]
    return {level for r in limits for level in (r.min_wh, r.max_wh) if level is not None}


def _changes(tariff: DriverTariff, facts: SessionFacts, since_s: Fraction, until_s: Fraction) -> Iterator[Fraction]:
    """Seconds from the start at which the clock or the duration may change a price, in between."""
    for element in tariff.elements:
        for seconds in (element.restrictions.min_s, element.restrictions.max_s):
            if seconds is not None and since_s < seconds < until_s:
                yield Fraction(seconds)
    times = tariff.clock_times
    if not times:
        return
    day = _at(facts, since_s).astimezone(tariff.timezone).date() - timedelta(days=1)
    last = _at(facts, until_s).astimezone(tariff.timezone).date() + timedelta(days=1)
    while day <= last:
        for clock in times:
            second = _s(facts, datetime.combine(day, clock, tzinfo=tariff.timezone))
            if since_s < second < until_s:
                yield second
        day += timedelta(days=1)


# -- time -------------------------------------------------------------------------------------------------------------


def _time(facts: SessionFacts) -> list[tuple[Fraction, Fraction]]:
    return _without_held(facts, Fraction(0), _s(facts, facts.finished_at))


def _idle(facts: SessionFacts, grace: timedelta) -> list[tuple[Fraction, Fraction]]:
    if facts.gone_at is None:
        return []
    return _without_held(facts, _s(facts, facts.finished_at + grace), _s(facts, facts.gone_at))


def _without_held(facts: SessionFacts, since: Fraction, until: Fraction) -> list[tuple[Fraction, Fraction]]:
    spans, begin = [], since
    for held in facts.held:
        from_s, to_s = _s(facts, held.since), _s(facts, held.until)
        if begin < min(from_s, until):
            spans.append((begin, min(from_s, until)))
        begin = max(begin, to_s)
    return [*spans, (begin, until)] if begin < until else spans


def _stretches(
    tariff: DriverTariff, facts: SessionFacts, since: Fraction, until: Fraction, energy: Sequence[tuple[Fraction, Fraction, Fraction]],
    all_wh: Fraction,
) -> Iterator[tuple[Fraction, Fraction, Fraction]]:  # fmt: skip
    """A time, cut where a price may change, with the session's energy in the middle of each piece."""
    cuts = {since, until, *_changes(tariff, facts, since, until)}
    if _levels(tariff):
        cuts |= {edge for begin, end, _ in energy for edge in (begin, end) if since < edge < until}
    for begin, end in pairwise(sorted(cuts)):
        middle = (begin + end) / 2
        yield begin, end, next((so_far for low, high, so_far in energy if low <= middle < high), all_wh)


# -- lines ------------------------------------------------------------------------------------------------------------


def _line(tariff: DriverTariff, key: tuple[Kind, int], price: Component, quantity: Fraction) -> RatedLine:
    kind, place = key
    counted = -(-quantity // price.step) * price.step if price.step > 1 else quantity
    amount = Fraction(counted) / _PER_UNIT[kind]
    return RatedLine(
        kind, place, amount, UNITS[kind], price.price_paise, round_half_up(amount * price.price_paise), _words(tariff, kind, place)
    )


def _bounds(tariff: DriverTariff, total: int, energy_wh: int) -> list[RatedLine]:
    """The least and the most price, as a line that makes up the difference; of sessions with energy only."""
    if not energy_wh:
        return []
    if tariff.min_paise is not None and total < tariff.min_paise:
        missing = tariff.min_paise - total
        return [RatedLine(Kind.FLAT, -1, Fraction(1), Unit.SESSION, Fraction(missing), missing, "Up to the least price of a session")]
    if tariff.max_paise is not None and total > tariff.max_paise:
        over = tariff.max_paise - total
        return [RatedLine(Kind.FLAT, -1, Fraction(1), Unit.SESSION, Fraction(over), over, "Down to the most price of a session")]
    return []


_NAMES = {
    Kind.ENERGY: "Charging energy",
    Kind.TIME: "Charging time",
    Kind.IDLE: "Idle time after full",
    Kind.FLAT: "Charge for the session",
}


def _words(tariff: DriverTariff, kind: Kind, place: int) -> str:
    parts = tariff.elements[place].restrictions.words()
    return f"{_NAMES[kind]} ({'; '.join(parts)})" if parts else _NAMES[kind]


def _order(item: tuple[tuple[Kind, int], Fraction]) -> tuple[int, int]:
    (kind, place), _ = item
    return tuple(Kind).index(kind), place


def _kwh(wh: int) -> str:
    return f"{wh / 1000:.3f}".rstrip("0").rstrip(".")


def _s(facts: SessionFacts, at: datetime) -> Fraction:
    span = at.astimezone(UTC) - facts.started_at.astimezone(UTC)
    return Fraction(span.days * 86_400 + span.seconds) + Fraction(span.microseconds, 1_000_000)


def _at(facts: SessionFacts, seconds: Fraction) -> datetime:
    """To the microsecond; pieces are cut so that a middle lies well inside."""
    return facts.started_at + timedelta(microseconds=int(seconds * 1_000_000))
