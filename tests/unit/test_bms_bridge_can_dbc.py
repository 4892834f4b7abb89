"""DBC files that are sound, broken and hopeless; and signals cut out of frames, held against cantools' own decoder."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from cantools.database.can import Database
from hypothesis import given, settings
from hypothesis import strategies as st

from bms_bridge.can import InvalidDbc
from bms_bridge.can.cut import Field, Layout, Wanted
from bms_bridge.can.dbc import EXAMPLE, Dbc, DbcSignal
from bms_bridge.can.frame import CanFrame
from bms_bridge.can.survey import MOST_UNKNOWN, Survey

HEAD = 'VERSION ""\n\nNS_ :\n\nBS_:\n\nBU_: BMS\n\n'
SOUND = (
    HEAD
    + """BO_ 256 Pack: 8 BMS
 SG_ Voltage : 0|16@1+ (0.1,0) [0|0] "V" BMS
 SG_ Current : 23|16@0- (0.1,0) [0|0] "A" BMS
 SG_ Soc : 39|10@0+ (0.1,0) [0|0] "%" BMS

BO_ 2566844926 Extended: 8 BMS
 SG_ Temp : 0|8@1+ (1,-40) [0|0] "°C" BMS

BO_ 258 Nested: 8 BMS
 SG_ Outer M : 0|4@1+ (1,0) [0|0] "" BMS
 SG_ Inner m1M : 4|4@1+ (1,0) [0|0] "" BMS
 SG_ Deep m2 : 8|8@1- (2,1) [0|0] "V" BMS
 SG_ Plain m3 : 8|16@1+ (1,0) [0|0] "V" BMS

BO_ 259 Floats: 8 BMS
 SG_ One : 0|32@1- (1,0) [0|0] "V" BMS
 SG_ Two : 39|32@0- (1,0) [0|0] "V" BMS

BA_DEF_ BO_ "GenMsgCycleTime" INT 0 65535;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_ "GenMsgCycleTime" BO_ 256 100;
SIG_VALTYPE_ 259 One : 1;
SIG_VALTYPE_ 259 Two : 1;
SG_MUL_VAL_ 258 Inner Outer 1-1;
SG_MUL_VAL_ 258 Deep Inner 2-2, 5-6;
SG_MUL_VAL_ 258 Plain Outer 3-3;
"""
)


@cache
def both() -> tuple[Dbc, Database]:
    theirs = Database()
    theirs.add_dbc_string(SOUND)
    return Dbc.parse(SOUND), theirs


def cut(dbc: Dbc, message: str, data: bytes) -> dict[str, float]:
    """Every signal of a message, in the DBC's unit."""
    signals = list(dbc.messages[message].signals.values())
    wanted = []
    for number, signal in enumerate(signals):
        chain = [*dbc.selectors_of(signal), signal]
        when = tuple((Field.of_signal(a), frozenset(b.selected_by)) for a, b in pairwise(chain))
        wanted.append(Wanted(number, Field.of_signal(signal), when))
    found = Layout.of(wanted).cut(data)
    return {signals[number].name: raw * signals[number].scale + signals[number].offset for number, raw in found}


def test_a_sound_dbc_is_read_with_its_units_and_periods() -> None:
    dbc, _ = both()
    assert dbc.warnings == ()
    assert set(dbc.messages) == {"Pack", "Extended", "Nested", "Floats"}
    assert (dbc.messages["Pack"].cycle_s, dbc.messages["Extended"].cycle_s) == (0.1, None)
    assert (dbc.messages["Extended"].frame_id, dbc.messages["Extended"].extended) == (0x18FEF1FE, True)
    assert dbc.messages["Pack"].signals["Soc"].unit == "%"
    assert [signal.name for signal in dbc.selectors_of(dbc.messages["Nested"].signals["Deep"])] == ["Outer", "Inner"]


@settings(max_examples=400)
@given(st.sampled_from(["Pack", "Extended", "Nested", "Floats"]), st.binary(min_size=0, max_size=8))
def test_signals_are_cut_as_cantools_decodes_them(message: str, data: bytes) -> None:
    dbc, theirs = both()
    try:
        expected = theirs.get_message_by_name(message).decode(data, decode_choices=False, allow_truncated=True)
    except Exception:  # noqa: BLE001  # cantools refuses selectors that no signal has
        return
    found = cut(dbc, message, data)
    assert isinstance(expected, dict)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, nan_ok=True), name


