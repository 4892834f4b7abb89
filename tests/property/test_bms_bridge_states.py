"""Whatever packs say: a latch is left by a person alone, heat derates before it trips, nothing flaps. Hostile payloads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bms_bridge import thermal
from bms_bridge.chemistry import ALARMS, TABLE, Chemistry
from bms_bridge.contract import PackSample, Rejection, Source, parse, topic_of
from bms_bridge.thermal import HYSTERESIS_K, PackState
from bms_bridge.validation import Checked, Memory, check
from bms_bridge.verdicts import Clear, Derate, PackVerdict, Trip
from depot.values import PackKey

PACK = PackKey("BUS7", "P1")
START = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)
CHEMISTRIES = st.sampled_from(list(Chemistry))

temperature = st.one_of(st.none(), st.floats(-60, 260), st.integers(20, 62).map(float))
samples = st.builds(
    lambda temperatures, alarms, delay_s, source, retained: (temperatures, alarms, delay_s, source, retained),
    st.lists(temperature, max_size=6),
    st.lists(st.sampled_from([*ALARMS, "something_else"]), max_size=2),
    st.floats(-5000, 5000),
    st.sampled_from(Source),
    st.booleans(),
)
steps = st.lists(st.tuples(st.floats(0, 400), st.one_of(st.none(), samples), st.booleans()), max_size=40)


@given(chemistry=CHEMISTRIES, steps=steps)
@settings(max_examples=120, deadline=None)
def test_a_latch_is_never_left_by_anything_that_is_heard_or_by_time(chemistry: Chemistry, steps: list[Any]) -> None:
    limits, state, memories, now_s = TABLE[chemistry], PackState(PACK, expected_since_s=0.0), {s: Memory() for s in Source}, 0.0
    first: Trip | None = None
    for wait_s, said, bus_lost in steps:
        now_s += wait_s
        verdict: PackVerdict | None
        if said is None:
            state, verdict = thermal.tick(state, now_s, limits, bus_lost=bus_lost)
            assert not isinstance(verdict, Trip), "time and silence never trip"
        else:
            temperatures, alarms, delay_s, source, retained = said
            at = START + timedelta(seconds=now_s)
            sample = PackSample(
                pack=PACK,
                source=source,
                received_at=at,
                reported_at=at - timedelta(seconds=delay_s),
                temperatures_c=tuple(temperatures),
                alarms=tuple(alarms),
                retained=retained,
            )
            memories[source], checked = check(memories[source], sample)
            state, verdict = thermal.hear(state, checked, now_s, limits)
            believable = [t for t in temperatures if t is not None and -40 <= t <= 200]
            if believable and max(believable) >= limits.trip_c:
                assert state.tripped is not None, "too hot is taken seriously from whoever says it"
        if first is not None:
            assert (state.tripped, verdict) == (first, None)
        if isinstance(verdict, Trip):
            first = verdict
        if isinstance(verdict, Derate):
            assert 0 <= verdict.share < 1
            assert verdict.why
        assert first is None or state.tripped == first


@given(
    chemistry=CHEMISTRIES,
    start_c=st.floats(15, 40),
    rise_c_per_min=st.floats(0.5, 4.0),
    noise=st.lists(st.floats(-0.4, 0.4), min_size=8, max_size=8),
    every_s=st.sampled_from([5, 10, 30]),
)
@settings(max_examples=25, deadline=None)
def test_slow_heat_derates_step_by_step_before_it_trips(
    chemistry: Chemistry, start_c: float, rise_c_per_min: float, noise: list[float], every_s: int
) -> None:
    limits, state, verdicts = TABLE[chemistry], PackState(PACK), list[PackVerdict]()
    for k in range(int((70 - start_c) / rise_c_per_min * 60 / every_s)):
        base = start_c + rise_c_per_min / 60 * every_s * k
        state, verdict = thermal.hear(state, _even(base + noise[k % 8]), float(k * every_s), limits)
        if verdict is not None:
            verdicts.append(verdict)
        if state.tripped is not None:
            break
    assert isinstance(verdicts[-1], Trip)
    shares = [verdict.share for verdict in verdicts if isinstance(verdict, Derate)]
    assert len(shares) >= 3
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] <= 0.25
    assert not any(isinstance(verdict, Clear) for verdict in verdicts)


@given(
    chemistry=CHEMISTRIES,
    around_c=st.floats(-25, 57),
    noise=st.lists(st.floats(-HYSTERESIS_K / 2, HYSTERESIS_K / 2), min_size=5, max_size=80),
)
@settings(max_examples=60, deadline=None)
def test_noise_within_the_hysteresis_never_gives_back_what_it_took(chemistry: Chemistry, around_c: float, noise: list[float]) -> None:
    limits, state, shares = TABLE[chemistry], PackState(PACK), list[float]()
    for k, jitter in enumerate(noise):
        state, verdict = thermal.hear(state, _even(around_c + jitter), 10.0 * k, limits)
        if isinstance(verdict, Trip):
            return
        shares.append(state.share)
    assert shares == sorted(shares, reverse=True)


def _even(celsius: float) -> Checked:
    return Checked(pack=PACK, source=Source.MQTT, temperatures_c=tuple(enumerate([celsius] * 4)), distinct=4, age_s=0.0, late=False)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)
fields = st.fixed_dictionaries(
    {"schema": st.one_of(st.just("pack_telemetry/1"), json_values)},
    optional={
        name: st.one_of(json_values, good)
        for name, good in {
            "reported_at": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
            "temperatures_c": st.lists(temperature, max_size=6),
            "soc": st.floats(0, 1),
            "alarms": st.lists(st.sampled_from(list(ALARMS)), max_size=3),
            "extra": st.none(),
        }.items()
    },
)
payloads = st.one_of(st.binary(max_size=200), fields.map(lambda found: json.dumps(found).encode("utf-8", "surrogatepass")))


@given(
    payload=payloads, cut=st.integers(0, 300), topic=st.one_of(st.just(topic_of("d", PACK)), st.text(max_size=80)), retained=st.booleans()
)
@settings(max_examples=300, deadline=None)
def test_no_payload_and_no_topic_breaks_the_parser_or_the_check(payload: bytes, cut: int, topic: str, retained: bool) -> None:
    for data in (payload, payload[:cut]):
        found = parse("d", topic, data, received_at=START, retained=retained)
        if isinstance(found, Rejection):
            assert found.text
            continue
        _, checked = check(Memory(), found)
        assert all(-40 <= celsius <= 200 for _, celsius in checked.temperatures_c)
        assert checked.soc is None or 0 <= checked.soc <= 1
        thermal.hear(PackState(PACK), checked, 0.0, TABLE[Chemistry.UNKNOWN])
