"""What is decided of outputs, as pure functions: what each shall do, whether it does, and what follows when it does not.

    areas asked for --want()--> per output: its emergency state, or its normal one, and why
    (track, want, what is seen) --follow()--> track       a contactor waits for the current to fall, or for its time-out
    tracks --standing()--> isolated, under way, or failed
    failed --widen()--> the next wider area that can be cut, latched

An output that is asked for never goes back by itself, a wider area is never made narrower, and what was latched is taken back
by a named person alone: nothing here takes a demand away. Of what is not seen, the worst is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from controller.output_areas import Areas
from depot.outputs import WORDS, Area, Isolated, Origin, OutputKind, OutputSpec

SILENT_S: Final = 5.0
"""A read-back that is older says nothing any more."""

METER_S: Final = 5.0
"""So long after a contactor opened a charger's meter may still tell what flowed before."""

START_S: Final = 20.0
"""A module that was never heard yet may still be starting, as long as nothing is asked of it."""

BY_CHARGER_S: Final = 30.0
"""A bay that no contactor cuts is isolated by its chargers; they must have stopped within this time."""


TESTED: Final = "test"
"""The reason of an output that nobody wants, but a test."""


class Proof(StrEnum):
    """How far it is known that an output does what it was told. ``WRITTEN``: told, and it has no read-back."""

    AWAITED = "awaited"
    CONFIRMED = "confirmed"
    WRITTEN = "written"
    FAILED = "not confirmed"


class Standing(StrEnum):
    """How far an area is isolated."""

    UNDER_WAY = "under way"
    ISOLATED = "isolated"
    FAILED = "not isolated"


