"""MeterValues of OCPP 2.0.1 in the shape that :mod:`ocpp_server.meter_values` reads (1.6 §7.33). Pure.

The value is a number with a unit and a power of ten beside it; there is no ``format``, and signed data stand apart: they are
kept as they are, for they prove a bill, and only the meter's maker can read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from depot.events import SignedReading
from ocpp_server.meter_values import ENERGY
from ocpp_server.skew import parse_time
from ocpp_server.stop_data import SIGNED_LENGTH, SIGNED_MOST

BEGIN, END, PERIODIC = "Transaction.Begin", "Transaction.End", "Sample.Periodic"
_ORDER = {BEGIN: 0, END: 2}
_LARGEST_POWER = 12
_UNREADABLE = "?"
"""A unit that no measurand has: the value is rejected, and counted, where units are checked."""


def as_16(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """MeterValues; what a value does not have stays out, and defaults are the same in both versions.

    The last event of a transaction may give its first and last register in one entry: each context gets an entry of its
    own, the beginning first and the end last.
    """
    made = []
    for entry in entries:
        values = entry["sampledValue"]
        if not any("context" in value for value in values):
            made.append({"timestamp": entry["timestamp"], "sampledValue": [_value(value) for value in values]})
            continue
        by_context: dict[str, list[dict[str, Any]]] = {}
        for value in values:
            by_context.setdefault(value.get("context", PERIODIC), []).append(_value(value))
        for context in sorted(by_context, key=lambda context: _ORDER.get(context, 1)):
            made.append({"timestamp": entry["timestamp"], "sampledValue": by_context[context]})
    return made


def _value(value: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(value)
    said = made.pop("unitOfMeasure", None)
    if said is None:
        return made
    power, unit = said.get("multiplier", 0), said.get("unit", "")
    if power:
        if abs(power) > _LARGEST_POWER:
            unit = _UNREADABLE
        elif abs(made["value"]) < 1e15:
            made["value"] *= 10.0**power
    made["unit"] = unit
    return made


def signed_in(entries: Sequence[Mapping[str, Any]], rejected: Counter[str]) -> tuple[SignedReading, ...]:
    """The values that the meter signed: the whole ``signedMeterValue`` as JSON, with its method, encoding and public key."""
    found = []
    for entry in entries:
        for value in entry["sampledValue"]:
            if "signedMeterValue" not in value:
                continue
            text = msgspec.json.encode(value["signedMeterValue"]).decode()
            if len(text) > SIGNED_LENGTH:
                rejected["signed_value_too_long"] += 1
                continue
            context, measurand = value.get("context", PERIODIC), value.get("measurand", ENERGY)
            found.append(SignedReading(parse_time(entry["timestamp"]), context, measurand, text))
    return tuple(found)


def with_signed(kept: tuple[SignedReading, ...], more: tuple[SignedReading, ...]) -> tuple[SignedReading, ...]:
    """A transaction's signed values with some more: its first and its last ones stay."""
    joined = kept + more
    return joined if len(joined) <= SIGNED_MOST else joined[: SIGNED_MOST // 2] + joined[-SIGNED_MOST // 2 :]
