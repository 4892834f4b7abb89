"""Changes and cells as people type them.

    limit=-50kW   limit=800kW@18:00-22:00   feeder:B=+10%   price=x1.2@18:00-22:00   contract=+50kW   vehicles=+2
    vehicles:bus-17=+1   charger:bus-17=down   charger:bus-17=22kW   depart:bus-17=+30min   arrive:bus-17=+1h   need:bus-17=+20kWh

A signed amount is added, an unsigned one takes the place of what is there, % and x multiply. Several changes at once: with commas.
Times are those of the problem's clock.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from datetime import tzinfo

from optimizer.errors import InvalidProblem
from optimizer.problem import Problem
from optimizer.what_if_values import Change, ChangeKind, How

EXAMPLES = "limit=-50kW, feeder:B=+10%, price=x1.2@18:00-22:00, contract=+50kW, vehicles=+1, charger:bus-17=down, depart:bus-17=+30min"

_KINDS = {
    "limit": (ChangeKind.LIMIT, "kw", False),
    "feeder": (ChangeKind.FEEDER, "kw", True),
    "cap": (ChangeKind.CAP, "kw", True),
    "price": (ChangeKind.PRICE, "", False),
    "contract": (ChangeKind.CONTRACT, "kw", False),
    "vehicles": (ChangeKind.MORE, "", None),
    "charger": (ChangeKind.CHARGER, "kw", True),
    "depart": (ChangeKind.DEPART, "min", True),
    "arrive": (ChangeKind.ARRIVE, "min", True),
    "need": (ChangeKind.NEED, "kwh", True),
}
"""Word: kind, unit, whether it names something (None: it may)."""

_VALUE = re.compile(r"(?P<sign>[+\-−]?)(?P<times>[x×*]?)(?P<number>\d+(\.\d+)?)\s*(?P<unit>%|kWh|kW|min|h)?", re.IGNORECASE)
_SPAN = re.compile(r"(?P<text>.*)@(?P<start>\d{1,2}:\d{2})-(?P<end>\d{1,2}:\d{2})")
_SPANNED = (ChangeKind.LIMIT, ChangeKind.FEEDER, ChangeKind.CAP, ChangeKind.PRICE, ChangeKind.CHARGER)


def read_changes(text: str, problem: Problem, zone: tzinfo | None = None) -> tuple[Change, ...]:
    """Changes separated by commas; raises :class:`InvalidProblem` that says what was not understood and how it is written."""
    return tuple(_read(part.strip(), problem, zone) for part in text.split(","))


def slot_of(text: str, problem: Problem, zone: tzinfo | None = None) -> int:
    """The slot that holds a time of day, the first such in the horizon; raises :class:`InvalidProblem`."""
    slot = int(_minutes_ahead(text, problem, zone) // problem.slot_minutes)
    if slot >= problem.n_slots:
        raise InvalidProblem(f"{text} is not within the horizon, which has {problem.n_slots * problem.slot_h:g} hours")
    return slot


def _read(text: str, problem: Problem, zone: tzinfo | None) -> Change:
    span = _SPAN.fullmatch(text)
    head, _, value = (span["text"] if span else text).rpartition("=")
    word, _, target = head.partition(":")
    if not head or word not in _KINDS:
        near = difflib.get_close_matches(word or value, _KINDS, n=1)
        hint = f"; {near[0]!r} is probably meant" if near else ""
        raise InvalidProblem(f"{text!r} is no change{hint}. Examples: {EXAMPLES}")
    kind, unit, named = _KINDS[word]
    if named is not None and named != bool(target):
        raise InvalidProblem(f"{text!r}: {f'say which, as in {word}:NAME={value}' if named else f'{word} names nothing: {word}={value}'}")
    change = _value(text, kind, unit, target, value)
    if span is None:
        return change
    if kind not in _SPANNED:
        raise InvalidProblem(f"{text!r}: hours of the day are for limits, prices and chargers")
    start, end = (_minutes_ahead(span[edge], problem, zone) / problem.slot_minutes for edge in ("start", "end"))
    day = 24 / problem.slot_h
    until = min(end if end > start else end + day, problem.n_slots)
    if start >= problem.n_slots:
        raise InvalidProblem(f"{text!r}: {span['start']} is not within the horizon")
    return replace(change, from_slot=int(start), until_slot=max(int(until), int(start) + 1))


def _value(text: str, kind: ChangeKind, unit: str, target: str, value: str) -> Change:
    if kind is ChangeKind.CHARGER and value == "down":
        return Change(kind, 0.0, How.TO, target)
    found = _VALUE.fullmatch(value.strip())
    if found is None:
        raise InvalidProblem(f"{text!r}: {value!r} is no amount. Examples: {EXAMPLES}")
    sign = -1.0 if found["sign"] in ("-", "−") else 1.0
    amount, said = sign * float(found["number"]), (found["unit"] or "").lower()
    if kind in (ChangeKind.DEPART, ChangeKind.ARRIVE) and said == "h":
        amount, said = 60 * amount, "min"
    if said == "%":
        if kind in (ChangeKind.MORE, ChangeKind.DEPART, ChangeKind.ARRIVE):
            raise InvalidProblem(f"{text!r}: a share makes no sense here")
        return Change(kind, 1 + amount / 100 if found["sign"] else amount / 100, How.TIMES, target)
    if said not in ("", unit):
        raise InvalidProblem(f"{text!r}: {unit or 'no unit'} is expected, not {found['unit']}")
    if found["times"]:
        return Change(kind, amount, How.TIMES, target)
    by = bool(found["sign"]) or kind in (ChangeKind.MORE, ChangeKind.DEPART, ChangeKind.ARRIVE)
    return Change(kind, amount, How.BY if by else How.TO, target)


def _minutes_ahead(text: str, problem: Problem, zone: tzinfo | None) -> float:
    """From the problem's beginning to the next time that the clock shows this."""
    hour, _, minute = text.partition(":")
    if not (hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60):
        raise InvalidProblem(f"{text!r} is no time of day; write 02:15")
    start = problem.t0 if zone is None else problem.t0.astimezone(zone)
    return (int(hour) * 60 + int(minute) - start.hour * 60 - start.minute) % (24 * 60)
