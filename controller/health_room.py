"""Health of packs in the core: the book is read when somebody asks, in a thread. Where the job has stopped looking, an alarm says so.

FleetHealthView, PackHealthView <-- book (read only) <-- health process          nothing is estimated here
            alarm health_late <-- when it last worked, asked once a minute
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from bms_bridge.estimates.view import FleetHealthView, PackHealthView
from bms_bridge.lake.schema import moment
from controller.alarms import Condition
from controller.link import CoreUnreachable
from controller.pack_policies import otherwise
from controller.room import Carrier, Viewer
from depot.commands import Command
from depot.ports import Clock
from depot.values import InvalidValue, PackKey
from storage import StorageError, Store, StoreMissing

T = TypeVar("T")
LATE_LOOKS = 4.0
LEAST_LATE_S = 900.0
"""The job is late when it has not looked for so many times its interval, and for so long at least: a look may take minutes."""

ASK_S = 60.0
LATE = "The health process has not looked for long: its log says why."

NOT_YET = "The health process has not begun yet: it starts with the depot and looks at the lake first."
FIRST_LOOK = "The health process looks at the lake for the first time: packs are added to while it does, and it may take minutes."


class HealthRoom:
    """The room. ``every_s``: how often the job looks; ``factors``: how fast batteries age beside the table, by chemistry, as
    plans count; ``lake``: its database; while there is none the job has nothing to look at, and the lake has an alarm of its own."""

    commands: Mapping[type[Command], Carrier] = {}
    kinds = frozenset({"health_late"})

    def __init__(
        self,
        database: Path,
        clock: Clock,
        *,
        every_s: float,
        factors: Callable[[], Mapping[str, tuple[float, float]]] = dict,
        lake: Path | None = None,
    ) -> None:
        self._lake = lake
        self._factors = factors
        self._database, self._clock = database, clock
        self._late_s = max(LATE_LOOKS * every_s, LEAST_LATE_S)
        self._began = clock.now()
        self._asked, self._worked, self._unread = False, self._began, ""

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {FleetHealthView: self._fleet, PackHealthView: self._one}

    async def run(self) -> None:
        """Ask the book when the job last worked, again and again."""
        while True:
            await self.ask()
            await self._clock.sleep(ASK_S)

    async def ask(self) -> None:
        """Once. A book that is not there or cannot be read: the job has not worked since the core began, as far as anybody can know."""
        if self._lake is not None and not await asyncio.to_thread(self._lake.exists):
            self._began = self._clock.now()
        try:
            worked = await asyncio.to_thread(self._read_worked)
        except StorageError as error:
            self._unread = str(error)
        else:
            self._unread = ""
            self._worked = self._began if worked is None else max(worked, self._began)
        self._asked = True

    def conditions(self, now: datetime) -> Sequence[Condition] | None:
        """The health process has stopped looking; None: nobody has asked the book yet."""
        if not self._asked:
            return None
        silent_s = (now - self._worked).total_seconds()
        if silent_s <= self._late_s:
            return []
        why = f"its book cannot be read: {self._unread}" if self._unread else f"nothing was heard of it for {silent_s / 60:.0f} minutes"
        return [Condition("health_late", title=f"Batteries' health is not estimated any more: {why}.")]

    async def _fleet(self, _: Mapping[str, str]) -> FleetHealthView:
        now = self._clock.now()
        found = await asyncio.to_thread(self._read_fleet)
        if found is None:
            return FleetHealthView(now, True, NOT_YET, None, [])
        note = ""
        if found.looked_at is None:
            note = FIRST_LOOK if found.packs else NOT_YET
        elif (now - found.looked_at).total_seconds() > self._late_s:
            note = LATE
        return msgspec.structs.replace(found, note=note)

    async def _one(self, args: Mapping[str, str]) -> PackHealthView | None:
        if not args.get("vehicle_id") or not args.get("pack_id"):
            raise InvalidValue("which pack? give vehicle_id and pack_id")
        found = await asyncio.to_thread(self._read_one, PackKey(args["vehicle_id"], args["pack_id"]))
        if found is None:
            return None
        ways, note = otherwise(found.row.life, found.row.chemistry, self._factors())
        return msgspec.structs.replace(found, otherwise=ways, otherwise_note=note)

    def _read_worked(self) -> datetime | None:
        """When the job last read or judged anything; None: never. Blocking. The book's own class would load its numbers' library."""
        from sqlalchemy import text

        try:
            with contextlib.closing(Store.open(self._database, read_only=True)) as store:
                if not made(store):
                    return None
                with store.reading() as connection:
                    query = text("SELECT value FROM estimates_meta WHERE name IN ('looked_us', 'at_work_us')")
                    said = [int(word) for word in connection.execute(query).scalars()]
        except StoreMissing:
            return None
        return moment(max(said)) if said else None

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
