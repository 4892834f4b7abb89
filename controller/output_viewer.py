"""Builds the view of outputs from the room. Pure reading: nothing here changes anything."""

from __future__ import annotations

import math
from collections.abc import Mapping

from controller import output_rules as rules
from controller.output_rules import Seen, Track, Want
from controller.output_view import Isolatable, IsolatedArea, OutputRow, OutputsView
from controller.outputs import Outputs
from depot.outputs import Area, Isolated, Level, OutputSpec


class OutputViewer:
    """Builds the view."""

    def __init__(self, room: Outputs) -> None:
        self._room = room

    async def view(self, _: Mapping[str, str]) -> OutputsView:
        """All of this moment."""
        room = self._room
        order = {level: number for number, level in enumerate((Level.SITE, Level.FEEDER, Level.BAY))}
        areas = sorted(room.areas.everything(), key=lambda area: (order[area.level], area.area_id))
        unsaved = {entry.area for entry in room.unsaved()}
        shown = [self._area(entry, area in room.latched, area not in unsaved) for area, entry in room.demands.items()]
        problems = [*room.problems, *([f"isolations are not on the disk: {room.unwritten}"] if room.unwritten else [])]
        return OutputsView(
            at=room.yard.clock.now(),
            outputs=[self._output(output) for output in room.areas.outputs],
            isolated=sorted(shown, key=lambda row: row.since, reverse=True),
            areas=[self._isolatable(area) for area in areas if room.areas.stations(area)],
            problems=problems,
        )

    def _output(self, output: OutputSpec) -> OutputRow:
        room, output_id = self._room, output.output_id
        track, wanted = room.tracks.get(output_id, Track()), room.wants.get(output_id, Want())
        seen = room.seen.get(output_id) or Seen(room.parts.steady())
        test = room.yard.state.outputs.tests.get(output_id)
        told_s = seen.read_s if output.proven else seen.written_s
        return OutputRow(
            output_id=output_id,
            title=output.title,
            kind=output.kind.value,
            area=str(output.area),
            commanded=rules.word(output, track.commanded),
            emergency=track.active,
            waiting=track.active and not track.commanded,
            because=wanted.reason,
            reads=rules.word(output, seen.reads) if seen.reads is not None else None,
            read_back=output.proven,
            read_age_s=max(0.0, room.parts.steady() - told_s) if told_s > -math.inf else None,
            proof=track.proof.value,
            against=room.refusal(output_id) or track.why,
            de_energised=output.dead_word,
            falls_safe=output.falls_safe,
            watchdog=output.watched,
            tested_at=test.at if test is not None else None,
            test_passed=test.passed if test is not None else None,
            test_result=test.result if test is not None else "",
            tested_by=test.by if test is not None else "",
        )

    def _area(self, entry: Isolated, latched: bool, recorded: bool) -> IsolatedArea:
        room = self._room
        dead = room.dead(room.yard.clock.now())
        state, words = rules.standing(room.areas, entry.area, room.tracks, dead)
        against = rules.against_reset(room.areas, entry.area, room.demands, room.tracks, dead)
        return IsolatedArea(
            level=entry.area.level.value,
            area_id=entry.area.area_id,
            area=str(entry.area),
            since=entry.since,
            origin=entry.origin.value,
            reason=entry.reason,
            by=entry.by,
            latched=latched,
            standing=state.value,
            against=words,
            against_reset=against if latched else "it ends with the reset of the battery",
            recorded=recorded,
        )

    def _isolatable(self, area: Area) -> Isolatable:
        areas = self._room.areas
        cut_by = ", ".join(output.title for output in areas.cutting(area))
        return Isolatable(level=area.level.value, area_id=area.area_id, area=str(area), stations=len(areas.stations(area)), cut_by=cut_by)
