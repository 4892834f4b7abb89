"""Pack maps: the packaged ones, what is told about a wrong one with its line, and a map held against a DBC."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bms_bridge.can import InvalidPackMap, UnknownPackMap
from bms_bridge.can.bind import Part, bind
from bms_bridge.can.dbc import EXAMPLE, Dbc
from bms_bridge.can.pack_map import SCHEMA_FILE, PackMap, Quantity
from bms_bridge.can.units import unit_of

CAN = Path(__file__).resolve().parents[2] / "bms_bridge" / "can"
SCHEMA = json.loads((CAN / SCHEMA_FILE).read_text(encoding="utf-8"))

GOOD = """schema = "pack-map/1"
name = "own"
title = "Own pack"
maker = "Somebody"
models = ["X1"]
source = "its manual"

[values]
soc = { signal = "Pack.Soc", unit = "%" }
current = { signal = "Pack.Current", charging = "negative" }
voltage = { signal = "Volts" }

[temperatures]
signals = "Temps.T{1..4}"
unit = "degC"
invalid = [255]

[alarms]
over_temperature = [{ signal = "Pack.Mode", is = [7] }]
"""

DBC = """VERSION ""

NS_ :

BS_:

BU_: B

BO_ 256 Pack: 8 B
 SG_ Soc : 0|8@1+ (0.5,0) [0|0] "%" B
 SG_ Current : 8|16@1- (0.1,0) [0|0] "A" B
 SG_ Mode : 24|8@1+ (1,0) [0|0] "" B
 SG_ Milli : 32|16@1+ (1,0) [0|0] "mV" B
 SG_ Bare : 48|8@1+ (1,0) [0|0] "" B

BO_ 257 More: 8 B
 SG_ Volts : 0|16@1+ (0.1,0) [0|0] "V" B
 SG_ Twice : 16|8@1+ (1,0) [0|0] "V" B
 SG_ Warm : 24|8@1+ (1,0) [0|0] "degC" B

BO_ 258 Temps: 8 B
 SG_ T1 : 0|8@1+ (1,-40) [0|0] "" B
 SG_ T2 : 8|8@1+ (1,-40) [0|0] "degC" B
 SG_ T3 : 16|8@1+ (1,-40) [0|0] "°C" B
 SG_ T4 : 24|8@1+ (1,-40) [0|0] "Celsius" B
 SG_ Twice : 32|8@1+ (1,0) [0|0] "V" B
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidPackMap) as caught:
        PackMap.parse(text, "own.toml")
    return caught.value.problems


def misfits(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidPackMap) as caught:
        bind(PackMap.parse(text), Dbc.parse(DBC, "maker.dbc"), where="own.toml")
    return caught.value.problems


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_the_packaged_maps_are_sound_and_fit_the_published_schema() -> None:
    assert PackMap.names() == ("example-pack", "foxbms-2")
    for name in PackMap.names():
        assert PackMap.named(name).name == name
        jsonschema.validate(tomllib.loads((CAN / "maps" / f"{name}.toml").read_text(encoding="utf-8")), SCHEMA)


def test_the_schema_knows_what_the_program_reads() -> None:
    jsonschema.validate(tomllib.loads(GOOD), SCHEMA)
    assert set(SCHEMA["properties"]["values"]["properties"]) == set(Quantity)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(GOOD.replace('charging = "negative"', 'sign = "negative"')), SCHEMA)


def test_the_example_fits_its_dbc() -> None:
    bound = bind(PackMap.named(EXAMPLE), Dbc.named(EXAMPLE))
    assert (bound.temperatures, bound.cells, len(bound.layouts)) == (24, 96, 6)
    assert bound.warnings == ()


@pytest.mark.data
def test_the_foxbms_map_fits_the_project_s_dbc(data_dir: Path) -> None:
    bound = bind(PackMap.named("foxbms-2"), Dbc.load(data_dir / "can" / "dbc" / "foxbms.dbc"))
    assert (bound.temperatures, bound.cells) == (180, 216)
    assert (0x250, False) in bound.frame_ids


def test_units_scales_and_signs_become_one_factor() -> None:
    text = GOOD.replace('{ signal = "Volts" }', '{ signal = "Pack.Milli", scale = 2, offset = 3 }')
    slots = {slot.signal: slot for slot in bind(PackMap.parse(text), Dbc.parse(DBC)).slots}
    assert slots["Pack.Soc"].factor == pytest.approx(0.005)
    assert slots["Pack.Current"].factor == pytest.approx(-0.1)
    assert (slots["Pack.Milli"].factor, slots["Pack.Milli"].shift) == (pytest.approx(0.002), pytest.approx(0.003))
    assert (slots["Temps.T1"].factor, slots["Temps.T1"].shift, slots["Temps.T1"].invalid) == (1, -40, {255})
    assert (slots["Pack.Mode"].part, slots["Pack.Mode"].counts) == (Part.ALARM, {7})


@pytest.mark.parametrize(
    ("text", "unit"),
    [("degC", "temperature"), ("°C", "temperature"), ("deg C", "temperature"), ("Celsius", "temperature"), ("K", "temperature"),
     ("mV", "voltage"), ("Volt", "voltage"), ("kΩ", "resistance"), ("kOhm", "resistance"), ("%", "share"), (" A ", "current")],
)  # fmt: skip
def test_units_as_makers_write_them(text: str, unit: str) -> None:
    found = unit_of(text)
    assert found is not None
    assert found.kind == unit


def test_what_is_no_unit_and_other_temperatures() -> None:
    assert unit_of("Unitless") is None
    assert unit_of("MV") is None  # nobody means megavolts, and mV is not certain
    kelvin, fahrenheit = unit_of("K"), unit_of("degF")
    assert kelvin is not None
    assert fahrenheit is not None
    assert 300 * kelvin.factor + kelvin.offset == pytest.approx(26.85)
    assert 212 * fahrenheit.factor + fahrenheit.offset == pytest.approx(100)