@given(st.sampled_from(["Pack", "Extended", "Nested", "Floats"]), st.binary(max_size=64))
def test_no_bytes_raise(message: str, data: bytes) -> None:
    cut(both()[0], message, data)


def test_a_selector_that_no_signal_has_gives_what_is_always_there() -> None:
    assert cut(both()[0], "Nested", bytes([0x0F, 0, 0, 0, 0, 0, 0, 0])) == {"Outer": 15}
    assert cut(both()[0], "Nested", bytes([0x51, 0xFF, 0, 0, 0, 0, 0, 0])) == {"Outer": 1, "Inner": 5, "Deep": -1}


OVERLAPPING = """BO_ 256 Overlap: 8 BMS
 SG_ Whole : 7|16@0+ (1,0) [0|0] "V" BMS
 SG_ Low : 15|8@0+ (1,0) [0|0] "V" BMS
 SG_ Behind : 23|8@0+ (1,0) [0|0] "V" BMS

BO_ 257 Good: 8 BMS
 SG_ Fine : 0|8@1+ (1,0) [0|0] "V" BMS
"""


def test_signals_that_overlap_are_read_each_by_itself_with_a_warning() -> None:
    """cantools' own decoder takes ``Low`` and ``Behind`` one byte too late here, without a word."""
    dbc = Dbc.parse(HEAD + OVERLAPPING, "maker.dbc")
    assert len(dbc.warnings) == 1
    assert "overlapping in message Overlap" in dbc.warnings[0]
    assert cut(dbc, "Overlap", bytes([0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0])) == {"Whole": 0x1234, "Low": 0x34, "Behind": 0x56}


def test_a_signal_that_sticks_out_of_its_message_is_read_where_the_frame_has_it() -> None:
    dbc = Dbc.parse(HEAD + 'BO_ 256 Short: 2 BMS\n SG_ Wide : 8|16@1+ (1,0) [0|0] "V" BMS\n')
    assert "does not fit in message Short" in dbc.warnings[0]
    assert cut(dbc, "Short", bytes([0, 1])) == {}
    assert cut(dbc, "Short", bytes([0, 1, 2])) == {"Wide": 0x0201}


def test_names_of_values_without_their_signal_are_left_out_with_the_line() -> None:
    text = SOUND + 'VAL_ 256 Gone 0 "off; or so" 1 "on" ;\nVAL_ 256 Soc 0 "empty" ;\n'
    dbc = Dbc.parse(text, "maker.dbc")
    line = text.splitlines().index('VAL_ 256 Gone 0 "off; or so" 1 "on" ;') + 1
    assert dbc.warnings == (f"maker.dbc line {line}: it names the values of Gone in message 256, which has no such signal; left out",)
    assert len(dbc.messages) == 4


def test_a_file_that_is_cut_short_within_a_signal_is_told() -> None:
    """cantools passes over a signal that is not whole at the very end of a file."""
    text = HEAD + 'BO_ 256 Pack: 8 BMS\n SG_ A : 0|8@1+ (1,0) [0|0] "V" BMS\n SG_ B : 8|8@1+ (1,'
    dbc = Dbc.parse(text, "maker.dbc")
    assert dbc.warnings == ("maker.dbc: not every signal of Pack could be read; is the file cut short?",)


