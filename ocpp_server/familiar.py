"""Measurements that keep the schema, recognised by what was found to keep it before.

Nearly all that a depot hears is MeterValues of 1.6 and TransactionEvent of 2.x, and a station describes its values in the same
words for years: only numbers and times change. A description (all of a sampled value but the value; all of an event but its
number, times and the name of its transaction) that passed the strict validator passes it again, so it need not be looked at
word by word; whatever looks otherwise goes to the validator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

KNOWN_MOST = 2048
"""A bounded memory: made-up descriptions cannot fill it, they only cost the validator's time again."""

_TOP = ({"connectorId", "meterValue"}, {"connectorId", "transactionId", "meterValue"})
INTEGER_MOST = 2**53
NAME_MOST = 36
"""OCPP 2.x TransactionType.transactionId."""
_Description = tuple[object, ...]


class Familiar:
    """The descriptions that were seen to keep a message's schema. ``describe``: what of a payload is looked at; None where it is
    not of the plainest form."""

    def __init__(self, describe: Callable[[dict[str, Any]], list[_Description] | None]) -> None:
        self._describe = describe
        self._known: set[_Description] = set()

    def described(self, payload: dict[str, Any]) -> list[_Description] | None:
        """What to recognise a payload by, before the validator has filled in its schema's defaults; None: it is not plain."""
        return self._describe(payload)

    def knows(self, described: list[_Description] | None) -> bool:
        """Whether a payload so described surely keeps the schema. False says nothing."""
        return described is not None and self._known.issuperset(described)

    def learn(self, described: list[_Description] | None) -> None:
        """A payload so described has passed the strict validator."""
        if described is not None and len(self._known) < KNOWN_MOST:
            self._known.update(described)


def described_16(payload: dict[str, Any]) -> list[_Description] | None:
    """Of MeterValues.req, OCPP 1.6: every sampled value."""
    if payload.keys() not in _TOP or type(payload["connectorId"]) is not int or type(payload.get("transactionId", 0)) is not int:
        return None
    entries = payload["meterValue"]
    if type(entries) is not list or not entries:
        return None
    found: list[_Description] = []
    for entry in entries:
        if type(entry) is not dict or len(entry) != 2 or type(entry.get("timestamp")) is not str:
            return None
        values = entry.get("sampledValue")
        if type(values) is not list or not values:
            return None
        for value in values:
            if type(value) is not dict or type(value.get("value")) is not str:
                return None
            described = tuple([word for word in value.items() if word[0] != "value"])
            for _, word in described:
                if type(word) is not str:
                    return None
            found.append(described)
    return found


def described_2x(payload: dict[str, Any]) -> list[_Description] | None:
    """Of TransactionEvent and MeterValues, OCPP 2.x: every sampled value, and the rest of the event."""
    rest: list[object] = []
    found: list[_Description] = []
    for key, part in payload.items():
        kind = type(part)
        rest.append(key)
        if key == "meterValue":
            if not _sampled_2x(part, found):
                return None
        elif kind is dict:  # the EVSE, the transaction
            rest.append(dict)
            for inner, word in part.items():
                rest.append(inner)
                if inner == "transactionId":
                    if type(word) is not str or not 0 < len(word) <= NAME_MOST:
                        return None
                elif inner == "timeSpentCharging":
                    if type(word) is not int or not 0 <= word < INTEGER_MOST:
                        return None
                elif type(word) is str or type(word) is int:
                    rest.append(word)
                else:
                    return None
            rest.append(None)
        elif (key == "timestamp" and kind is str) or (key == "seqNo" and kind is int and 0 <= part < INTEGER_MOST):
            continue
        elif kind is str or kind is int:
            rest.append(part)
        elif kind is bool:
            rest.append("true" if part else "false")
            rest.append(kind)
        else:
            return None
    found.append(tuple(rest))
    return found


def _sampled_2x(entries: object, found: list[_Description]) -> bool:
    """Add the descriptions of all sampled values; whether they are of the plainest form."""
    if type(entries) is not list or not entries:
        return False
    for entry in entries:
        if type(entry) is not dict or len(entry) != 2 or type(entry.get("timestamp")) is not str:
            return False
        values = entry.get("sampledValue")
        if type(values) is not list or not values:
            return False
        for value in values:
            if type(value) is not dict:
                return False
            described: list[object] = []
            for key, word in value.items():
                kind = type(word)
                described.append(key)
                if key == "value":
                    if kind is not float and kind is not int:
                        return False
                elif kind is str:
                    described.append(word)
                elif key == "unitOfMeasure" and kind is dict and "unit" in word:  # else the unit is the schema's to say
                    described.append(dict)
                    for inner in word.items():
                        if type(inner[1]) is not str and type(inner[1]) is not int:
                            return False
                        described.append(inner)
                else:
                    return False
            found.append(tuple(described))
    return True
