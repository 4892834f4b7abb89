"""Files that people import on the Bills page: blocks of the billing meter, or what old bills said of earlier months. Pure.

    begins_at,import_kwh,import_kvah    --> blocks, kept instead of ours
    month,recorded,billing              --> past months' demands, in the unit of the tariff's demand charge

The tables are those of :mod:`grid.billing.block_file`. A file is taken whole or not at all.
"""

from __future__ import annotations

from fractions import Fraction
from zoneinfo import ZoneInfo

from depot.demand_book import MonthDemand
from depot.metering import MeterBlock
from depot.values import InvalidValue
from grid.billing import BillingError
from grid.billing.block_file import read_blocks, read_history

BLOCKS_MOST = 3_200
"""A month of quarters and a little more."""


def read_import(data: bytes, *, zone: ZoneInfo, unit: str) -> list[MeterBlock] | list[MonthDemand]:
    """Blocks, oldest first, or months. ``unit``: kW or kVA of the demand charge. Raises :class:`~depot.values.InvalidValue`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidValue("the file is not UTF-8 text; save it as CSV") from None
    try:
        if "month" in text.split("\n", 1)[0]:
            return [_month(str(month), past.recorded, past.billing, unit) for month, past in sorted(read_history(text).items())]
        blocks = sorted(read_blocks(text, zone), key=lambda block: block.begins_at)
    except BillingError as error:
        raise InvalidValue(str(error)) from None
    if len(blocks) > BLOCKS_MOST:
        raise InvalidValue(f"the file has {len(blocks)} blocks; import one month at a time, at most {BLOCKS_MOST}")
    if not blocks:
        raise InvalidValue("there is no block in the file")
    return blocks


def _month(month: str, recorded: Fraction, billing: Fraction, unit: str) -> MonthDemand:
    value = round(recorded * 1000)
    return MonthDemand(month, None if unit == "kVA" else value, value if unit == "kVA" else None, round(billing * 1000))
