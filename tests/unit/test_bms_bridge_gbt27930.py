"""GB/T 27930: messages typed by hand, a session from hello to statistics, hostile frames; and a real one where the data are there.

Currents of the standard are negative while charging; here charging is positive."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bms_bridge import gbt27930 as gbt
from bms_bridge.can.frame import CanFrame, id_of
from bms_bridge.can.log_file import LogFile
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Source
from bms_bridge.gbt27930 import BMS, CHARGER, GbtMessage, decoded, group_of
from bms_bridge.gbt_session import EVERY_S, LOST_S, GbtListener, Phase
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import Trip
from depot.values import PackKey

BUS = PackKey("BUS1", "P1")
VIN = "LZZ5CCCD8ND123456"
LONG = {gbt.BRM, gbt.BCP, gbt.BCS}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def hidden(vin: str) -> str:
    return f"V-{len(vin)}"


def says(pgn: int, data: str, at_s: float = 0.0) -> GbtMessage:
    message = decoded(pgn, bytes.fromhex(data), at_s, pseudonym=hidden)
    assert message is not None
    return message


def frames(pgn: int, data: bytes, at_s: float) -> list[CanFrame]:
    """As they are on the bus: by the transport protocol what has more than eight bytes."""
    source = BMS if gbt.NAMES[pgn][0] == "B" else CHARGER
    other = CHARGER if source == BMS else BMS
    if len(data) <= 8:
        return [CanFrame(at_s, id_of(pgn, source=source, destination=other), True, data)]
    count = -(-len(data) // 7)
    head = b"\x10" + len(data).to_bytes(2, "little") + bytes([count, 0xFF]) + pgn.to_bytes(3, "little")
    data_id = id_of(0xEB00, source=source, destination=other, priority=7)
    return [
        CanFrame(at_s, id_of(0xEC00, source=source, destination=other, priority=7), True, head),
        *(CanFrame(at_s, data_id, True, bytes([n + 1]) + data[7 * n : 7 * n + 7].ljust(7, b"\xff")) for n in range(count)),
    ]


class Line:
    """A charging line of which every frame is heard; samples as the controller would take them."""

    def __init__(self) -> None:
        self.listener = GbtListener(hidden)
        self.samples: list[PackSample] = []
        self.now_s = 100.0

    def __call__(self, pgn: int, data: str, *, after_s: float = 0.05) -> None:
        self.now_s += after_s
        for frame in frames(pgn, bytes.fromhex(data), self.now_s):
            self.listener.hear(frame)
        if self.listener.due(self.now_s):
            self.samples.append(self.listener.take(BUS, self.now_s, received_at=NOON))

    @property
    def phase(self) -> Phase:
        return self.listener.session.phase

    def until_charging(self) -> None:
        self(gbt.CHM, "010100")
        self(gbt.CRM, "00 01010101 313233")
        self(gbt.BRM, brm(VIN).hex())
        self(gbt.BCP, "7201 DA05 2A02 A510 73 0803 C60E")
        self(gbt.BRO, "AA")
        self(gbt.BCL, "A510 D80E 02")
        self(gbt.BCS, "C50E A00F 4C61 4D 2B00")
        self(gbt.BSM, "1E 36 06 35 0F 00 10")


def brm(vin: str) -> bytes:
    return bytes.fromhex("010100 03 F005 400E 01000000 01000000 630B08 950000 01 FF") + vin.encode() + bytes(8)


def test_battery_charging_demand() -> None:
    assert says(gbt.BCL, "A510 580E 02").values == {"voltage_v": 426.1, "current_a": 32.8, "mode": 2}


def test_battery_charging_status_splits_cell_and_group() -> None:
    values = says(gbt.BCS, "FE0E 5A0E 5141 4D 2B00").values
    assert values == {"voltage_v": 383.8, "current_a": 32.6, "cell_max_v": 3.37, "cell_max_group": 4, "soc": 0.77, "remaining_min": 43}


def test_charger_charging_status() -> None:
    assert says(gbt.CCS, "050F 580E 0000 FD").values == {"voltage_v": 384.5, "current_a": 32.8, "minutes": 0, "allowed": 1}


def test_battery_status_information() -> None:
    values = says(gbt.BSM, "1E 36 06 35 0F 00 10").values
    assert (values["hottest_c"], values["coldest_c"], values["allowed"]) == (4, 3, 1)
    assert (values["cell_max_number"], values["hottest_number"], values["coldest_number"]) == (31, 7, 16)


def test_battery_charging_parameters() -> None:
    values = says(gbt.BCP, "7201 DA05 2A02 A510 73 0803 C60E").values
    assert values == {
        "max_cell_v": 3.7, "max_current_a": 250.2, "energy_kwh": 55.4, "max_voltage_v": 426.1, "max_temperature_c": 65, "soc": 0.776,
        "voltage_v": 378.2,
    }  # fmt: skip


def test_recognition_shows_a_pseudonym_only() -> None:
    message = says(gbt.BRM, brm(VIN).hex())
    assert message.vehicle == "V-17"
    assert VIN not in repr(message)
    assert (message.values["battery_type"], message.values["capacity_ah"], message.values["charges"]) == (3, 152, 149)


@pytest.mark.parametrize("vin", ["", "SHORT", "\xff" * 17, " " * 17, "lower5cccd8nd1234"])
def test_what_is_no_vin_has_no_pseudonym(vin: str) -> None:
    data = bytes(24) + vin.encode("latin-1").ljust(17, b"\0") + bytes(8)
    message = decoded(gbt.BRM, data, 0.0, pseudonym=hidden)
    assert message is not None
    assert message.vehicle == ""


@pytest.mark.parametrize(
    ("data", "reasons", "alarms"),
    [
        ("40000000", ("the charger stops",), ()),
        ("01000000", ("the wanted state of charge is reached",), ()),
        ("00010000", ("insulation fault",), ("insulation_fault",)),
        ("00000100", ("battery too hot",), ("over_temperature",)),
        ("00000400", ("high-voltage relay fault",), ("contactor_fault",)),
        ("00000001", ("current above what was asked for",), ("over_current",)),
        ("01050000", ("the wanted state of charge is reached", "insulation fault", "output connector too hot"), None),
    ],
)
def test_the_battery_says_why_it_stops(data: str, reasons: tuple[str, ...], alarms: tuple[str, ...] | None) -> None:
    message = says(gbt.BST, data)
    assert message.reasons == reasons
    assert alarms is None or message.alarms == alarms


def test_the_charger_says_why_it_stops_and_filled_spare_bits_say_nothing() -> None:
    message = says(gbt.CST, "0400F0F0")
    assert (message.reasons, message.alarms, message.unreliable) == (("stopped by a person",), (), ())
    assert says(gbt.CST, "00000100").reasons == ("emergency stop of the charger",)


@pytest.mark.parametrize(
    ("flags", "alarm"),
    [
        ("01 10", "cell_over_voltage"),
        ("02 10", "cell_under_voltage"),
        ("10 10", "over_current"),
        ("40 10", "over_temperature"),
        ("00 11", "insulation_fault"),
        ("00 14", "connector_fault"),
    ],
)
def test_flags_of_the_battery_are_alarms(flags: str, alarm: str) -> None:
    assert says(gbt.BSM, f"1E 36 06 35 0F {flags}").alarms == (alarm,)


def test_all_bits_set_is_no_value_and_short_messages_lack_values() -> None:
    assert says(gbt.BCL, "FFFF FFFF FF").values == {"voltage_v": None, "current_a": None, "mode": None}
    assert says(gbt.BCL, "A510").values == {"voltage_v": 426.1, "current_a": None, "mode": None}


def test_a_group_from_the_wrong_side_is_not_believed() -> None:
    data = bytes.fromhex("A510D80E02")
    assert decoded(gbt.BCL, data, 0.0, pseudonym=hidden, source=CHARGER) is None
    assert decoded(gbt.BCL, data, 0.0, pseudonym=hidden, source=BMS) is not None
    assert group_of(CanFrame(0.0, 0x0070F4B5, True, b"")) is None
    assert group_of(CanFrame(0.0, 0x181056F4, True, b"")) == gbt.BCL
    assert group_of(CanFrame(0.0, 0x7FF, False, b"")) is None


def test_a_session_goes_its_way() -> None:
    line = Line()
    steps = [
        (gbt.CHM, "010100", Phase.HANDSHAKE), (gbt.BHM, "A510", Phase.HANDSHAKE), (gbt.CRM, "00 01010101 313233", Phase.RECOGNITION),
        (gbt.BRM, brm(VIN).hex(), Phase.RECOGNITION), (gbt.CRM, "AA 01010101 313233", Phase.RECOGNITION),
        (gbt.BCP, "7201 DA05 2A02 A510 73 0803 C60E", Phase.CONFIGURATION), (gbt.CML, "1C25 7C01 DC05 A00F", Phase.CONFIGURATION),
        (gbt.BCL, "A510 D80E 02", Phase.CHARGING), (gbt.BCS, "C50E A00F 4C61 4D 0000", Phase.CHARGING),
        (gbt.CML, "1C25 7C01 DC05 A00F", Phase.CHARGING), (gbt.CST, "0400F0F0", Phase.ENDING), (gbt.BST, "40000000", Phase.ENDING),
        (gbt.BSD, "4D 4D01 4E01 35 36", Phase.ENDED), (gbt.CSD, "0000 0100 01010101", Phase.ENDED),
    ]  # fmt: skip
    for pgn, data, phase in steps:
        line(pgn, data)
        assert line.phase is phase, gbt.NAMES[pgn]
    session = line.listener.session
    assert (session.vehicle, session.joined) == ("V-17", False)
    assert (session.bms_stop, session.charger_stop) == (("the charger stops",), ("stopped by a person",))
    line(gbt.CHM, "010100")
    assert line.phase is Phase.HANDSHAKE
    assert line.listener.session.bms_stop is None
    assert line.listener.session.vehicle == ""


def test_who_comes_late_joins_where_the_two_are() -> None:
    line = Line()
    line(gbt.BCL, "A510 D80E 02")
    assert (line.phase, line.listener.session.joined) == (Phase.CHARGING, True)


def test_a_line_that_falls_silent_is_lost_and_may_come_back() -> None:
    line = Line()
    line.until_charging()
    line.listener.look(line.now_s + LOST_S)
    assert line.phase is Phase.CHARGING
    line.listener.look(line.now_s + LOST_S + 0.1)
    assert line.phase is Phase.LOST
    line(gbt.BCL, "A510 D80E 02", after_s=10)
    assert (line.phase, line.listener.session.joined) == (Phase.CHARGING, True)


def test_a_sample_says_what_the_battery_says() -> None:
    line = Line()
    line.until_charging()
    line(gbt.BSM, "1E 36 06 35 0F 00 10", after_s=EVERY_S)
    sample = line.samples[-1]
    assert (sample.pack, sample.source, sample.reported_at) == (BUS, Source.GBT, None)
    assert sample.temperatures_c == (4, 3)
    assert (sample.soc, sample.voltage_v, sample.cell_max_v) == (0.77, 378.1, 3.32)
    assert (sample.current_a, sample.limit_a, sample.limit_v) == (0, 20, 426.1)
    assert (sample.stop, sample.alarms) == (False, ())


def test_a_hotter_sensor_an_alarm_and_a_stop_are_told_at_once() -> None:
    line = Line()
    line.until_charging()
    line(gbt.BSM, "1E 36 06 35 0F 00 10", after_s=EVERY_S)
    told = len(line.samples)
    line(gbt.BSM, "1E 36 06 35 0F 00 10")
    assert len(line.samples) == told  # nothing new: the next one is due in a second
    line(gbt.BSM, "1E 6E 06 35 0F 00 10")
    assert line.samples[-1].temperatures_c == (60, 3)
    line(gbt.BSM, "1E 6E 06 35 0F 40 10")
    assert line.samples[-1].alarms == ("over_temperature",)
    line(gbt.BST, "00010000")
    assert line.samples[-1].stop
    assert "insulation_fault" in line.samples[-1].alarms
    assert len(line.samples) == told + 3


def test_charging_that_is_forbidden_leaves_no_current() -> None:
    line = Line()
    line.until_charging()
    line(gbt.BSM, "1E 36 06 35 0F 00 00", after_s=EVERY_S)
    assert line.samples[-1].limit_a == 0.0


def test_a_state_that_the_battery_does_not_trust_is_a_sensor_fault() -> None:
    line = Line()
    line.until_charging()
    line(gbt.BSM, "1E 36 06 35 0F 80 10")
    assert line.samples[-1].alarms == ("sensor_fault",)


def test_what_is_no_longer_said_has_no_value() -> None:
    line = Line()
    line.until_charging()
    line(gbt.BCL, "A510 D80E 02", after_s=4)
    assert (line.samples[-1].soc, line.samples[-1].temperatures_c, line.samples[-1].limit_a) == (None, (), 20)


hostile = st.builds(
    CanFrame,
    st.floats(0, 1e9),
    st.one_of(
        st.integers(0, 0x1FFFFFFF),
        st.builds(
            lambda pgn, back: id_of(pgn, source=CHARGER if back else BMS, destination=BMS if back else CHARGER),
            st.sampled_from([*gbt.NAMES, 0xEC00, 0xEB00]),
            st.booleans(),
        ),
    ),
    st.booleans(),
    st.binary(max_size=64),
)


@settings(max_examples=300)
@given(st.lists(hostile, max_size=60))
def test_no_frames_whatsoever_raise(stream: list[CanFrame]) -> None:
    listener = GbtListener(hidden)
    for frame in stream:
        listener.look(frame.at_s)
        listener.hear(frame)
        if listener.due(frame.at_s):
            listener.take(BUS, frame.at_s, received_at=NOON)
    assert listener.transport.open <= 8


@pytest.mark.data
def test_the_real_session_says_what_the_reference_says(data_dir: Path) -> None:
    """battery.md §7: BCL 426.1 V / -32.8 A, CCS 384.5 V, BCS 383.8 V / -32.6 A, 3.37 V, 77 %, 43 min, BSM 4/3 °C."""
    log = LogFile(data_dir / "can" / "logs" / "candump-2023-12-25_220841.log")
    line, messages = GbtListener(hidden), []
    samples: list[PackSample] = []
    for frame in log:
        line.look(frame.at_s)
        if (message := line.hear(frame)) is not None:
            messages.append(message)
        if line.due(frame.at_s):
            samples.append(line.take(BUS, frame.at_s, received_at=NOON))
    last = {message.name: message.values for message in messages if message.pgn not in (gbt.BST, gbt.CST)}
    assert (log.frames, log.skipped, log.times.sound) == (1857, 0, True)
    assert (last["BCL"]["voltage_v"], last["BCL"]["current_a"]) == (426.1, 32.8)
    assert last["CCS"]["voltage_v"] == 384.5
    assert (last["BCS"]["voltage_v"], last["BCS"]["current_a"], last["BCS"]["cell_max_v"]) == (383.8, 32.6, 3.37)
    assert (last["BCS"]["soc"], last["BCS"]["remaining_min"]) == (0.77, 43)
    assert (last["BSM"]["hottest_c"], last["BSM"]["coldest_c"]) == (4, 3)
    assert line.counts == {
        "CHM": 66, "BHM": 67, "CRM": 2, "BRM": 1, "BCP": 1, "CTS": 3, "CML": 5, "BRO": 6, "CRO": 2, "BCL": 548, "BCS": 110, "CCS": 396,
        "BSM": 109, "BST": 10, "CST": 26, "BSD": 5, "CSD": 4,
    }  # fmt: skip
    assert (line.transport.done, dict(line.transport.faults), line.foreign) == (112, {}, 43)
    assert line.session.phase is Phase.ENDED
    assert (line.session.charger_stop, line.session.bms_stop) == (("stopped by a person",), ("the charger stops",))
    assert line.session.vehicle == "V-17"
    assert not any(sample.alarms for sample in samples)
    assert 25 <= len(samples) <= 60


@pytest.mark.data
def test_the_real_session_trips_nothing(data_dir: Path, tmp_path: Path) -> None:
    """A healthy pack at 3 to 4 °C: derated for the cold, never tripped, whatever its chemistry is taken for."""

    class LogClock:
        at_s = 0.0

        def now(self) -> datetime:
            return datetime.fromtimestamp(self.at_s, UTC)

        def monotonic(self) -> float:
            return self.at_s

        async def sleep(self, seconds: float) -> None:
            raise AssertionError("nothing here sleeps")

    for chemistry in (Chemistry.LFP, Chemistry.UNKNOWN):
        clock, verdicts, line = LogClock(), [], GbtListener(hidden)
        with closing(LatchFile.open(tmp_path / chemistry)) as latches:
            guard = Guard(latches, clock=clock, chemistry_of={BUS: chemistry}.get, on_verdict=verdicts.append)
            for frame in LogFile(data_dir / "can" / "logs" / "candump-2023-12-25_220841.log"):
                clock.at_s = frame.at_s
                line.hear(frame)
                if line.due(frame.at_s):
                    guard.heard(line.take(BUS, frame.at_s, received_at=clock.now()))
            guard.tick()
        assert verdicts
        assert not [verdict for verdict in verdicts if isinstance(verdict, Trip)]
        assert guard.share_of(BUS) < 1
        assert not guard.rejections.newest
