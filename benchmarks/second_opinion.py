"""A session's invoice worked out a second time, in another way, with nothing of the program: the judge of ``benchmarks.invoice_oracle``.

The program cuts a session where a price may change and asks in the middle of each piece which element holds. Here each element is the set
of all moments at which it holds, made by cutting and joining intervals; what an earlier element has taken is taken out of the later
ones, and what is left is measured. Input is plain data: the tariff's JSON, epoch seconds, watt-hours. All numbers are fractions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any

__all__ = ["Opinion", "corrected_readings", "gstin_check", "opinion", "rate_on", "tax_of"]

IST_S = 19_800
DAY_S = 86_400
ZERO, ONE = Fraction(0), Fraction(1)
Intervals = list[tuple[Fraction, Fraction]]
"""Apart from each other, in order."""

_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a session over which energy runs evenly: from second to second, from Wh to Wh."""

    from_s: int
    to_s: int
    from_wh: int
    to_wh: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """``lines``: paise by kind and element, those of 0 left out; ``bound``: what least or most price add."""

    lines: Mapping[tuple[str, int], int]
    bound: int
    energy_wh: int
    taxable: int


def opinion(tariff: Mapping[str, Any], session: Mapping[str, Any]) -> Opinion:
    """What the session costs without tax. ``session``: readings [[second, Wh]], full, gone (seconds or None), held [[second, second]]."""
    segments = _cleaned(session["readings"])
    start_s, end_s = segments[0].from_s, segments[-1].to_s
    total_wh = segments[-1].to_wh
    amounts: dict[tuple[str, int], Fraction] = {}
    elements = tariff["elements"]
    if total_wh:
        for segment in segments:
            for place, part in _shares(elements, "energy", segment, start_s):
                key = ("energy", place)
                amounts[key] = amounts.get(key, ZERO) + part * (segment.to_wh - segment.from_wh)
        full_s = end_s if session["full"] is None else min(max(session["full"], start_s), end_s)
        grace_s = max((_number(e["idle"].get("grace_min", 0)) * 60 for e in elements if "idle" in e), default=ZERO)
        windows = [("time", Fraction(start_s), Fraction(full_s), segments)]
        if session["gone"] is not None:
            stay = [*segments, Segment(end_s, max(end_s, session["gone"]), total_wh, total_wh)]
            windows.append(("idle", full_s + grace_s, Fraction(session["gone"]), stay))
        for kind, from_s, to_s, parts in windows:
            open_ = _minus([(from_s, to_s)] if from_s < to_s else [], [(Fraction(a), Fraction(b)) for a, b in session["held"]])
            for segment in parts:
                length = segment.to_s - segment.from_s
                if not length:
                    continue
                wanted = [((a - segment.from_s) / length, (b - segment.from_s) / length) for a, b in open_]
                for place, part in _shares(elements, kind, segment, start_s, within=_clip(wanted)):
                    key = (kind, place)
                    amounts[key] = amounts.get(key, ZERO) + part * length
    flat = next((place for place, e in enumerate(elements) if "flat" in e and _holds_at_start(e.get("when", {}), start_s)), None)
    if flat is not None and (total_wh or elements[flat]["flat"].get("without_energy")):
        amounts["flat", flat] = ONE
    lines = {key: _amount(elements[key[1]][key[0]], key[0], quantity) for key, quantity in amounts.items()}
    lines = {key: paise for key, paise in lines.items() if paise}
    net, bound = sum(lines.values()), 0
    if total_wh:
        if "min_price" in tariff:
            bound = max(0, _half_up(_number(tariff["min_price"]) * 100) - net)
        if "max_price" in tariff and not bound:
            bound = min(0, _half_up(_number(tariff["max_price"]) * 100) - net)
    return Opinion(lines, bound, total_wh, net + bound)


