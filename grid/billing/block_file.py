"""Meter blocks and earlier months out of tables (CSV), as a meter's load survey or a spreadsheet gives them.

    blocks    begins_at, minutes (15 unless said), import_wh or import_kwh; import_vah or import_kvah, export_wh, covered
    history   month, recorded, billing

``begins_at`` is ISO 8601; without an offset it is on the tariff's clock. Errors are :class:`BillingError` and name the row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from depot.metering import MeterBlock
from depot.values import InvalidValue
from grid import GridError
from grid.billing.values import BillingError, PastMonth
from grid.months import Month
from grid.tariff.numbers import exact_number

__all__ = ["read_blocks", "read_history"]

LONGEST = 20_000_000
_BLOCK = {"begins_at", "minutes", "import_wh", "import_kwh", "import_vah", "import_kvah", "export_wh", "covered"}
_HISTORY = {"month", "recorded", "billing"}


def read_blocks(text: str, zone: ZoneInfo) -> list[MeterBlock]:
    """The blocks of a table. Raises :class:`BillingError`."""
    found = []
    for where, row in _rows(text, _BLOCK, needed={"begins_at"}):
        wh = _energy(row, "import_wh", "import_kwh", where)
        if wh is None:
            raise BillingError(f"{where}: neither import_wh nor import_kwh")
        try:
            found.append(
                MeterBlock(
                    _moment(row["begins_at"], zone, where),
                    _whole(row.get("minutes") or "15", f"{where}, minutes"),
                    wh,
                    _energy(row, "import_vah", "import_kvah", where),
                    _whole(row.get("export_wh") or "0", f"{where}, export_wh"),
                    float(_number(row.get("covered") or "1", f"{where}, covered")),
                )
            )
        except InvalidValue as error:
            raise BillingError(f"{where}: {error}") from None
    return found


def read_history(text: str) -> dict[Month, PastMonth]:
    """Recorded and billing demand of earlier months. Raises :class:`BillingError`."""
    found: dict[Month, PastMonth] = {}
    for where, row in _rows(text, _HISTORY, needed=_HISTORY):
        try:
            month = Month.parse(row["month"])
        except GridError as error:
            raise BillingError(f"{where}: {error}") from None
        if month in found:
            raise BillingError(f"{where}: {month} again")
        recorded, billing = (_number(row[key], f"{where}, {key}") for key in ("recorded", "billing"))
        if recorded < 0 or billing < 0:
            raise BillingError(f"{where}: a demand is not negative")
        found[month] = PastMonth(recorded, billing)
    return found


def _rows(text: str, columns: set[str], *, needed: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
    if len(text) > LONGEST:
        raise BillingError(f"a table of {len(text):,} characters: no more than {LONGEST:,} are read")
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        names = set(reader.fieldnames or ())
        if not needed <= names or not names <= columns:
            raise BillingError(
                f"the table's columns are {', '.join(sorted(names)) or 'missing':.200}; it may have {', '.join(sorted(columns))}"
            )
        for number, row in enumerate(reader, 2):
            where = f"row {number}"
            if None in row or any(not (row[key] or "").strip() for key in needed):
                raise BillingError(f"{where}: needs {', '.join(sorted(needed))}, and no more cells than there are columns")
            yield where, {key: (value or "").strip() for key, value in row.items()}
    except csv.Error as error:
        raise BillingError(f"not a CSV file: {error}") from None


def _number(text: str, where: str) -> Fraction:
    try:
        return exact_number(text, where)
    except GridError as error:
        raise BillingError(str(error)) from None


def _whole(text: str, where: str) -> int:
    number = _number(text, where)
    if number.denominator != 1:
        raise BillingError(f"{where}: {text:.40} is not a whole number")
    return int(number)


def _energy(row: dict[str, str], units: str, thousands: str, where: str) -> int | None:
    """Whole Wh or VAh out of either column; None: both are empty."""
    if row.get(units) and row.get(thousands):
        raise BillingError(f"{where}: {units} and {thousands}; give one")
    if row.get(units):
        return _whole(row[units], f"{where}, {units}")
    if row.get(thousands):
        number = _number(row[thousands], f"{where}, {thousands}") * 1000
        if number.denominator != 1:
            raise BillingError(f"{where}, {thousands}: {row[thousands]:.40} has more than three decimals")
        return int(number)
    return None


def _moment(text: str, zone: ZoneInfo, where: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BillingError(f"{where}, begins_at: {text!r:.40} is not a time; write 2025-06-01T00:15 or 2025-05-31T18:45Z") from None
    if at.tzinfo is None:
        local = at.replace(tzinfo=zone)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            raise BillingError(f"{where}, begins_at: {text} comes twice or not at all on that day; write it with its offset")
        at = local
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise BillingError(f"{where}, begins_at: {text!r:.40} is no time of our calendar") from None
