"""Frames become samples: multiplexed cells in one sample, at once where it matters, and nothing that any frame could break."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from cantools.database.can import Database
from hypothesis import given, settings
from hypothesis import strategies as st

from bms_bridge.can.bind import Binding, bind
from bms_bridge.can.dbc import EXAMPLE, Dbc
from bms_bridge.can.frame import CanFrame, id_of
from bms_bridge.can.gather import Gatherer
from bms_bridge.can.pack_map import PackMap
from bms_bridge.contract import PackSample, Source
from depot.values import PackKey

MAPS = Path(__file__).resolve().parents[2] / "bms_bridge" / "can" / "maps"
BUS = PackKey("BUS1", "P1")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@cache
def example() -> tuple[Binding, Database]:
    """The example, and cantools as its sender: what is cut here is packed by somebody else."""
    theirs = Database()
    theirs.add_dbc_file(str(MAPS / f"{EXAMPLE}.dbc"))
    return bind(PackMap.named(EXAMPLE), Dbc.named(EXAMPLE)), theirs


class Vehicle:
    """A vehicle that sends, and the gatherer that hears it."""

    def __init__(self) -> None:
        binding, self._theirs = example()
        self.gatherer = Gatherer(binding)
        self.now_s = 50.0

    def send(self, message: str, **signals: float) -> None:
        found = self._theirs.get_message_by_name(message)
        full = {signal.name: signals.get(signal.name, 0) for signal in found.signals if not signal.multiplexer_ids}
        data = found.encode({**full, **signals}, strict=False)
        self.gatherer.hear(CanFrame(self.now_s, found.frame_id, False, data), self.now_s)

    def round(self, *, cell_v: float = 3.3, sensor_c: float = 25.0, cells: int = 96, sensors: int = 24) -> None:
        self.send("PackState", Voltage=630.4, Current=-12.5, Soc=61.5, Soh=97.0)
        self.send("PackLimits", ChargeCurrent=200, ChargeVoltage=700, Insulation=900)
        for block in range(cells // 3):
            self.send("CellVoltages", Block=block, **{f"Cell_{3 * block + k:03d}": 1000 * cell_v + k for k in range(3)})
        for block in range(sensors // 3):
            row = {f"Sensor_{3 * block + k:02d}": sensor_c + 0.1 * k for k in range(3)}
            self.send("CellTemperatures", TemperatureBlock=block, **row)
        self.send("Version", Major=2, Minor=0, Patch=17)
        self.send("Faults")

    def sample(self, *, after_s: float = 0.0) -> PackSample | None:
        self.now_s += after_s
        if not self.gatherer.due(self.now_s):
            return None
        return self.gatherer.take(BUS, self.now_s, received_at=NOON)

    def told(self, *, after_s: float = 0.0) -> PackSample:
        sample = self.sample(after_s=after_s)
        assert sample is not None
        return sample


def test_multiplexed_cells_and_sensors_become_one_sample() -> None:
    bus = Vehicle()
    bus.round()
    assert bus.sample() is None  # the first one waits for a whole round
    sample = bus.told(after_s=1.0)
    assert (sample.pack, sample.source, sample.reported_at, sample.firmware) == (BUS, Source.CAN, None, "2.0.17")
    assert sample.cells_v == tuple(pytest.approx(3.3 + 0.001 * (n % 3)) for n in range(96))
    assert sample.temperatures_c == tuple(pytest.approx(25 + 0.1 * (n % 3)) for n in range(24))
    assert (sample.soc, sample.soh, sample.current_a, sample.voltage_v) == pytest.approx((0.615, 0.97, -12.5, 630.4))
    assert (sample.insulation_ohm, sample.limit_a, sample.limit_v) == pytest.approx((900_000, 200, 700))
    assert (sample.alarms, sample.stop) == ((), False)


def test_a_pack_with_fewer_cells_and_sensors_has_no_more() -> None:
    bus = Vehicle()
    bus.round(cells=30, sensors=12)
    sample = bus.told(after_s=1.0)
    assert (len(sample.cells_v), len(sample.temperatures_c)) == (30, 12)


def test_a_count_in_the_map_says_what_is_missing() -> None:
    text = (MAPS / f"{EXAMPLE}.toml").read_text(encoding="utf-8").replace('unit = "degC"', 'unit = "degC"\ncount = 15')
    bus = Vehicle()
    bus.gatherer = Gatherer(bind(PackMap.parse(text), Dbc.named(EXAMPLE)))
    bus.round(sensors=12)
    assert bus.told(after_s=1.0).temperatures_c[12:] == (None, None, None)


def test_codes_for_no_value_and_values_that_grew_old_are_left_out() -> None:
    bus = Vehicle()
    bus.round()
    bus.send("CellTemperatures", TemperatureBlock=0, Sensor_00=-3276.8, Sensor_01=25, Sensor_02=25)
    assert bus.told(after_s=1.0).temperatures_c[0] is None
    bus.now_s += 10
    bus.send("PackState", Voltage=630.4, Soc=61.5)
    sample = bus.told()
    assert sample.voltage_v == pytest.approx(630.4)
    assert sample.limit_a is None
    assert set(sample.cells_v) == {None}


@pytest.mark.parametrize(
    ("message", "signals"),
    [
        ("CellTemperatures", {"TemperatureBlock": 3, "Sensor_09": 41.0, "Sensor_10": 25, "Sensor_11": 25}),
        ("CellVoltages", {"Block": 9, "Cell_027": 3700, "Cell_028": 3300, "Cell_029": 3300}),
        ("CellVoltages", {"Block": 9, "Cell_027": 2100, "Cell_028": 3300, "Cell_029": 3300}),
        ("PackState", {"Current": 480.0}),
        ("PackLimits", {"Insulation": 40, "ChargeCurrent": 200}),
        ("PackState", {"Mode": 3}),
        ("Faults", {"SmokeOrGas": 1}),
    ],
    ids=["hotter", "higher", "lower", "current", "insulation", "stop", "alarm"],
)
def test_what_became_worse_is_told_at_once(message: str, signals: dict[str, float]) -> None:
    bus = Vehicle()
    bus.round()
    bus.told(after_s=1.0)
    bus.now_s += 0.1
    bus.round()
    assert bus.sample() is None  # nothing became worse
    bus.send(message, **signals)
    sample = bus.told()
    assert (sample.stop, sample.alarms) == (message == "PackState" and "Mode" in signals, ("smoke_or_gas",) if message == "Faults" else ())
    bus.send(message, **signals)
    assert bus.sample() is None  # it was said


def test_an_alarm_is_told_at_once_even_in_the_first_frame() -> None:
    bus = Vehicle()
    bus.send("Faults", ThermalEvent=1)
    assert bus.told().alarms == ("thermal_event",)


def test_an_alarm_that_comes_and_goes_between_two_samples_is_in_the_next_one_only() -> None:
    bus = Vehicle()
    bus.round()
    bus.told(after_s=1.0)
    bus.send("Faults", CoolingFault=1)
    bus.send("Faults")
    assert bus.told().alarms == ("cooling_fault",)
    bus.send("Faults")
    assert bus.told(after_s=1.0).alarms == ()


def test_frames_of_others_and_of_the_wrong_kind_are_passed_over() -> None:
    bus = Vehicle()
    assert not bus.gatherer.hear(CanFrame(0.0, 0x123, False, bytes(8)), 0.0)
    assert not bus.gatherer.hear(CanFrame(0.0, 512, True, bytes(8)), 0.0)
    assert not bus.gatherer.due(100.0)


@settings(max_examples=300)
@given(
    st.lists(
        st.builds(
            CanFrame, st.floats(0, 1e6), st.one_of(st.integers(512, 517), st.integers(0, 0x1FFFFFFF)), st.booleans(), st.binary(max_size=64)
        ),
        max_size=60,
    )
)
def test_no_frames_whatsoever_raise(stream: list[CanFrame]) -> None:
    gatherer = Gatherer(example()[0])
    for number, frame in enumerate(stream):
        gatherer.hear(frame, float(number))
        if gatherer.due(float(number)):
            sample = gatherer.take(BUS, float(number), received_at=NOON)
            assert len(sample.cells_v) <= 96


J1939 = """VERSION ""

