"""The steps of the response to a trip, each with its own time limit and what follows where it is not confirmed in time. Pure.

    zero and stop -> out of service -> isolation -> siren and beacon -> neighbours' bays -> evacuation -> notification
    (what is known, proof, now) --follow()--> waiting, confirmed, escalated, confirmed late, not there

All begin at once; none waits for the one before. The order is that in which people read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from controller.response import Response
from depot.emergency import StepState, StepTold


class StepName(StrEnum):
    """The steps, in their order."""

    STOP = "stop"
    OUT_OF_SERVICE = "out_of_service"
    ISOLATION = "isolation"
    WARNING = "warning"
    NEIGHBOURS = "neighbours"
    EVACUATION = "evacuation"
    NOTIFICATION = "notification"


@dataclass(frozen=True, slots=True)
class StepKind:
    """What a step is for people. ``limit_s``: within which it must be confirmed; ``then``: what is done where it is not."""

    title: str
    limit_s: float
    then: str


STEPS: Final[Mapping[StepName, StepKind]] = {
    StepName.STOP: StepKind("Zero profile, session stopped", 10.0, "the bay is isolated"),
    StepName.OUT_OF_SERVICE: StepKind("Charger out of service", 30.0, "asked again for as long as it takes; switch it off by hand"),
    StepName.ISOLATION: StepKind("Bay isolated", 20.0, "the next wider area is isolated; then the hard-wired emergency stop"),
    StepName.WARNING: StepKind("Siren, beacon, ventilation", 6.0, "warn people by voice"),
    StepName.NEIGHBOURS: StepKind("Neighbours' bays stop charging", 15.0, "a neighbour's bay that goes on is isolated"),
    StepName.EVACUATION: StepKind("Everybody seen at the roll-call", 300.0, "who is missing is told to the fire brigade"),
    StepName.NOTIFICATION: StepKind("Somebody was reached", 60.0, "call people by telephone"),
}
"""docs/incidents.md shows the same table; a test compares."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of a step now. ``done`` None: there is nothing to do, or nothing to do it with; ``words`` says which."""

    done: bool | None
    words: str = ""


def follow(known: StepTold | None, proof: Proof, *, began: datetime, limit_s: float, now: datetime) -> StepTold:
    """One step on. What was confirmed stays so: it is what happened. What was not there may come to be."""
    if known is not None and known.state in (StepState.CONFIRMED, StepState.LATE):
        return known
    age_s = max(0.0, (now - began).total_seconds())
    if proof.done is None:
        return _changed(known, StepState.NOT_THERE, now, proof.words)
    if proof.done:
        late = known is not None and known.state is StepState.ESCALATED
        return StepTold(StepState.LATE if late else StepState.CONFIRMED, now, proof.words, round(age_s, 3))
    if age_s >= limit_s or (known is not None and known.state is StepState.ESCALATED):
        return _changed(known, StepState.ESCALATED, now, proof.words)
    return _changed(known, StepState.WAITING, now, proof.words)


def needed(step: StepName, response: Response) -> bool:
    """Whether the response has this step at all."""
    match step:
        case StepName.ISOLATION:
            return response.isolates
        case StepName.WARNING:
            return bool(response.moves)
        case StepName.NEIGHBOURS:
            return response.neighbours
        case StepName.EVACUATION:
            return response.evacuates
    return True


def _changed(known: StepTold | None, state: StepState, now: datetime, words: str) -> StepTold:
    """The same state keeps its time; its words are today's."""
    if known is not None and known.state is state:
        return StepTold(state, known.at, words)
    return StepTold(state, now, words)


def describe() -> str:
    """The steps as a Markdown table."""
    lines = ["| step | what | within | where it is not confirmed |", "|---|---|---|---|"]
    lines += [f"| {n} | {kind.title} | {kind.limit_s:g} s | {kind.then} |" for n, kind in enumerate(STEPS.values(), 1)]
    return "\n".join(lines) + "\n"
