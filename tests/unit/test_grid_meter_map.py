"""Meter maps: the packaged ones, and what is told about one that is wrong. Addresses typed by hand from the reference table."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.meter_map import InvalidMap, MeterError, MeterMap, Quantity, UnknownMap, WordOrder
from grid.modbus_link import Table

GOOD = """schema = "meter-map/1"
name = "own"
title = "Own meter"
maker = "Somebody"
models = ["X1"]
source = "its manual"
table = "holding"
word_order = "big"

[values]
power = { address = 100, type = "float32", unit = "kW" }
frequency = { address = 104, type = "uint16", scale = 0.01, unit = "Hz" }
"""

REFERENCE = [
    ("eastron-sdm630", 4, {"voltage_l1": 0, "current_l1": 6, "power": 0x34, "apparent": 0x38, "reactive": 0x3C, "power_factor": 0x3E,
                           "frequency": 0x46, "import_energy": 0x48, "export_energy": 0x4A, "demand": 0x54, "peak_demand": 0x56}),
    ("carlo-gavazzi-em24", 4, {"voltage_l2": 2, "current_l1": 0x0C, "power": 0x28, "apparent": 0x2A, "reactive": 0x2C, "power_factor": 0x35,
                               "frequency": 0x37, "import_energy": 0x42, "export_energy": 0x5C}),
    ("carlo-gavazzi-em24-e1", 4, {"voltage_l3": 4, "current_l1": 0x0C, "power": 0x28, "power_factor": 0x31, "frequency": 0x33,
                                  "import_energy": 0x34, "export_energy": 0x4E}),
    ("janitza-umg96rm-e", 3, {"voltage_l1": 19000, "current_l1": 19012, "power": 19026, "apparent": 19034, "reactive": 19042,
                              "frequency": 19050, "import_energy": 19068, "export_energy": 19076}),
    ("janitza-b-series", 3, {"voltage_l1": 0x4A38, "current_l1": 0x4A44, "power": 0x4A52, "frequency": 0x4A6A, "import_energy": 0x4A7C,
                             "export_energy": 0x4A84}),
    ("schneider-iem3000", 3, {"voltage_l1": 3027, "current_l1": 2999, "power": 3059, "apparent": 3075, "reactive": 3067, "frequency": 3109,
                              "import_energy": 3203, "export_energy": 3207}),
    ("schneider-pm5xxx", 3, {"current_l1": 2999, "voltage_l1": 3027, "power_l1": 3053, "power": 3059, "reactive": 3067, "apparent": 3075,
                             "frequency": 3109, "import_energy": 3203, "demand_interval": 3701, "demand": 3765, "peak_demand": 3769,
                             "apparent_demand": 3797, "peak_apparent_demand": 3801}),
    ("schneider-em6400", 3, {"apparent": 3900, "power": 3902, "reactive": 3904, "power_factor": 3906, "frequency": 3914, "voltage_l1": 3926,
                             "voltage_l2": 3940, "voltage_l3": 3954, "current_l1": 3928, "current_l3": 3956, "import_energy": 3960,
                             "export_energy": 3968}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "function", "addresses"), REFERENCE)
def test_a_packaged_map_has_the_registers_of_the_reference(name: str, function: int, addresses: dict[str, int]) -> None:
    found = MeterMap.named(name)
    assert found.name == name
    assert {key: found.values[Quantity(key)].address for key in addresses} == addresses
    assert {value.table for value in found.values.values()} == {Table.HOLDING if function == 3 else Table.INPUT}


def test_every_packaged_map_is_told_of_here_and_says_its_source() -> None:
    assert set(MeterMap.names()) == {name for name, *_ in REFERENCE}
    for name in MeterMap.names():
        found = MeterMap.named(name)
        assert found.source
        assert found.models


def test_what_nobody_tried_is_marked() -> None:
    assert MeterMap.named("eastron-sdm630").unverified == (Quantity.PEAK_DEMAND,)
    assert set(MeterMap.named("carlo-gavazzi-em24").unverified) == {Quantity.APPARENT, Quantity.REACTIVE}
    assert set(MeterMap.named("janitza-umg96rm-e").unverified) == {Quantity.APPARENT, Quantity.EXPORT_ENERGY}
    legacy = MeterMap.named("schneider-em6400")
    assert len(legacy.unverified) == len(legacy.values)
    assert legacy.word_order_varies


def test_units_scales_and_signs_become_one_factor() -> None:
    found = MeterMap.parse(GOOD.replace('unit = "kW"', 'unit = "kW", scale = 0.1, sign = -1'))
    assert found.values[Quantity.POWER].scale == pytest.approx(-100)
    assert found.values[Quantity.FREQUENCY].scale == 0.01


def test_a_file_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(GOOD, encoding="utf-8")
    assert MeterMap.named(str(file)).title == "Own meter"
    with pytest.raises(UnknownMap, match="No such file"):
        MeterMap.named(str(tmp_path / "other.toml"))
    with pytest.raises(UnknownMap, match=r"no meter map is called 'own'; there are: .*eastron-sdm630"):
        MeterMap.named("own")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidMap, match=r"own\.toml: it is not UTF-8 text"):
        MeterMap.load(file)


WRONG = [
    ('schema = "meter-map/1"', 'schema = "meter-map/2"', "line 1: schema is 'meter-map/2'; this reads 'meter-map/1'"),
    ('maker = "Somebody"\n', "", "maker is missing"),
    ('table = "holding"', 'table = "coil"', "line 7: table is 'coil'; write one of input, holding"),
    ('word_order = "big"', 'word_order = "BE"', "line 8: word_order is 'BE'; write one of big, little"),
    ('models = ["X1"]', "models = [1]", "line 5: models must be a list of texts"),
    ("[values]", "gap = 500\n[values]", "line 10: gap is 500; it must lie between 0 and 100"),
    ("[values]", "speed = 3\n[values]", "line 10: unknown key speed"),
    ("address = 100", 'address = "100"', "line 11: power: address is '100'; it must be a whole number"),
    ("address = 100", "address = 65535", "line 11: power: address is 65535; addresses go from 0 to 65535"),
    ("address = 100, ", "", "line 11: power: address is missing"),
    ("address = 100", "address = 103", "line 12: frequency at 104 overlaps power at 103"),
    ('"float32"', '"float"', "line 11: power: type is 'float'; write one of int16, uint16"),
    ('unit = "kW"', 'unit = "kV"', "line 11: power: unit is 'kV'; write W or kW"),
    ("scale = 0.01", "scale = 0", "line 12: frequency: scale is 0; write what one count is worth"),
    ("scale = 0.01", "scale = nan", "line 12: frequency: scale is nan"),
    ("scale = 0.01", "sign = 2", "line 12: frequency: sign is 2; write -1"),
    ("scale = 0.01", "verified = 1", "line 12: frequency: verified is 1; it must be true or false"),
    ("scale = 0.01", "factor = 2", "line 12: frequency: unknown key factor"),
    ("power = {", "watts = {", "line 11: watts is nothing that a meter tells here"),
    ("power = {", "demand = {", "line 10: it has no power"),
    ('power = { address = 100, type = "float32", unit = "kW" }', "power = 5", "line 11: power must be a table"),
    ("address = 100", "address = ", "at line 11"),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad", "told"), WRONG)
def test_what_is_wrong_is_told_with_its_line(good: str, bad: str, told: str) -> None:
    assert good in GOOD
    with pytest.raises(InvalidMap) as caught:
        MeterMap.parse(GOOD.replace(good, bad, 1), "own.toml")
    assert told in str(caught.value)
    assert all(problem.startswith("own.toml") for problem in caught.value.problems)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidMap) as caught:
        MeterMap.parse(GOOD.replace('"float32"', '"float"').replace("address = 104", "address = -1"))
    assert len(caught.value.problems) == 2


def test_a_meter_as_it_is_built_in() -> None:
    found = MeterMap.named("eastron-sdm630")
    built_in = found.installed(offset=1, word_order=WordOrder.LITTLE, ct_ratio=100, vt_ratio=10, turned=True)
    power = built_in.values[Quantity.POWER]
    assert (power.address, power.word_order, power.scale) == (0x35, WordOrder.LITTLE, -1000.0)
    assert built_in.values[Quantity.VOLTAGE_L1].scale == 10
    assert built_in.values[Quantity.CURRENT_L1].scale == 100
    assert built_in.values[Quantity.FREQUENCY].scale == 1
    assert built_in.values[Quantity.IMPORT_ENERGY].address == 0x4B, "what it counts as export is our import"
    with pytest.raises(MeterError, match=r"address 0 of voltage_l1 can't be moved by -1"):
        found.installed(offset=-1)
