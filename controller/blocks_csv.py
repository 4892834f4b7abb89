"""Blocks out of a billing meter as people get them: a CSV of time, kWh and kVAh, one line a block. Pure.

    time,kwh,kvah                    times ISO 8601; without a zone they are the depot's local clock
    2026-10-01 00:00,12.345,12.9     the block that BEGINS then; kvah and export_kwh may be missing

A file is taken whole or not at all; each mistake is named with its line.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from depot.metering import MeterBlock
from depot.values import InvalidValue

LINES_MOST = 3_200
"""A month of quarters and a little more."""

COMPLAINTS_MOST = 5

_NUMBER = re.compile(r"\d{1,9}(\.\d{1,6})?", re.ASCII)
_COLUMNS = {"time", "kwh", "kvah", "export_kwh"}


def read_blocks(data: bytes, *, zone: ZoneInfo, minutes: int) -> list[MeterBlock]:
    """The blocks, oldest first; raises :class:`~depot.values.InvalidValue` with what is wrong in which line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidValue("the file is not UTF-8 text; save it as CSV") from None
    sample = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if sample.count(";") > sample.count(",") else ",")
    try:
        rows = [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InvalidValue(f"not a CSV file: {error}") from None
    if not rows:
        raise InvalidValue("the file is empty")
    head = [name.strip().lower() for name in rows[0]]
    if "time" not in head or "kwh" not in head or set(head) - _COLUMNS or len(set(head)) != len(head):
        raise InvalidValue("the first line names the columns: time,kwh and, where they are known, kvah,export_kwh")
    if len(rows) > LINES_MOST:
        raise InvalidValue(f"the file has {len(rows)} lines; import one month at a time, at most {LINES_MOST} lines")
    found: dict[datetime, MeterBlock] = {}
    wrong: list[str] = []
    for number, row in enumerate(rows[1:], 2):
        try:
            block = _block(dict(zip(head, row, strict=False)), zone, minutes)
            if block.begins_at in found:
                raise InvalidValue("the same block stands twice in the file")
            found[block.begins_at] = block
        except InvalidValue as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        more = f"; and {len(wrong) - COMPLAINTS_MOST} more" if len(wrong) > COMPLAINTS_MOST else ""
        raise InvalidValue("; ".join(wrong[:COMPLAINTS_MOST]) + more)
    return [found[at] for at in sorted(found)]


def _block(row: dict[str, str], zone: ZoneInfo, minutes: int) -> MeterBlock:
    text = row.get("time", "").strip()
    try:
        at = datetime.fromisoformat(text)
        begins_at = (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue(f"{text[:40]!r} is not a time; write 2026-10-01 00:00") from None
    local = begins_at.astimezone(zone)
    if (local.hour * 60 + local.minute) % minutes or local.second or local.microsecond:
        raise InvalidValue(f"{text[:40]} is not where a block of {minutes} min begins")
    vah = row.get("kvah", "").strip()
    return MeterBlock(
        begins_at,
        minutes,
        _wh(row.get("kwh", ""), "kwh"),
        _wh(vah, "kvah") if vah else None,
        _wh(row.get("export_kwh", "").strip() or "0", "export_kwh"),
    )


def _wh(text: str, name: str) -> int:
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise InvalidValue(f"{name} is {text[:20]!r}; write a number such as 12.345")
    return int((Decimal(text) * 1000).to_integral_value())