@pytest.mark.parametrize(
    ("old", "new", "told", "at"),
    [
        ('"pack-map/1"', '"pack-map/9"', "schema is 'pack-map/9'; this reads 'pack-map/1'", "schema"),
        ('name = "own"\n', "", "name is missing", "schema"),
        ("[values]", "[valuse]", "unknown key valuse", "[valuse]"),
        ("soc = {", "sock = {", "sock is nothing that a pack tells here", "sock"),
        ('unit = "%"', 'unit = "V"', "soc: unit is 'V'; write one of 1, %", "soc"),
        ('unit = "%"', 'unit = "parts"', "soc: unit 'parts' is not known", "soc"),
        ('unit = "%"', 'unit = "%", scale = 0', "soc: scale is 0", "soc"),
        ('unit = "%"', 'unit = "%", charging = "positive"', "charging means something with a current only", "soc"),
        (', charging = "negative"', "", "current: say which sign charging has there", "current"),
        ('signal = "Volts"', 'unit = "V"', "signal is missing", "voltage"),
        ('signal = "Volts"', 'signal = "Pack.Soc"', "Pack.Soc is used twice, for soc too", "voltage"),
        ("T{1..4}", "T{4..1}", "counts from a lower to a higher number", "signals"),
        ("T{1..4}", "T{1..99999999}", "counts from a lower to a higher number", "signals"),
        ("invalid = [255]", 'invalid = ["FF"]', "invalid must be a list of whole numbers", "signals"),
        ("invalid = [255]", "count = 9", "count is 9; it must lie between 1 and 4", "count"),
        ("over_temperature = [", "over_temprature = [", "over_temprature is no alarm here", "over_temprature"),
        ("is = [7]", "equals = [7]", "unknown key equals", "over_temperature"),
        ('models = ["X1"]', 'models = "X1"', "models is 'X1'; it must be a list", "models"),
        ('source = "its manual"', 'source = "x"\nsource_address = 3', "source_address means something with j1939", "source_address"),
        ('source = "its manual"', 'source = "x"\nstale_s = 0', "stale_s is 0; it must lie between 0.5 and 300", "stale_s"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, told: str, at: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new)
    found = problems(text)
    assert any(told in problem for problem in found), found
    assert f"own.toml line {line_of(text, at)}: " in next(problem for problem in found if told in problem)


def test_everything_is_told_at_once_and_toml_s_own_mistakes_too() -> None:
    assert len(problems(GOOD.replace('unit = "%"', 'unit = "V"').replace("over_temperature", "hot"))) == 2
    assert "line 9" in problems(GOOD.replace("soc = {", "soc = = {"))[0]
    assert "it maps nothing" in problems(GOOD[: GOOD.index("[values]")])[0]
    twice = GOOD.replace("[temperatures]", 'soc = { signal = "Pack.Mode", unit = "%" }\n\n[temperatures]')
    assert "line 13" in problems(twice)[0]  # the same value twice


@pytest.mark.parametrize(
    ("old", "new", "told", "at"),
    [
        ("Pack.Soc", "Pack.Sock", "message Pack has no signal Sock; it has Soc", "soc"),
        ("Pack.Soc", "Pak.Soc", "maker.dbc has no message Pak; it has Pack", "soc"),
        ('"Volts"', '"Vlots"', "maker.dbc has no signal Vlots; it has Volts", "voltage"),
        ('"Volts"', '"Twice"', "Twice is in several messages; write one of More.Twice, Temps.Twice", "voltage"),
        ('"Volts"', '"Pack.Bare"', "the DBC says no unit for Pack.Bare; write unit = one of V, mV, kV", "voltage"),
        ('"Volts"', '"Pack.Milli", unit = "V"', "Pack.Milli is in 'mV' after the DBC and in 'V' after the map", "voltage"),
        ('"Volts"', '"More.Warm"', "More.Warm is in 'degC', which is no voltage; is it the right signal?", "voltage"),
        ("T{1..4}", "T{1..5}", "message Temps has no signal T5", "signals"),
        ("Pack.Mode", "Pack.Moode", "message Pack has no signal Moode; it has Mode", "over_temperature"),
    ],
)
def test_what_does_not_fit_the_dbc_is_told_with_its_line(old: str, new: str, told: str, at: str) -> None:
    text = GOOD.replace(old, new)
    found = misfits(text)
    assert any(f"own.toml line {line_of(text, at)}: {told}" in problem for problem in found), found


def test_a_unit_may_be_the_map_s_where_the_dbc_s_is_wrong() -> None:
    text = GOOD.replace('"Volts"', '"Pack.Milli", unit = "V", overrides_dbc = true')
    slots = {slot.signal: slot for slot in bind(PackMap.parse(text), Dbc.parse(DBC)).slots}
    assert slots["Pack.Milli"].factor == 1


def test_names_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UnknownPackMap, match="there are: example-pack, foxbms-2"):
        PackMap.named("none")
    with pytest.raises(UnknownPackMap, match="No such file"):
        PackMap.named(str(tmp_path / "none.toml"))
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidPackMap, match="not UTF-8"):
        PackMap.named(str(tmp_path / "odd.toml"))


@given(st.text(alphabet="[]{}=.\"'#abcsoc signalT1", max_size=120))
def test_no_text_raises_anything_else(text: str) -> None:
    for whole in (text, GOOD + text, GOOD.replace('"Volts"', text or "x")):
        try:
            PackMap.parse(whole)
        except InvalidPackMap as error:
            assert error.problems  # noqa: PT017  # most texts are wrong, some are not