def tax_of(taxable: int, *, percent: Fraction, other_state: bool, whole_rupees: bool) -> tuple[int, int, int, int, int]:
    """CGST, SGST, IGST, round-off, total."""
    half = _half_up(taxable * percent / 200)
    cgst, sgst, igst = (0, 0, _half_up(taxable * percent / 100)) if other_state else (half, half, 0)
    exact = taxable + cgst + sgst + igst
    off = (50 - (exact + 50) % 100) if whole_rupees else 0
    return cgst, sgst, igst, off, exact + off


def corrected_readings(readings: Sequence[tuple[int, int]], energy_wh: int) -> list[tuple[int, int]]:
    """The session with another energy: each count in proportion, rounded down to a watt-hour; evenly where nothing was counted."""
    counts = [0]
    for segment in _cleaned(readings):
        counts.append(segment.to_wh)
    if counts[-1] == 0:
        return [(readings[0][0], 0), (readings[-1][0], energy_wh)]
    return [(at, int(Fraction(count * energy_wh, counts[-1]))) for (at, _), count in zip(readings, counts, strict=True)]


def gstin_check(first_14: str) -> str:
    """The check sign, by the table of doubled values."""
    total = 0
    for place, sign in enumerate(first_14):
        value = _SIGNS.index(sign)
        if place % 2:
            value *= 2
            value = value - 35 if value > 35 else value
        total += value
    return _SIGNS[(36 - total % 36) % 36]


def rate_on(day: date, base: tuple[Fraction, str], changes: Sequence[tuple[date, Fraction, str]]) -> tuple[Fraction, str]:
    """Percent and code that hold on a day."""
    found = base
    for since, percent, sac in sorted(changes):
        if since <= day:
            found = (percent, sac)
    return found


# -- energy ----------------------------------------------------------------------------------------------------------


def _cleaned(readings: Sequence[Sequence[int]]) -> list[Segment]:
    """Counts from 0 that never fall. Below where it began a register has begun again; another fall waits until it is made good."""
    found, floor, top, so_far = [], readings[0][1], readings[0][1], 0
    for (from_s, _), (to_s, wh) in pairwise(readings):
        grown = 0
        if wh < floor:
            floor = top = wh
        elif wh > top:
            grown, top = wh - top, wh
        found.append(Segment(from_s, to_s, so_far, so_far + grown))
        so_far += grown
    return found


# -- where an element holds ------------------------------------------------------------------------------------------


def _shares(
    elements: Sequence[Mapping[str, Any]], kind: str, segment: Segment, start_s: int, *, within: Intervals | None = None
) -> Iterable[tuple[int, Fraction]]:
    """Of each element with this kind of price the share of the segment that is its own."""
    left = [(ZERO, ONE)] if within is None else within
    for place, element in enumerate(elements):
        if kind not in element or not left:
            continue
        mine = _both(left, _where(element.get("when", {}), segment, start_s))
        left = _minus(left, mine)
        share = sum((b - a for a, b in mine), ZERO)
        if share:
            yield place, share


def _where(when: Mapping[str, Any], segment: Segment, start_s: int) -> Intervals:
    """The part of a segment in which all restrictions hold, as shares of it."""
    found: Intervals = [(ZERO, ONE)]
    length, drawn = segment.to_s - segment.from_s, segment.to_wh - segment.from_wh
    times: list[list[tuple[Fraction | int, Fraction | int]]] = []
    if "from" in when:
        times.append(_daily(_clock(when["from"]), _clock(when["to"]), segment))
    if "days" in when:
        numbers = {_NAMES.index(day[:3].lower()) for day in when["days"]}
        times.append([(a, b) for a, b, weekday in _days(segment) if weekday in numbers])
    if "from_date" in when or "to_date" in when:
        since = _day_begins(when["from_date"]) if "from_date" in when else -(10**12)
        until = _day_begins(when["to_date"]) if "to_date" in when else 10**12
        times.append([(since, until)])
    if "from_min" in when or "to_min" in when:
        since_s = start_s + _number(when.get("from_min", 0)) * 60
        until_s = start_s + _number(when["to_min"]) * 60 if "to_min" in when else Fraction(10**12)
        times.append([(since_s, until_s)])
    for spans in times:
        found = _both(found, _of_line(spans, segment.from_s, length))
    if "from_kwh" in when or "to_kwh" in when:
        least = _number(when.get("from_kwh", 0)) * 1000
        most = _number(when["to_kwh"]) * 1000 if "to_kwh" in when else Fraction(10**12)
        found = _both(found, _of_line([(least, most)], segment.from_wh, drawn))
    return found


