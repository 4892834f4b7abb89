"""The room of the fleet's ageing: takes what the health process found of it, lets a person set it back, says what plans count with.

book of health (read only, each ASK_S) --newer?--> AgeingFactorsTaken (journal) --> plans from then on
FollowAgeing (a person) --> AgeingFollowed (journal) --> the table again, or the fleet's own factors again
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from bms_bridge.estimates.ageing_view import AgeingFound
from controller.ageing import interval
from controller.ageing_view import AgeingRow, AgeingView
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.ageing import Ageing, AgeingFactors
from depot.values import InvalidValue
from storage import StorageError, Store, StoreMissing

log = logging.getLogger(__name__)

ASK_S = 60.0
ACTOR = "health"


class AgeingRoom:
    """``database``: of the health process; None: this depot estimates no health. ``configured``: the factors of a file that the settings
    name; ``priced``: whether the life of vehicles' batteries has a price in plans. Raises nothing of its own."""

    def __init__(
        self,
        yard: Yard,
        database: Path | None,
        *,
        configured: Mapping[str, tuple[float, float]],
        priced: bool,
        replan: Callable[[str], None],
    ) -> None:
        self._yard, self._database, self._configured, self._priced, self._replan = yard, database, configured, priced, replan
        self._found: Sequence[AgeingFound] = ()
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.FollowAgeing: self._follow}
        self.views: Mapping[type[Struct], Viewer] = {AgeingView: self._show}

    async def run(self) -> None:
        """Ask the book, again and again."""
        while True:
            await self.ask()
            await self._yard.clock.sleep(ASK_S)

    async def ask(self) -> None:
        """Once: take what is newer than what is counted with. A book that cannot be read changes nothing."""
        if self._database is None:
            return
        try:
            self._found = await asyncio.to_thread(_read, self._database)
        except StorageError as error:
            log.debug("the fleet's ageing cannot be read now: %s", error)
            return
        if self._yard.journal.frozen:
            return
        facts = [fact for one in self._found if (fact := self._newer(one)) is not None]
        if facts:
            now = self._yard.clock.now()
            await self._yard.journal.append([ev.NewEvent(fact, now, actor=ACTOR) for fact in facts])
            self._replan("ageing")

    def _newer(self, one: AgeingFound) -> ev.AgeingFactorsTaken | None:
        if one.calendar is None or one.cycle is None:
            return None
        known = self._yard.state.ageing.get(one.chemistry, Ageing()).factors
        if known is not None and known.found_at >= one.at:
            return None
        try:
            factors = AgeingFactors(
                one.calendar, one.cycle, one.calendar_spread, one.cycle_spread, one.packs, one.rows, one.at, one.bounded
            )
        except InvalidValue as error:
            log.warning("what the health process says of %s packs' ageing cannot be: %s", one.chemistry, error)
            return None
        return ev.AgeingFactorsTaken(one.chemistry, factors)

    async def _follow(self, command: cmd.FollowAgeing, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        known = self._yard.state.ageing.get(command.chemistry)
        if known is None:
            raise InvalidValue(f"the depot has found no factors of {command.chemistry or 'no chemistry'}: plans count with the table")
        if not command.reason.strip():
            raise InvalidValue("say why: plans weigh these batteries' ageing by it from now on")
        words = "the fleet's own factors" if command.follows else "the table"
        if known.follows == command.follows:
            return cmd.CommandStatus.DONE, f"{command.chemistry}: {words} is what plans count with already"
        fact = ev.AgeingFollowed(command.chemistry, command.follows, command.reason)
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now(), actor=command.actor, cause_id=cause.id)])
        self._replan("ageing")
        return cmd.CommandStatus.DONE, f"{command.chemistry}: plans count with {words} from the next one on"

    async def _show(self, _: Mapping[str, str]) -> AgeingView:
        ageing, said = self._yard.state.ageing, {one.chemistry: one for one in self._found}
        kinds = sorted({*ageing, *said, *self._configured})
        rows = [self._row(kind, ageing.get(kind, Ageing()), said.get(kind)) for kind in kinds]
        return AgeingView(at=self._yard.clock.now(), kept=self._database is not None, priced=self._priced, rows=rows)

    def _row(self, kind: str, known: Ageing, said: AgeingFound | None) -> AgeingRow:
        factors, named = known.factors, self._configured.get(kind)
        source = "file" if named is not None else "fleet" if known.in_force is not None else "table"
        in_force = known.in_force
        counts = named or ((in_force.calendar, in_force.cycle) if in_force is not None else (1.0, 1.0))
        row = AgeingRow(
            chemistry=kind,
            source=source,
            calendar_counts=counts[0],
            cycle_counts=counts[1],
            follows=known.follows,
            decided_by=known.by,
            decided_at=known.at,
            reason=known.reason,
            looked_at=None if said is None else said.at,
            why_none="" if said is None else said.reason,
        )
        if factors is None:
            return row
        return msgspec.structs.replace(
            row,
            calendar=factors.calendar,
            cycle=factors.cycle,
            calendar_interval=interval(factors.calendar, factors.calendar_spread),
            cycle_interval=interval(factors.cycle, factors.cycle_spread),
            packs=factors.packs,
            estimates=factors.rows,
            found_at=factors.found_at,
            bounded=factors.bounded,
        )


def _read(database: Path) -> list[AgeingFound]:
    """Blocking. Raises :class:`storage.StorageError`."""
    from bms_bridge.estimates.shelf import ageing_of

    try:
        with contextlib.closing(Store.open(database, read_only=True)) as store, store.reading() as connection:
            return ageing_of(connection)
    except StoreMissing:
        return []