def test_two_messages_of_one_identifier_are_told() -> None:
    again = 'BO_ 256 Other: 8 BMS\n SG_ X : 0|8@1+ (1,0) [0|0] "V" BMS\n'
    assert any("same identifier 0x100" in text for text in Dbc.parse(HEAD + OVERLAPPING + "\n" + again).warnings)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SOUND.replace("SG_ Soc : 39|10@0+", "SG_ Soc : 39/10@0+"), "line 12, column 14 (after message Pack): this is not how"),
        ("", "it has no message"),
        ("{}\n" + SOUND, "line 1, column 1"),
        (SOUND.replace("0|16@1+ (0.1,0)", "0|0@1+ (0.1,0)"), "is not greater than 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place_and_what_to_do(text: str, complaint: str) -> None:
    with pytest.raises(InvalidDbc) as caught:
        Dbc.parse(text, "maker.dbc")
    assert str(caught.value).startswith("maker.dbc")
    assert complaint in str(caught.value)


def test_files_of_any_encoding_and_none_at_all(tmp_path: Path) -> None:
    file = tmp_path / "maker.dbc"
    for encoding in ("utf-8", "cp1252", "utf-8-sig"):
        file.write_text(SOUND, encoding=encoding)
        assert Dbc.load(file).messages["Extended"].signals["Temp"].unit == "°C"
    with pytest.raises(InvalidDbc, match="No such file"):
        Dbc.load(tmp_path / "none.dbc")


@given(st.text(max_size=300))
@settings(max_examples=60)
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(InvalidDbc):
        Dbc.parse(SOUND[:160] + text)


def test_a_survey_says_what_is_on_a_bus_and_is_bounded() -> None:
    survey = Survey(both()[0])
    for volts in (4000, 4100, 3900):
        survey.hear(CanFrame(0.0, 256, False, volts.to_bytes(2, "little") + bytes(6)))
    rows = {signal.name: (seen.count, seen.least, seen.most, seen.last) for signal, seen in survey.rows()}
    assert rows["Voltage"] == (3, 390, 410, 390)
    for number in range(MOST_UNKNOWN + 50):
        survey.hear(CanFrame(0.0, number + 0x800, True, b""))
    assert len(survey.unknown) == MOST_UNKNOWN


def test_the_packaged_example_is_sound() -> None:
    dbc = Dbc.named(EXAMPLE)
    assert dbc.warnings == ()
    strict = Database(strict=True)
    strict.add_dbc_file(str(Path(__file__).parents[2] / "bms_bridge" / "can" / "maps" / f"{EXAMPLE}.dbc"))
    assert {message.name for message in strict.messages} == set(dbc.messages)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "messages", "signals", "warning"),
    [
        ("foxbms", 41, 2075, ""),
        ("opendbc_gm_global_a_high_voltage_management", 12, 125, ""),
        ("Model3CAN", 148, 3172, "does not fit in message ID5D5RearDItemps"),
        ("opendbc_tesla_can", 44, 572, "UI_mapSpeedLimit in message 568, which has no such signal"),
        ("opendbc_rivian_primary_actuator", 67, 392, "ACM_VehicleHoldRequired in message 352, which has no such signal"),
    ],
)
def test_real_dbcs_load_the_broken_ones_with_a_warning(data_dir: Path, name: str, messages: int, signals: int, warning: str) -> None:
    dbc = Dbc.load(data_dir / "can" / "dbc" / f"{name}.dbc")
    assert (len(dbc.messages), sum(len(message.signals) for message in dbc.messages.values())) == (messages, signals)
    assert (not dbc.warnings) if not warning else warning in dbc.warnings[0]


@pytest.mark.data
def test_every_sound_message_of_a_real_dbc_is_cut_as_cantools_decodes_it(data_dir: Path) -> None:
    path = data_dir / "can" / "dbc" / "foxbms.dbc"
    theirs = Database()
    theirs.add_dbc_file(str(path))
    dbc, compared = Dbc.load(path), 0
    for message in theirs.messages:
        for seed in range(6):
            data = bytes((37 * n + 91 * seed + message.frame_id) & 0xFF for n in range(message.length))
            if message.is_multiplexed() and seed < 3:
                data = bytes([seed, *data[1:]])
            try:
                expected = message.decode(data, decode_choices=False)
            except Exception:  # noqa: BLE001  # a selector that no signal has
                continue
            assert cut(dbc, message.name, data) == pytest.approx(expected)
            compared += len(expected)
    assert compared > 1000


def signal(**changes: object) -> DbcSignal:
    plain: dict[str, object] = {
        "name": "S", "message": "M", "start": 0, "length": 8, "little_endian": True, "signed": False, "is_float": False, "scale": 1.0,
        "offset": 0.0, "unit": "",
    }  # fmt: skip
    return DbcSignal(**{**plain, **changes})  # type: ignore[arg-type]  # a test's table


def test_bits_are_counted_as_a_dbc_counts_them() -> None:
    assert Field.of_signal(signal(start=7, length=8, little_endian=False)) == Field(0, 8, False)
    assert Field.of_signal(signal(start=11, length=13, little_endian=False)) == Field(12, 13, False)
    assert Field.of_signal(signal(start=11)) == Field(11, 8, True)