NS_ :

BS_:

BU_: B

BO_ {id} Big: 12 B
 SG_ High : 0|8@1+ (1,-40) [0|0] "degC" B
 SG_ Far : 88|8@1+ (1,-40) [0|0] "degC" B
"""
J1939_MAP = """schema = "pack-map/1"
name = "j"
title = "By parameter group"
maker = "Somebody"
models = []
source = "here"
j1939 = true
source_address = 0xF3

[temperatures]
signals = ["Big.High", "Big.Far"]
"""


def test_j1939_groups_are_known_by_their_number_and_long_ones_come_in_packets() -> None:
    group = 0xFE10
    dbc = Dbc.parse(J1939.format(id=id_of(group, source=0xFE) | 1 << 31))
    gatherer = Gatherer(bind(PackMap.parse(J1939_MAP), dbc))
    data = bytes([65, *bytes(10), 70])
    short = CanFrame(0.0, id_of(group, source=0xF3, priority=3), True, data[:8])
    assert gatherer.hear(short, 0.0)
    assert not gatherer.hear(short._replace(can_id=id_of(group, source=0x22)), 0.0)  # another sender's
    assert not gatherer.hear(short._replace(extended=False, can_id=0x110), 0.0)
    control, packet = id_of(0xEC00, source=0xF3), id_of(0xEB00, source=0xF3)
    head = bytes([0x20, 12, 0, 2, 0xFF]) + group.to_bytes(3, "little")
    gatherer.hear(CanFrame(0.1, control, True, head), 0.1)
    gatherer.hear(CanFrame(0.2, packet, True, bytes([1]) + data[:7]), 0.2)
    assert gatherer.hear(CanFrame(0.3, packet, True, bytes([2]) + data[7:].ljust(7, b"\xff")), 0.3)
    assert gatherer.take(BUS, 1.0, received_at=NOON).temperatures_c == (25, 30)


@pytest.mark.data
def test_foxbms_cells_with_their_flags_become_one_sample(data_dir: Path) -> None:
    path = data_dir / "can" / "dbc" / "foxbms.dbc"
    theirs = Database()
    theirs.add_dbc_file(str(path))
    gatherer = Gatherer(bind(PackMap.named("foxbms-2"), Dbc.load(path)))
    message = theirs.get_message_by_name("f_CellVoltages")
    for mux in range(12):
        values: dict[str, float] = {"f_CellVoltages_Mux": mux}
        for k in range(4):
            values |= {f"CellVoltage_{4 * mux + k:03d}": 3300 + 4 * mux + k, f"CellVoltage_{4 * mux + k:03d}_invalidFlag": int(mux == 3)}
        gatherer.hear(CanFrame(0.0, message.frame_id, False, message.encode(values)), 0.0)
    sample = gatherer.take(BUS, 1.0, received_at=NOON)
    expected = [None if n // 4 == 3 else pytest.approx(3.3 + 0.001 * n) for n in range(48)]
    assert list(sample.cells_v) == expected


def test_flags_of_balancing_become_the_current_that_the_map_says() -> None:
    """Most units tell only which balancers are on; what flows while one is on stands in the data sheet."""
    text = (MAPS / f"{EXAMPLE}.toml").read_text().partition("[alarms]")[0]
    more = '[balancing]\nsignals = ["Faults.OverTemperature", "Faults.CellOverVoltage"]\nunit = "A"\nscale = 0.08\n'
    vehicle = Vehicle()
    vehicle.gatherer = Gatherer(bind(PackMap.parse(text + more), Dbc.named(EXAMPLE)))
    vehicle.round()
    vehicle.send("Faults", CellOverVoltage=1)
    sample = vehicle.sample(after_s=1.0)
    assert sample is not None
    assert sample.balancing_a == pytest.approx((0.0, 0.08))
    assert vehicle.gatherer.binding.balancing == 2