def _of_line(spans: Sequence[tuple[Fraction | int, Fraction | int]], begin: int, length: int) -> Intervals:
    """Where a value that runs evenly from ``begin`` by ``length`` lies in one of the half-open spans."""
    if not length:
        return [(ZERO, ONE)] if any(a <= begin < b for a, b in spans) else []
    return _clip([(Fraction(a - begin) / length, Fraction(b - begin) / length) for a, b in spans])


def _holds_at_start(when: Mapping[str, Any], start_s: int) -> bool:
    return bool(_where(when, Segment(start_s, start_s, 0, 0), start_s))


def _days(segment: Segment) -> Iterable[tuple[int, int, int]]:
    """Indian days around a segment, with their weekday from 0."""
    first = (segment.from_s + IST_S) // DAY_S
    last = (segment.to_s + IST_S) // DAY_S
    for number in range(first - 1, last + 2):
        begin = number * DAY_S - IST_S
        yield begin, begin + DAY_S, (number + 3) % 7  # 1 Jan 1970 was a Thursday


def _daily(from_s: int, to_s: int, segment: Segment) -> list[tuple[Fraction | int, Fraction | int]]:
    """A window of the clock on all days; one that ends at its beginning or before ends on the next day."""
    if from_s == to_s:
        return [(segment.from_s, segment.to_s + 1)]
    until = to_s if to_s > from_s else to_s + DAY_S
    return [(begin + from_s, begin + until) for begin, _, _ in _days(segment)]


def _day_begins(text: str) -> int:
    return (date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()) * DAY_S - IST_S


def _clock(text: str) -> int:
    hours, minutes, *seconds = (int(part) for part in text.split(":"))
    return (hours % 24) * 3600 + minutes * 60 + (seconds[0] if seconds else 0)


# -- intervals -------------------------------------------------------------------------------------------------------


def _clip(spans: Iterable[tuple[Fraction, Fraction]]) -> Intervals:
    """Within 0 and 1, joined where they touch."""
    found: Intervals = []
    for a, b in sorted((max(a, ZERO), min(b, ONE)) for a, b in spans):
        if a >= b:
            continue
        if found and a <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], b))
        else:
            found.append((a, b))
    return found


def _both(one: Intervals, other: Intervals) -> Intervals:
    return [(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) < min(b, d)]


def _minus(one: Intervals, other: Intervals) -> Intervals:
    for c, d in other:
        kept = []
        for a, b in one:
            if c < b and d > a:
                kept += [(x, y) for x, y in ((a, max(a, c)), (min(b, d), b)) if x < y]
            else:
                kept.append((a, b))
        one = kept
    return one


# -- amounts ---------------------------------------------------------------------------------------------------------


def _amount(words: Mapping[str, Any], kind: str, quantity: Fraction) -> int:
    """Paise of a line: its quantity in steps, times its price, rounded once."""
    step = int(_number(words.get("step_wh", words.get("step_s", 1))))
    if step > 1:
        steps = quantity / step
        quantity = Fraction(step * (steps.numerator // steps.denominator + bool(steps.numerator % steps.denominator)))
    unit = {"energy": 1000, "time": 3600, "idle": 3600, "flat": 1}[kind]
    return _half_up(quantity * _number(words["price"]) * 100 / unit)


def _half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def _number(value: object) -> Fraction:
    return Fraction(str(value))
