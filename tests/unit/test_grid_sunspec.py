"""SunSpec points against the Alliance's own definitions (pysunspec2), and what hostile registers make of them."""

from __future__ import annotations

from typing import Any

import pytest
from sunspec2 import device as alliance
from sunspec2 import mdef

from grid.sunspec import MODELS, STRINGS, ChainEntry, Model, SunSpecError


def published(model_id: int) -> dict[str, tuple[int, str, str, int]]:
    """Offset, type, scale factor and width of every point of a model, as published; of a repeating group's first one, too."""
    found: dict[str, tuple[int, str, str, int]] = {}
    offset = 0

    def walk(group: dict[str, Any], prefix: str) -> None:
        nonlocal offset
        for point in group.get("points", []):
            found[prefix + point["name"]] = (offset, point["type"], str(point.get("sf", "")), int(point["size"]))
            offset += int(point["size"])
        for inner in group.get("groups", []):
            walk(inner, f"{inner['name']}.")

    definition = alliance.get_model_def(model_id)
    walk(definition[mdef.GROUP], "")
    return found


@pytest.mark.parametrize("model_id", sorted(MODELS))
def test_every_point_lies_where_the_alliance_says(model_id: int) -> None:
    points = published(model_id)
    for name, point in MODELS[model_id].items():
        assert (point.offset, point.type, point.scale, point.registers) == points[name], name


def test_the_strings_of_model_160_lie_where_the_alliance_says() -> None:
    points = published(160)
    assert points["module.ID"][0] == STRINGS["offset"]
    assert points["module.DCW"][0] == STRINGS["offset"] + STRINGS["DCW"]
    assert max(offset + width for offset, _, _, width in points.values()) == STRINGS["offset"] + STRINGS["length"]


def model(model_id: int, length: int, **registers: int) -> Model:
    """A model whose points are ``registers``; the others are 0."""
    values = [0] * (length + 2)
    values[:2] = [model_id, length]
    for name, value in registers.items():
        point = MODELS[model_id][name]
        raw = value & (1 << 16 * point.registers) - 1
        values[point.offset : point.offset + point.registers] = [raw >> 16 * n & 0xFFFF for n in reversed(range(point.registers))]
    return Model(ChainEntry(model_id, 40_002, length), values)


def test_values_are_scaled_and_signed() -> None:
    inverter = model(103, 50, W=-1234, W_SF=1, TmpCab=451, Tmp_SF=-1, WH=70_000, WH_SF=2)
    assert inverter.value("W") == pytest.approx(-12_340)
    assert inverter.value("TmpCab") == pytest.approx(45.1)
    assert inverter.value("WH") == pytest.approx(7_000_000)


def test_what_is_not_implemented_is_none() -> None:
    assert model(103, 50, W=0x8000).value("W") is None
    assert model(103, 50, W=5, W_SF=0x8000).value("W") is None
    assert model(802, 62, SoC=0xFFFF).value("SoC") is None
    assert model(704, 65, WSet=0x8000_0000).value("WSet") is None
    assert model(704, 65, WSetRvrtTms=0xFFFF_FFFF).value("WSetRvrtTms") is None
    short = Model(ChainEntry(701, 40_002, 20), [701, 20] + [0] * 20)
    assert short.value("W") is None  # its scale factor lies beyond the model's end


def test_a_scale_factor_that_cannot_be_is_an_error() -> None:
    with pytest.raises(SunSpecError, match="W_SF is 77"):
        model(103, 50, W=5, W_SF=77).value("W")


@pytest.mark.parametrize(("value", "scale", "raw"), [(-50_000, 0, 0xFFFF3CB0), (50_000, 0, 0x0000C350), (-12_345, 1, 0xFFFFFB2E)])
def test_setpoints_are_encoded_by_the_devices_scale(value: int, scale: int, raw: int) -> None:
    assert model(704, 65, WSet_SF=scale).encoded("WSet", value) == [raw >> 16, raw & 0xFFFF]


def test_setpoints_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SunSpecError, match="does not fit"):
        model(704, 65, WSet_SF=-5).encoded("WSet", 500_000)
    with pytest.raises(SunSpecError, match="does not fit"):
        model(704, 65).encoded("WMaxLimPct", -1)
    with pytest.raises(SunSpecError, match="tells no scale factor"):
        model(704, 65, WSet_SF=0x8000).encoded("WSet", 5)


def test_strings_are_counted_no_further_than_the_model_reaches() -> None:
    registers = [0] * (10 + 2 * 20)
    registers[0], registers[1], registers[4], registers[8] = 160, 48, 1, 4_000
    registers[10 + 11], registers[30 + 11] = 512, 0xFFFF
    assert Model(ChainEntry(160, 0, 48), registers).strings_w() == (5_120,)
