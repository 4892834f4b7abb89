"""Outputs, property by property: whatever relays, meters and links do, a stop is never undone, never made narrower."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller import output_rules as rules
from controller.output_areas import Areas
from controller.output_rules import Proof, Seen, Standing, Track
from depot.outputs import SITE, Area, Isolated, Level, Origin, OutputKind, OutputSpec
from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec

T0 = datetime(2026, 11, 20, 20, tzinfo=UTC)
SPEC = DepotSpec(
    "d", "d", 500_000, 100_000, 0,
    (FeederSpec("A", 300_000), FeederSpec("B", 300_000)),
    tuple(
        StationSpec(f"CP-{k}", "A" if k <= 2 else "B", (ConnectorSpec(1, 60_000, 6_000),), bay)
        for k, bay in enumerate(("", "", "bus", "bus"), 1)
    ),
)  # fmt: skip
BAYS = [Area(Level.BAY, name) for name in ("CP-1", "CP-2", "bus")]
FEEDERS = [Area(Level.FEEDER, name) for name in "AB"]
ALL = [SITE, *FEEDERS, *BAYS]


def output(area: Area, kind: OutputKind = OutputKind.CONTACTOR, **more: object) -> OutputSpec:
    return OutputSpec(output_id=f"{kind}-{area}", kind=kind, area=area, **more)  # type: ignore[arg-type]


outputs = st.lists(
    st.builds(
        output,
        st.sampled_from(ALL),
        st.sampled_from(list(OutputKind)),
        proven=st.booleans(),
        falls_safe=st.booleans(),
        recloses=st.booleans(),
        opens_after_s=st.sampled_from([0.0, 2.0, 5.0]),
    ),
    max_size=8,
    unique_by=lambda spec: spec.output_id,
)
reads = st.sampled_from([None, True, False])
seconds = st.integers(0, 80).map(lambda k: k / 4)


class Outputs(RuleBasedStateMachine):
    """Rounds of look with anything seen; demands come, and only ``reset`` takes them away."""

    def __init__(self) -> None:
        super().__init__()
        self.areas = Areas(SPEC, ())
        self.latched: dict[Area, Isolated] = {}
        self.tracks: dict[str, Track] = {}
        self.now = T0
        self.was: set[Area] = set()
        self.opened: set[str] = set()

    @rule(chosen=outputs)
    @precondition(lambda self: not self.areas.outputs)
    def build(self, chosen: list[OutputSpec]) -> None:
        self.areas = Areas(SPEC, tuple(chosen))

    @rule(area=st.sampled_from(ALL))
    def isolate(self, area: Area) -> None:
        self.latched.setdefault(area, Isolated(area, self.now, Origin.PERSON, "smoke", "eve"))

    @rule(
        step_s=st.floats(0.1, 40),
        read=st.lists(reads, min_size=8, max_size=8),
        amperes=st.lists(st.one_of(st.none(), st.floats(0, 200)), min_size=8, max_size=8),
        dead=st.lists(reads, min_size=3, max_size=3),
    )
    def look(self, step_s: float, read: list[bool | None], amperes: list[float | None], dead: list[bool | None]) -> None:
        self.now += timedelta(seconds=step_s)
        now_s = (self.now - T0).total_seconds()
        seen = {}
        for spec, says, flow in zip(self.areas.outputs, read, amperes, strict=False):
            told_s = -math.inf if says is None else now_s
            seen[spec.output_id] = Seen(now_s, says, told_s, told_s, flow, flows=flow is not None and flow > spec.opens_below_a)
        demands = dict(self.latched)
        for spec in self.areas.outputs:
            wanted = rules.want(self.areas, spec, demands, self.now)
            self.tracks[spec.output_id] = rules.follow(spec, self.tracks.get(spec.output_id, Track()), wanted, seen[spec.output_id])
        known = dict(zip(BAYS, dead, strict=True))
        for entry in rules.widen(self.areas, self.latched, self.tracks, known, self.now):
            narrower = [area for area in self.latched if self.areas.holds(entry.area, area) and area != entry.area]
            assert narrower, "only what is asked for is widened"
            assert self.areas.cutting(entry.area)
            self.latched[entry.area] = entry
        for entry in rules.dropped(self.areas, self.latched, self.tracks, seen, self.now):
            self.latched.setdefault(entry.area, entry)
        for area, demand in self.latched.items():
            state, _ = rules.standing(self.areas, area, self.tracks, known)
            wider = self.areas.wider(area)
            if state is Standing.FAILED and wider is not None and demand.since < self.now:
                assert wider in self.latched

    @rule(area=st.sampled_from(ALL))
    def reset(self, area: Area) -> None:
        if not rules.against_reset(self.areas, area, self.latched, self.tracks, {}):
            del self.latched[area]
            self.was.discard(area)
            self.opened = {name for name in self.opened if self._asked(name)}

    def _asked(self, output_id: str) -> bool:
        spec = next(spec for spec in self.areas.outputs if spec.output_id == output_id)
        return any(self.areas.holds(area, spec.area) for area in self.latched)

    @invariant()
    def what_is_isolated_stays_so(self) -> None:
        assert self.was <= self.latched.keys()
        self.was = set(self.latched)

    @invariant()
    def what_was_opened_stays_open_while_asked_for(self) -> None:
        cutting = [spec for spec in self.areas.outputs if spec.kind.isolates and spec.output_id in self.tracks]
        for spec in cutting:
            if spec.output_id in self.opened:
                assert self.tracks[spec.output_id].commanded
            if self.tracks[spec.output_id].commanded and self._asked(spec.output_id):
                self.opened.add(spec.output_id)


Outputs.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestOutputs = Outputs.TestCase


@given(wait_s=seconds, flow=st.one_of(st.none(), st.floats(0, 100)), after_s=seconds, below_a=st.floats(0.1, 50))
def test_a_contactor_opens_below_its_current_or_after_its_time_never_before(
    wait_s: float, flow: float | None, after_s: float, below_a: float
) -> None:
    spec = output(FEEDERS[0], opens_after_s=after_s, opens_below_a=below_a)
    asked = rules.follow(spec, Track(), rules.Want(True, "smoke"), Seen(100.0, reads=False, read_s=100.0, current_a=1e9))
    now_s = 100.0 + wait_s
    opened = rules.follow(spec, asked, rules.Want(True, "smoke"), Seen(now_s, current_a=flow)).commanded
    assert opened is (asked.commanded or (flow is not None and flow < below_a) or now_s - 100.0 >= after_s)


@given(
    kind=st.sampled_from([OutputKind.SIREN, OutputKind.BEACON, OutputKind.VENTILATION]), area=st.sampled_from(ALL), own=st.sampled_from(ALL)
)
def test_air_and_warnings_come_at_once_wherever_something_happens_that_touches_them(kind: OutputKind, area: Area, own: Area) -> None:
    spec = output(own, kind)
    areas = Areas(SPEC, (spec,))
    wanted = rules.want(areas, spec, {area: Isolated(area, T0, Origin.PERSON)}, T0)
    track = rules.follow(spec, Track(), wanted, Seen(1.0))
    assert track.commanded is areas.touches(area, own)


@given(says=reads, age_s=seconds, settled_s=seconds)
def test_an_answer_from_before_the_command_or_too_old_confirms_nothing(says: bool | None, age_s: float, settled_s: float) -> None:
    spec = output(SITE, opens_after_s=0)
    track = rules.follow(spec, Track(), rules.Want(True), Seen(100.0))
    now_s = 100.0 + settled_s
    track = rules.follow(spec, track, rules.Want(True), Seen(now_s, says, now_s - age_s))
    truly = says is True and age_s <= settled_s and age_s < rules.SILENT_S
    assert (track.proof is Proof.CONFIRMED) == truly
    assert (track.proof is Proof.FAILED) == (not truly and settled_s >= spec.settle_s)
