"""What a unit tells, against what it measured: within its bands at every reading, with events at once and exactly."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bms_bridge.edge import WireError
from bms_bridge.edge.bands import FINEST, USUAL, Band, bands
from bms_bridge.edge.recorder import UNNAMED_ALARM, Habits, Packet, Recorder
from bms_bridge.edge.wire import BY_NAME, EXACT, GROUPS, Reading, decode

SCALARS = [group.name for group in GROUPS if group.most == 1 and group.name not in EXACT]
HABITS = Habits(boot=3, firmware="4.2")
CALM = Reading(at_ms=0, temperatures_c=(25.0, 25.1, 25.2, 25.3), soc=0.5, current_a=100.0, voltage_v=650.0)


def told(packets: Iterable[Packet]) -> list[tuple[int, Reading]]:
    return [entry for packet in packets for entry in decode(packet.data).readings()]


def run(readings: Iterable[Reading], habits: Habits = HABITS) -> list[Packet]:
    recorder = Recorder(habits)
    packets = [packet for reading in readings for packet in recorder.put(reading)]
    return packets + recorder.flush()


def held_at(rows: list[Reading], at_ms: int) -> Reading:
    """What a receiver holds for right at a moment: the newest row that is not younger."""
    return [row for row in rows if row.at_ms <= at_ms][-1]


def series(seed: int) -> list[Reading]:
    """Readings of one pack whose signals walk, jump, and are missing now and then."""
    rng = random.Random(seed)
    names = rng.sample(SCALARS, rng.randint(0, 5))
    sensors, cells = rng.randint(0, 5), rng.randint(0, 5)

    def value(low: float, high: float, before: float | None) -> float | None:
        if before is not None and rng.random() < 0.6:
            return before + rng.gauss(0, (high - low) / 500)
        return rng.choice([None, 0.0, rng.uniform(low, high), rng.uniform(low, high)])

    found, at_ms = [], rng.randrange(10**12)
    now: dict[str, float | None] = dict.fromkeys(names)
    temperatures: list[float | None] = [None] * sensors
    volts: list[float | None] = [None] * cells
    for _ in range(rng.randint(1, 60)):
        at_ms += rng.choice([100, 1000, 1000, 1000, 5000, 20_000])
        if rng.random() < 0.6:
            now = {name: value(-1000, 1000, before) for name, before in now.items()}
            temperatures = [value(-60, 70, before) for before in temperatures]
            volts = [value(0, 5, before) for before in volts]
        found.append(
            Reading(
                at_ms=at_ms,
                temperatures_c=tuple(temperatures) if rng.random() < 0.9 else (),
                cells_v=tuple(volts),
                alarms=tuple(rng.sample(["smoke_or_gas", "cooling_fault", "x"], rng.randint(1, 2))) if rng.random() < 0.05 else (),
                stop=rng.random() < 0.03,
                **now,  # type: ignore[arg-type]  # names of scalars
            )
        )
    return found


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_told_lies_within_the_bands_at_every_reading(seed: int) -> None:
    readings = series(seed)
    packets = run(readings)
    numbers = [number for number, _ in told(packets)]
    assert sorted(numbers) == list(range(len(numbers)))  # none twice, none missing
    rows = [row for _, row in told(packet for packet in packets if not packet.history)]
    for reading in readings:
        held = held_at(rows, reading.at_ms)
        assert (set(held.alarms), held.stop) == (set(reading.alarms), reading.stop)
        for name, band in USUAL.items():
            ours, theirs = getattr(reading, name), getattr(held, name)
            if not isinstance(ours, tuple):
                ours, theirs = (ours,), (theirs,)
            if not ours:
                assert all(said is None for said in theirs)
                continue
            for said, was in zip(theirs, ours, strict=True):
                assert (said is None) == (was is None)
                assert said is None or was is None or abs(said - was) <= band.band * (1 + 1e-9) + 1e-9


def test_what_does_not_change_costs_a_heartbeat() -> None:
    packets = run(replace(CALM, at_ms=k * 1000) for k in range(3600))
    rows = told(packets)
    assert len(rows) == 360
    assert sum(len(packet.data) for packet in packets) < 360 * 60


def test_an_alarm_goes_alone_and_at_once_after_the_window_before_it() -> None:
    recorder = Recorder(HABITS)
    calm = [replace(CALM, at_ms=k * 1000, temperatures_c=(25 + k / 97, 25.1, 25.2, 25.3)) for k in range(100)]
    for reading in calm:
        recorder.put(reading)
    alarm = replace(CALM, at_ms=100_000, temperatures_c=(26.123, 25.1, 25.2, 25.3), alarms=("smoke_or_gas",))
    *before, urgent = recorder.put(alarm)
    assert urgent.urgent
    assert urgent.rows == 1
    ((_, row),) = told([urgent])
    assert row.alarms == ("smoke_or_gas",)
    assert row.temperatures_c[0] == pytest.approx(26.12)  # exact, not within the band
    history = [packet for packet in before if packet.history]
    window = [row for _, row in told(history)]
    assert [row.at_ms for row in window] == [k * 1000 for k in range(69, 100)]
    assert all(
        abs(said - was) <= FINEST["temperatures_c"].band * (1 + 1e-9)
        for row, reading in zip(window, calm[69:], strict=True)
        for said, was in zip(row.temperatures_c, reading.temperatures_c, strict=True)
        if said is not None and was is not None
    )
    again = recorder.put(replace(alarm, at_ms=101_000))
    assert [(packet.urgent, packet.rows, packet.history) for packet in again] == [(True, 1, False)]
    end = recorder.put(replace(CALM, at_ms=102_000))
    assert [(packet.urgent, told([packet])[0][1].alarms) for packet in end] == [(True, ())]


@pytest.mark.parametrize(
    "change",
    [{"stop": True}, {"temperatures_c": (50.0, 25.1, 25.2, 25.3)}, {"temperatures_c": (27.6, 25.1, 25.2, 25.3)}],
    ids=["stop", "hot", "rising"],
)
def test_what_is_urgent(change: dict[str, object]) -> None:
    recorder = Recorder(HABITS)
    for k in range(10):
        recorder.put(replace(CALM, at_ms=k * 1000))
    last = recorder.put(replace(CALM, at_ms=10_000, **change))[-1]  # type: ignore[arg-type]  # any field
    assert last.urgent


def test_begin_and_end_of_a_current_are_told_at_once() -> None:
    recorder = Recorder(HABITS)
    currents = [0.0, 0.0, 60.0, 60.1, 60.2, 1.5, 0.5, 0.0]
    sent = [[p.rows for p in recorder.put(replace(CALM, at_ms=k * 1000, current_a=a))] for k, a in enumerate(currents)]
    assert [bool(rows) for rows in sent] == [True, False, True, False, False, False, True, False]


def test_after_danger_every_reading_is_told_for_a_while() -> None:
    recorder = Recorder(HABITS)
    recorder.put(replace(CALM, at_ms=0))
    recorder.put(replace(CALM, at_ms=1000, alarms=("cooling_fault",)))
    packets = [p for k in range(2, 130) for p in recorder.put(replace(CALM, at_ms=k * 1000))]
    rows = [row.at_ms // 1000 for _, row in told(packets)]
    assert rows[:60] == list(range(2, 62))
    assert len([at for at in rows if at > 62]) <= 8


def test_a_lost_sensor_and_another_number_of_cells_are_told() -> None:
    readings = [replace(CALM, at_ms=0), replace(CALM, at_ms=1000, temperatures_c=()), replace(CALM, at_ms=2000, cells_v=(3.3,) * 300)]
    rows = [row for _, row in told(run(readings))]
    assert rows[1].temperatures_c == (None,) * 4
    assert rows[2].cells_v == (3.3,) * 300


def test_long_exact_batches_become_several_messages() -> None:
    habits = replace(HABITS, batch_s=1e6, bands=FINEST)
    packets = run(
        (Reading(at_ms=k * 1000, cells_v=tuple(3 + (k * 7919 + c * 104_729) % 9973 / 9973 for c in range(300))) for k in range(200)), habits
    )
    assert len(packets) > 3
    assert max(len(packet.data) for packet in packets) <= 16_384
    assert [number for number, _ in told(packets)] == list(range(200))


def test_more_alarms_than_a_message_can_name_and_names_that_none_can_hold() -> None:
    names = tuple(f"alarm_{k}" for k in range(40))
    rows = [row for _, row in told(run([replace(CALM, alarms=names)]))]
    assert len(rows[0].alarms) == 32
    rows = [row for _, row in told(run(replace(CALM, at_ms=k * 1000, alarms=(f"a{k}",)) for k in range(100))) if row.alarms]
    assert {row.alarms for row in rows} == {(f"a{k}",) for k in range(100)}
    assert told(run([replace(CALM, alarms=("Über!",))]))[0][1].alarms == (UNNAMED_ALARM,)


def test_values_that_are_none() -> None:
    rows = [row for _, row in told(run([replace(CALM, temperatures_c=(float("nan"), float("inf"), 1e300, 25.0), soc=None)]))]
    assert rows[0].temperatures_c == (None, None, None, 25.0)


@pytest.mark.parametrize("bad", [{"at_ms": -1}, {"temperatures_c": (1.0,) * 65}, {"cells_v": (1.0,) * 1025}])
def test_readings_that_no_message_can_hold(bad: dict[str, object]) -> None:
    recorder = Recorder(HABITS)
    with pytest.raises(WireError):
        recorder.put(replace(CALM, **bad))  # type: ignore[arg-type]  # any field
    assert recorder.put(CALM)


def test_bands() -> None:
    assert bands(current_a=(0.01, 0.02))["current_a"] == Band(BY_NAME["current_a"], 1, 0.02)
    with pytest.raises(WireError, match="no signal"):
        bands(speed=(1, 1))
    with pytest.raises(WireError, match="multiple"):
        bands(current_a=(0.005, 1))
    with pytest.raises(WireError, match="cannot keep"):
        bands(current_a=(1, 0.4))
