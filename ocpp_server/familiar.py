"""Meter values that keep the schema, recognised by what was found to keep it before.

Nearly all that a depot hears is MeterValues of 1.6, and a station describes its values in the same words for years: only
numbers and times change. A description (all of a sampled value but the value) that passed the strict validator passes it
again, so it need not be looked at word by word; whatever looks otherwise goes to the validator.
"""

from __future__ import annotations

from typing import Any

KNOWN_MOST = 2048
"""A bounded memory: made-up descriptions cannot fill it, they only cost the validator's time again."""

_TOP = ({"connectorId", "meterValue"}, {"connectorId", "transactionId", "meterValue"})
_Description = tuple[tuple[str, str], ...]


class FamiliarMeterValues:
    """The descriptions that were seen to keep the schema of MeterValues.req, OCPP 1.6."""

    def __init__(self) -> None:
        self._known: set[_Description] = set()

    def knows(self, payload: dict[str, Any]) -> bool:
        """Whether this payload surely keeps the schema. False says nothing."""
        described = descriptions(payload)
        return described is not None and self._known.issuperset(described)

    def learn(self, payload: dict[str, Any]) -> None:
        """This payload has passed the strict validator."""
        if len(self._known) < KNOWN_MOST:
            self._known.update(descriptions(payload) or ())


def descriptions(payload: dict[str, Any]) -> list[_Description] | None:
    """Of every sampled value; None where the rest of the payload is not of the plainest form."""
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
