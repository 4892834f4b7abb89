"""What the outputs prove of the response's steps. Reads the room; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from controller import output_rules as rules
from controller.output_rules import SILENT_S, Standing, Track
from controller.output_rules import Proof as Proven
from controller.outputs import Outputs
from controller.response import Response
from controller.response_steps import Proof
from depot.outputs import Area


@dataclass(frozen=True, slots=True)
class OutputsOf:
    """See :class:`controller.response_room.OutputsSight`."""

    room: Outputs

    def isolated(self, area: Area) -> Proof:
        """By the read-backs of what cuts the area, or by its chargers where nothing does."""
        room = self.room
        state, words = rules.standing(room.areas, area, room.tracks, room.dead(room.yard.clock.now()))
        by = ", ".join(output.title for output in room.areas.cutting(area))
        if state is Standing.ISOLATED:
            return Proof(True, f"{by}: open" if by else "by its chargers; no contactor cuts it")
        return Proof(False, words or (f"{by}: not open yet" if by else "its chargers have not stopped yet"))

    def warned(self, area: Area, response: Response) -> Proof:
        """Siren, beacon and ventilation of every area that touches this one."""
        room = self.room
        found = [o for o in room.areas.outputs if o.kind in response.moves and room.areas.touches(area, o.area)]
        if not found:
            return Proof(None, "no siren, beacon or ventilation acts there")
        silent = [
            output.title
            for output in found
            if not (track := room.tracks.get(output.output_id, Track())).commanded or track.proof not in (Proven.CONFIRMED, Proven.WRITTEN)
        ]
        if silent:
            return Proof(False, f"not confirmed: {', '.join(silent)}")
        unread = [output.title for output in found if not output.proven]
        return Proof(True, ", ".join(output.title for output in found) + (f"; without a read-back: {', '.join(unread)}" if unread else ""))

    def isolation_limit_s(self, area: Area) -> float:
        """What its contactors may take, and as much again for the read-back to become old."""
        cutting = self.room.areas.cutting(area)
        return max((o.opens_after_s + o.settle_s + SILENT_S for o in cutting), default=rules.BY_CHARGER_S + SILENT_S)
