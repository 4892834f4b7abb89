"""A month's blocks to its end, as they will be if the days to come are like the days so far. Pure.

Each block to come takes the mean of the blocks of the same time of day that were measured this month; the maximum demand stays
the one that was reached, because means are below it. It is an expectation for people, never a reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from depot.metering import MeterBlock
from grid.demand import COUNTED_COVER

LEAST_DAYS = 1
"""Less was measured: nothing is expected."""


def expected_blocks(
    blocks: Sequence[MeterBlock], *, begins_at: datetime, now: datetime, ends_at: datetime, zone: ZoneInfo
) -> list[MeterBlock] | None:
    """``blocks`` and what is expected between ``now`` and ``ends_at``; None: too little is known."""
    whole = [block for block in blocks if block.covered >= COUNTED_COVER]
    if not whole:
        return None
    minutes = whole[0].minutes
    if len(whole) * minutes < LEAST_DAYS * 1440:
        return None
    by_time: dict[tuple[int, int], list[MeterBlock]] = {}
    for block in whole:
        local = block.begins_at.astimezone(zone)
        by_time.setdefault((local.hour, local.minute), []).append(block)
    known = {block.begins_at for block in blocks}
    out = list(blocks)
    step = timedelta(minutes=minutes)
    at = begins_at + (now - begins_at) // step * step
    while at < ends_at:
        local = at.astimezone(zone)
        alike = by_time.get((local.hour, local.minute), whole)
        if at not in known:
            vah = [block.import_vah for block in alike if block.import_vah is not None]
            out.append(
                MeterBlock(
                    at,
                    minutes,
                    round(sum(block.import_wh for block in alike) / len(alike)),
                    round(sum(vah) / len(vah)) if len(vah) == len(alike) else None,
                    round(sum(block.export_wh for block in alike) / len(alike)),
                )
            )
        at += step
    return sorted(out, key=lambda block: block.begins_at)
