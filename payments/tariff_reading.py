"""A driver tariff as somebody gives it: JSON of our own, or OCPI's Tariff object, alone or as the ``data`` of an OCPI answer."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from payments import InvalidTariff
from payments.driver_tariff import DriverTariff
from payments.tariff_ocpi import from_ocpi
from payments.tariff_text import MOST_BYTES, from_text

__all__ = ["read_tariff", "read_tariffs"]


def read_tariff(text: str | bytes) -> DriverTariff:
    """The one tariff of a text. Raises :class:`~payments.InvalidTariff`."""
    found = read_tariffs(text)
    if len(found) != 1:
        raise InvalidTariff(f"there are {len(found)} tariffs in here; give one at a time")
    return found[0]


def read_tariffs(text: str | bytes) -> list[DriverTariff]:
    """All tariffs of a text: one of ours; or OCPI's, one, a list, or an answer of an OCPI server. Raises
    :class:`~payments.InvalidTariff` with the place of what is wrong."""
    if len(text) > MOST_BYTES:
        raise InvalidTariff(f"a tariff has at most {MOST_BYTES // 1024} KiB")
    try:
        data: Any = json.loads(text, parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise InvalidTariff(f"this is no JSON: {error}") from None
    if isinstance(data, dict) and "schema" in data:
        return [from_text(text)]
    if isinstance(data, dict) and "status_code" in data and "data" in data:
        data = data["data"]
    if isinstance(data, list):
        if not data:
            raise InvalidTariff("there is no tariff in here")
        return [_of(one, f"[{place}]: ") for place, one in enumerate(data)]
    return [_of(data, "")]


def _of(data: object, where: str) -> DriverTariff:
    try:
        if not isinstance(data, dict):
            raise InvalidTariff("a tariff is an object {…}")
        return from_ocpi(data)
    except InvalidTariff as error:
        raise InvalidTariff(f"{where}{error}") from None
