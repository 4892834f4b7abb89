"""Whether the result of a reference test could be judged at all: hours of a vehicle for nothing are refused before they begin.

order --Judge()--> what the health job's book says of the vehicle's packs (read only, in a thread) --> "", or why not
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from controller.health_room import NOT_YET, made
from depot.ports import Clock
from storage import StorageError, Store, StoreMissing


class Judge:
    """``database``: the book of the health job."""

    def __init__(self, database: Path, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def __call__(self, vehicle_id: str) -> str:
        """Why no charge of any of its packs can be judged, for people; "": one can, or nobody can say now."""
        return await asyncio.to_thread(self._read, vehicle_id)

    def _read(self, vehicle_id: str) -> str:
        from bms_bridge.estimates.book import Book  # its numbers' library only where somebody asks

        try:
            with contextlib.closing(Store.open(self._database, read_only=True)) as store:
                if not made(store):
                    return NOT_YET
                packs = [row for row in Book(store).fleet(self._clock.now()).packs if row.vehicle_id == vehicle_id]
        except StoreMissing:
            return NOT_YET
        except StorageError:
            return ""
        if not packs:
            return f"nothing was heard of a battery of {vehicle_id} yet: its unit must tell current and voltage (docs/telemetry.md)"
        if any(row.nominal_ah is not None and row.cells is not None for row in packs):
            return ""
        return packs[0].why_not
