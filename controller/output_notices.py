"""What of outputs needs a person, as sentences: conditions for notices and alarms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controller import output_rules as rules
from controller.alarms import Condition
from controller.output_rules import Proof, Standing
from controller.outputs import Outputs
from depot.outputs import Origin
from depot.values import ConnectorId

Found = tuple[Condition, datetime, ConnectorId | None]
"""A condition, since when it holds, and the connector to look at."""

KINDS = frozenset({"area_isolated", "isolation_failed", "output_failed", "isolations_unsafe"})


class OutputNotices:
    """Reads the room; remembers since when what has no time of its own stands."""

    def __init__(self, room: Outputs) -> None:
        self._room = room
        self._since: dict[str, datetime] = {}

    def conditions(self, now: datetime) -> Sequence[Found]:
        """What holds now, for the notice board and the alarms."""
        room, out = self._room, list[Found]()

        def add(kind: str, subject: str, title: str, action: str, since: datetime | None = None) -> None:
            condition = Condition(kind, subject, title, action)
            out.append((condition, since or self._since.setdefault(condition.key, now), None))

        dead = room.dead(now)
        for area, entry in room.demands.items():
            state, words = rules.standing(room.areas, area, room.tracks, dead)
            if entry.origin is not Origin.TRIP:
                why = f"{entry.reason or 'no reason was given'} ({entry.by or entry.origin})"
                action = f"{why}. Reset it on the page Safety once the cause has gone."
                add("area_isolated", str(area), f"{area.title} is isolated", action, entry.since)
            if state is Standing.FAILED:
                wider = room.areas.wider(area)
                then = f"{wider} is isolated for it" if wider is not None else "nothing wider can be cut from here"
                action = f"{words}; {then}. Use the hard-wired emergency stop, or switch it off by hand; keep people away."
                add("isolation_failed", str(area), f"{area.title} is NOT isolated", action)
        for output in room.areas.outputs:
            track = room.tracks.get(output.output_id)
            against = room.refusal(output.output_id) or (track.why if track is not None and track.proof is Proof.FAILED else "")
            if track is not None and against:
                words = rules.word(output, track.commanded)
                action = f"{against}; without its coil it would be {output.dead_word}. Look at the module, its network, the device."
                add("output_failed", output.output_id, f"{output.title}: {words} is not confirmed", action)
        for problem in room.problems:
            add("isolations_unsafe", problem[:60], "The file of isolations is not whole", f"{problem}. Look at the contactors.")
        if room.unwritten:
            action = f"They act, but a restart must not happen now: {room.unwritten}. Free disk space."
            add("isolations_unsafe", "unwritten", "Isolations cannot be written down", action)
        for gone in self._since.keys() - {condition.key for condition, _, _ in out}:
            del self._since[gone]
        return out