@dataclass(frozen=True, slots=True)
class Want:
    """What an output shall do now. ``active``: be in its emergency state."""

    active: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an output at ``now_s`` (monotonic). ``reads``: its read-back says the emergency state (None: never read),
    at ``read_s``. ``written_s``: when its module last confirmed that it took the order. ``current_a``: what its area draws, as
    if on one phase; None: not known. ``flows``: a meter still tells of current after it opened."""

    now_s: float
    reads: bool | None = None
    read_s: float = -math.inf
    written_s: float = -math.inf
    current_a: float | None = None
    flows: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """How far an output got. ``active``: it is asked for its emergency state, since ``asked_s``. ``commanded``: its coil is told so,
    since ``told_s``. ``why``: what speaks against it where it is not confirmed. ``normal``: it was seen in its normal state since
    it was told so; None: it was told nothing yet."""

    active: bool = False
    commanded: bool = False
    asked_s: float = -math.inf
    told_s: float = -math.inf
    proof: Proof = Proof.AWAITED
    why: str = ""
    normal: bool | None = None


Demands = Mapping[Area, Isolated]
"""Areas that shall be isolated: those that are latched, and the bays of batteries whose trip asks for it."""

Warned = Mapping[Area, tuple[Isolated, frozenset[OutputKind]]]
"""Areas of which people are warned, or that are aired, and that keep their power: which kinds act."""

NOBODY: Final[Warned] = {}

WARNINGS: Final = frozenset(kind for kind in OutputKind if not kind.isolates)
"""What airs and warns."""


def want(areas: Areas, output: OutputSpec, demands: Demands, now: datetime, *, warned: Warned = NOBODY, tested: bool = False) -> Want:
    """What an output shall do. A contactor follows what asks for its area or a wider one; air and warnings follow whatever happens
    in, around or above their area, also what cuts nothing (``warned``)."""
    if output.kind.isolates:
        asked = [demand for area, demand in demands.items() if areas.holds(area, output.area)]
    else:
        asked = [demand for area, demand in demands.items() if areas.touches(area, output.area)]
        asked += [demand for area, (demand, kinds) in warned.items() if output.kind in kinds and areas.touches(area, output.area)]
        if output.kind is OutputKind.SIREN and output.sounds_s > 0:
            asked = [demand for demand in asked if (now - demand.since).total_seconds() < output.sounds_s]
    if asked:
        first = min(asked, key=lambda demand: demand.since)
        return Want(True, f"{first.area}: {first.reason}" if first.reason else str(first.area))
    return Want(True, TESTED) if tested else Want()


def follow(output: OutputSpec, track: Track, wanted: Want, seen: Seen) -> Track:
    """One step on: what its coil is told, and whether it is seen to do so."""
    if wanted.active is not track.active:
        track = replace(track, active=wanted.active, asked_s=seen.now_s)
    commanded = wanted.active and (track.commanded or _may_open(output, track, seen))
    if commanded is not track.commanded:
        track = replace(track, normal=False)
    if commanded is not track.commanded or track.told_s == -math.inf:
        track = replace(track, commanded=commanded, told_s=seen.now_s, proof=Proof.AWAITED, why="")
    proof, why = _proof(output, track, seen)
    normal = True if proof is Proof.CONFIRMED and not track.commanded else track.normal
    return replace(track, proof=proof, why=why, normal=normal)


def _may_open(output: OutputSpec, track: Track, seen: Seen) -> bool:
    """Whether it may go to its emergency state now: a contactor under load would draw an arc; one that is open breaks nothing."""
    if not output.kind.isolates or seen.reads is True or (seen.current_a is not None and seen.current_a < output.opens_below_a):
        return True
    return seen.now_s - track.asked_s >= output.opens_after_s


def _proof(output: OutputSpec, track: Track, seen: Seen) -> tuple[Proof, str]:
    since_s = seen.now_s - track.told_s
    unheard = seen.read_s == -math.inf and seen.written_s == -math.inf
    settled = since_s >= (START_S if unheard and not track.commanded else output.settle_s)
    if not output.proven:
        if seen.written_s >= track.told_s and seen.now_s - seen.written_s < SILENT_S:
            return Proof.WRITTEN, ""
        return (Proof.FAILED, "its module does not answer") if settled else (Proof.AWAITED, "")
    fresh = seen.reads is not None and seen.read_s >= track.told_s and seen.now_s - seen.read_s < SILENT_S
    if fresh and seen.reads is track.commanded:
        if track.commanded and seen.flows and output.kind.isolates and since_s >= output.settle_s + METER_S:
            return Proof.FAILED, f"it reads {WORDS[output.kind][1]}, but current flows"
        return Proof.CONFIRMED, ""
    if not settled:
        return Proof.AWAITED, ""
    if fresh:
        return Proof.FAILED, f"it reads {WORDS[output.kind][bool(seen.reads)]}"
    return Proof.FAILED, "its module does not answer"


Dead = Mapping[Area, bool | None]
"""For bays that only their chargers can stop: whether they have. None: their time is not over yet."""


def standing(areas: Areas, area: Area, tracks: Mapping[str, Track], dead: Dead) -> tuple[Standing, str]:
    """Whether an area that shall be isolated is, and what speaks against it."""
    cutting = areas.cutting(area)
    if cutting:
        for output in cutting:
            track = tracks.get(output.output_id, Track())
            if track.commanded and track.proof is Proof.FAILED:
                return Standing.FAILED, f"{output.title}: {track.why}"
        done = all(
            (track := tracks.get(output.output_id, Track())).commanded and track.proof in (Proof.CONFIRMED, Proof.WRITTEN)
            for output in cutting
        )
        return (Standing.ISOLATED if done else Standing.UNDER_WAY), ""
    parts = areas.parts(area)
    if not parts:
        if dead.get(area, True) is False:
            return Standing.FAILED, f"{area} may still draw power, and no contactor cuts it"
        return (Standing.ISOLATED if dead.get(area, True) else Standing.UNDER_WAY), ""
    found = [standing(areas, part, tracks, dead) for part in parts]
    failed = next((words for state, words in found if state is Standing.FAILED), None)
    if failed is not None:
        return Standing.FAILED, failed
    return (Standing.ISOLATED if all(state is Standing.ISOLATED for state, _ in found) else Standing.UNDER_WAY), ""


def widen(areas: Areas, demands: Demands, tracks: Mapping[str, Track], dead: Dead, now: datetime) -> list[Isolated]:
    """What must be isolated beside what is: for each area that is not, the next wider one that something can cut."""
    found: dict[Area, Isolated] = {}
    for area in demands:
        state, words = standing(areas, area, tracks, dead)
        wider = areas.wider(area) if state is Standing.FAILED else None
        if wider is not None and wider not in demands:
            found.setdefault(wider, Isolated(wider, now, Origin.WIDENED, f"{area} is not isolated: {words}", "controller"))
    return list(found.values())


def dropped(areas: Areas, demands: Demands, tracks: Mapping[str, Track], seen: Mapping[str, Seen], now: datetime) -> list[Isolated]:
    """What to latch because a contactor that must not close by itself was found open without being asked."""
    found: dict[Area, Isolated] = {}
    for output in areas.outputs:
        track, sight = tracks.get(output.output_id, Track()), seen.get(output.output_id)
        asked = track.active or any(areas.holds(area, output.area) for area in demands)
        found_open = sight is not None and sight.reads is True and track.normal is not False
        if output.kind.isolates and not output.recloses and not asked and found_open:
            entry = Isolated(output.area, now, Origin.DROPPED, f"{output.title} was found open", "controller")
            found.setdefault(output.area, entry)
    return list(found.values())


def against_reset(areas: Areas, area: Area, demands: Demands, tracks: Mapping[str, Track], dead: Dead) -> str:
    """What speaks against ending the isolation of ``area`` now; empty: nothing does."""
    if area not in demands:
        return f"{area} is not isolated"
    for other in demands:
        if other != area and areas.holds(area, other):
            state, words = standing(areas, other, tracks, dead)
            if state is not Standing.ISOLATED:
                return f"{other} in it must stay isolated, and is not yet: {words or 'under way'}"
    return ""


def word(output: OutputSpec, emergency: bool) -> str:
    """The word for a state of an output."""
    return WORDS[output.kind][emergency]
