"""Health of packs in the core: the book is read when somebody asks, in a thread, and the answer says when the job has stopped looking.

FleetHealthView, PackHealthView <-- book (read only) <-- health process          nothing is estimated here
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from bms_bridge.estimates.view import FleetHealthView, PackHealthView
from controller.link import CoreUnreachable
from controller.room import Carrier, Viewer
from depot.commands import Command
from depot.ports import Clock
from depot.values import InvalidValue, PackKey
from storage import StorageError, Store, StoreMissing

T = TypeVar("T")
LATE_LOOKS = 4.0
"""The job is late when it has not looked for so many times its interval."""

NOT_YET = "The health process has not begun yet: it starts with the depot and looks at the lake first."


class HealthRoom:
    """The room. ``every_s``: how often the job looks."""

    commands: Mapping[type[Command], Carrier] = {}

    def __init__(self, database: Path, clock: Clock, *, every_s: float) -> None:
        self._database, self._clock, self._every_s = database, clock, every_s

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {FleetHealthView: self._fleet, PackHealthView: self._one}

    async def run(self) -> None:
        """Nothing of its own to do."""
        await asyncio.Event().wait()

    async def _fleet(self, _: Mapping[str, str]) -> FleetHealthView:
        now = self._clock.now()
        found = await asyncio.to_thread(self._read_fleet)
        if found is None:
            return FleetHealthView(now, True, NOT_YET, None, [])
        note = ""
        if found.looked_at is None:
            note = NOT_YET
        elif (now - found.looked_at).total_seconds() > LATE_LOOKS * self._every_s:
            note = "The health process has not looked for long: its log says why."
        return msgspec.structs.replace(found, note=note)

    async def _one(self, args: Mapping[str, str]) -> PackHealthView | None:
        if not args.get("vehicle_id") or not args.get("pack_id"):
            raise InvalidValue("which pack? give vehicle_id and pack_id")
        return await asyncio.to_thread(self._read_one, PackKey(args["vehicle_id"], args["pack_id"]))

    def _read_fleet(self) -> FleetHealthView | None:
        """None: there is no book yet. Blocking."""
        from bms_bridge.estimates.book import Book  # its numbers' library only where somebody asks

        try:
            with contextlib.closing(Store.open(self._database, read_only=True)) as store:
                return Book(store).fleet(self._clock.now()) if made(store) else None
        except StoreMissing:
            return None
        except StorageError as error:
            raise CoreUnreachable(f"health cannot be read now: {error}") from None

    def _read_one(self, pack: PackKey) -> PackHealthView | None:
        """Blocking."""
        from bms_bridge.estimates.book import Book

        try:
            with contextlib.closing(Store.open(self._database, read_only=True)) as store:
                return Book(store).one(pack, self._clock.now()) if made(store) else None
        except StoreMissing:
            return None
        except StorageError as error:
            raise CoreUnreachable(f"health cannot be read now: {error}") from None


def made(store: Store) -> bool:
    """Whether its tables are there: a process that is only just starting has a file without them."""
    from sqlalchemy import text

    with store.reading() as connection:
        return bool(connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'estimates_meta'")).scalar())
