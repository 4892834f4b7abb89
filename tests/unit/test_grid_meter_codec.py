"""Requests, values and their checks, without any socket; every map against the simulated meter's own encoder."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grid
from grid.meter_checks import Bounds, EnergyWatch, StandStill, doubts, impossible
from grid.meter_codec import Block, BlockState, blocks, decode, decode_block, due, pieces
from grid.meter_map import MapValue, MeterError, MeterMap, Quantity, RegisterType, WordOrder
from grid.modbus_link import Table
from simulator.meter_face import MeterFace
from simulator.site_figures import SiteFigures

MAPS = Path(grid.__file__).parent / "meters"
PAIRS = {name: (MeterMap.named(name), MeterFace.read(MAPS / f"{name}.toml")) for name in MeterMap.names()}
NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def value(address: int, kind: RegisterType = RegisterType.UINT16, *, quantity: Quantity = Quantity.POWER, **more: object) -> MapValue:
    base = {"quantity": quantity, "table": Table.HOLDING, "address": address, "type": kind, "word_order": WordOrder.BIG}
    return MapValue(**(base | more))  # type: ignore[arg-type]


# -- values --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_value_of_every_map_comes_back_as_it_was_encoded(name: str, data: st.DataObject) -> None:
    map_, face = PAIRS[name]
    for quantity, row in map_.values.items():
        slot = face.slots[quantity]
        most = min(float(row.type.most), 2.0**40) * abs(row.scale) if row.type.whole else 1e9
        number = data.draw(st.floats(-most if row.type.value[0] != "u" else 0.0, most), label=quantity)
        back = decode(row, slot.encoded(number))
        step = abs(row.scale) / 2 if row.type.whole else abs(number) * 2.0**-23
        assert back == pytest.approx(number, abs=step * 1.001 + 1e-9)


@pytest.mark.parametrize(
    ("kind", "order", "swapped", "registers", "scale", "number"),
    [
        (RegisterType.FLOAT32, WordOrder.BIG, False, [0x447A, 0x0000], 1.0, 1000),
        (RegisterType.FLOAT32, WordOrder.LITTLE, False, [0x0000, 0x447A], 1000.0, 1_000_000),
        (RegisterType.FLOAT32, WordOrder.BIG, True, [0x7A44, 0x0000], 1.0, 1000),
        (RegisterType.INT32, WordOrder.LITTLE, False, [0xFFF6, 0xFFFF], 0.1, -1),
        (RegisterType.INT32, WordOrder.BIG, False, [0xFFFF, 0xFFF6], -1.0, 10),
        (RegisterType.UINT32, WordOrder.BIG, False, [0x0001, 0x0000], 1.0, 65_536),
        (RegisterType.INT16, WordOrder.BIG, False, [0xFFFF], 100.0, -100),
        (RegisterType.UINT16, WordOrder.BIG, False, [0xFFFF], 1.0, 65_535),
        (RegisterType.UINT16, WordOrder.LITTLE, True, [0x3412], 1.0, 0x1234),
        (RegisterType.INT64, WordOrder.BIG, False, [0, 0, 0x0001, 0x0000], 1.0, 65_536),
        (RegisterType.INT64, WordOrder.LITTLE, False, [0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF], 1.0, -2),
        (RegisterType.UINT64, WordOrder.LITTLE, False, [1, 0, 0, 0], 1.0, 1),
        (RegisterType.FLOAT64, WordOrder.BIG, False, [0x408F, 0x4000, 0, 0], 1.0, 1000),
    ],
)
def test_types_orders_and_scales(
    kind: RegisterType, order: WordOrder, swapped: bool, registers: list[int], scale: float, number: float
) -> None:
    row = value(0, kind, word_order=order, swapped_bytes=swapped, scale=scale)
    assert decode(row, registers) == pytest.approx(number)


def test_a_wrong_length_and_no_number_are_refused() -> None:
    with pytest.raises(MeterError, match="1 registers came, 2 were asked for"):
        decode(value(0, RegisterType.FLOAT32), [1])
    with pytest.raises(MeterError, match="power is nan"):
        decode(value(0, RegisterType.FLOAT32), [0x7FC0, 0])


def test_a_block_keeps_its_good_values_beside_a_bad_one() -> None:
    one = value(0, RegisterType.FLOAT32)
    two = value(2, RegisterType.FLOAT32, quantity=Quantity.FREQUENCY)
    found, wrong = decode_block(Block(Table.HOLDING, 0, 4, (one, two)), [0x447A, 0, 0xFF80, 0])
    assert found == {Quantity.POWER: 1000}
    assert wrong == {Quantity.FREQUENCY: "frequency is -inf"}


# -- requests ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRS)
def test_the_requests_of_a_map_hold_every_value_once_and_keep_its_limits(name: str) -> None:
    map_, _ = PAIRS[name]
    found = blocks(map_)
    assert Quantity.POWER in found[0], "the power comes first"
    assert sorted(v.quantity for block in found for v in block.values) == sorted(map_.values)
    for block in found:
        assert block.count <= map_.most_registers
        assert all(block.address <= v.address and v.end <= block.address + block.count for v in block.values)
    assert len(found) <= 8


def test_neighbours_are_joined_over_a_gap_and_a_refused_block_is_cut() -> None:
    kinds = (Quantity.POWER, Quantity.FREQUENCY, Quantity.REACTIVE, Quantity.APPARENT)
    rows = {q: value(a, quantity=q) for q, a in zip(kinds, (10, 11, 15, 40), strict=True)}
    map_ = MeterMap(name="m", title="", maker="", models=(), source="", values=rows, gap=3)
    near, far = blocks(map_)
    assert (near.address, near.count, far.address) == (10, 6, 40)
    first, second = pieces(near)
    assert (first.address, first.count, second.address) == (10, 2, 15)
    assert [piece.count for piece in pieces(first)] == [1, 1]
    assert pieces(second) == ()
    tight = MeterMap(name="m", title="", maker="", models=(), source="", values=rows, gap=3, most_registers=4)
    assert [block.count for block in blocks(tight)] == [2, 1, 1]


def test_a_quick_meter_is_read_whole_and_a_slow_one_in_turn() -> None:
    one, two, three = (Block(Table.INPUT, a, 1, ()) for a in (0, 10, 20))
    quick = [BlockState(b, read_s=99.0, cost_s=0.01) for b in (one, two, three)]
    assert due(quick, 100.0, every_s=0.9, budget_s=0.5) == [one, two, three]
    assert due(quick, 99.5, every_s=0.9, budget_s=0.5) == [], "no more often than asked"
    slow = [BlockState(one, read_s=93.0, cost_s=0.4), BlockState(two, read_s=92.0, cost_s=0.4), BlockState(three, read_s=94.0, cost_s=0.4)]
    assert due(slow, 100.0, every_s=0.9, budget_s=0.5) == [two], "the longest unread one, and no more than there is time for"
    assert due(slow, 100.0, every_s=0.9, budget_s=0.1) == [two], "nothing fits, but one has to come now and then"
    assert due(slow, 98.0, every_s=0.9, budget_s=0.1) == []
    resting = [BlockState(one, rests_until_s=200.0), BlockState(two, read_s=50.0)]
    assert due(resting, 100.0, every_s=0.9, budget_s=0.5) == [two]


# -- checks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "number", "good"),
    [
        (Quantity.POWER, 1e6, True),
        (Quantity.POWER, -1.001e6, False),
        (Quantity.APPARENT, 2e6, False),
        (Quantity.FREQUENCY, 40, True),
        (Quantity.FREQUENCY, 70.1, False),
        (Quantity.FREQUENCY, 0, False),
        (Quantity.POWER_FACTOR, -1, True),
        (Quantity.POWER_FACTOR, 1.2, False),
        (Quantity.VOLTAGE_L2, 0, True),
        (Quantity.VOLTAGE_L2, -1, False),
        (Quantity.VOLTAGE_L2, 400, False),
        (Quantity.CURRENT_L3, 4_000, True),
        (Quantity.CURRENT_L3, 5_000, False),
        (Quantity.IMPORT_ENERGY, -1, False),
        (Quantity.IMPORT_ENERGY, 1e15, False),
        (Quantity.IMPORT_ENERGY, 5e9, True),
        (Quantity.DEMAND_INTERVAL, 15, True),
        (Quantity.DEMAND_INTERVAL, 65_535, False),
    ],
)
def test_impossible_values(quantity: Quantity, number: float, good: bool) -> None:
    reason = impossible(quantity, number, Bounds(max_w=1_000_000, nominal_v=230.0))
    assert (not reason) == good, reason
    assert good or quantity in reason


def told(power_w: float = 60_000.0, **changes: float) -> dict[Quantity, float]:
    """A meter's values that fit together, with ``changes``."""
    return {Quantity(name): number for name, number in (SiteFigures(lambda: power_w)() | changes).items()}


BOUNDS = Bounds(nominal_v=230.0)


@pytest.mark.parametrize("power_w", [0.0, 200.0, 60_000.0, -40_000.0, 900_000.0])
def test_an_honest_meter_raises_no_doubt(power_w: float) -> None:
    assert doubts(told(power_w), BOUNDS) == ()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"power": 60_000_000.0, "power_l1": 20e6, "power_l2": 20e6, "power_l3": 20e6, "apparent": 6e7, "reactive": 0.0}, "power_high"),
        (
            {"power": 6_000.0, "power_l1": 2_000.0, "power_l2": 2_000.0, "power_l3": 2_000.0, "apparent": 6_200.0, "reactive": 0},
            "power_low",
        ),
        ({"power": 20_400.0, "power_l2": -19_800.0}, "phase_turned"),
        ({"power_l2": 5_000.0}, "phases_sum"),
        ({"apparent": 30_000.0}, "apparent"),
        ({"reactive": 90_000.0}, "apparent"),
        ({"voltage_l3": 0.0}, "voltage_l3"),
        ({"voltage_l1": 133.0}, "voltage_l1"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, float], kind: str) -> None:
    found = {doubt.kind: doubt.words for doubt in doubts(told(**changes), BOUNDS)}
    assert kind in found
    assert "check" in found[kind] or "may be" in found[kind] or "missing" in found[kind]


def watched(watch: EnergyWatch, *polls: tuple[float, float, float], step_s: float = 10.0) -> tuple[EnergyWatch, list[str]]:
    """Follow polls of (W, import kWh, export kWh), ``step_s`` apart."""
    map_ = MeterMap.named("carlo-gavazzi-em24").values
    noticed: list[str] = []
    at = watch.at or NOW
    for power_w, import_kwh, export_kwh in polls:
        at += timedelta(seconds=step_s)
        found = {Quantity.POWER: power_w, Quantity.IMPORT_ENERGY: import_kwh * 1000, Quantity.EXPORT_ENERGY: export_kwh * 1000}
        watch, now = watch.seen(at, found, map_)
        noticed += now
    return watch, noticed


def hours(power_w: float, *, imports: float, exports: float, polls: int = 400) -> list[tuple[float, float, float]]:
    """Polls of 10 s at a steady power whose registers move by ``imports`` and ``exports`` kWh in each hour."""
    return [(power_w, 500 + imports * n / 360, 20 + exports * n / 360) for n in range(polls)]


def test_registers_that_follow_the_power_raise_no_doubt() -> None:
    for power_w, imports, exports in ((90_000, 90, 0), (-30_000, 0, 30), (0, 0, 0), (90_000, 88, 0)):
        watch, noticed = watched(EnergyWatch(), *hours(power_w, imports=imports, exports=exports))
        assert (noticed, watch.doubt) == ([], "")


def test_registers_that_count_the_other_way_or_another_size_are_told_once_and_forgotten_when_they_fit() -> None:
    watch, noticed = watched(EnergyWatch(), *hours(90_000, imports=0, exports=90))
    assert [words for words in noticed if "the other way" in words] == noticed
    assert len(noticed) == 1
    assert "the other way" in watch.doubt
    watch, noticed = watched(watch, *[(90_000.0, 500 + n / 4, 200.0) for n in range(400)])
    assert watch.doubt == ""
    _, noticed = watched(EnergyWatch(), *hours(90_000, imports=9, exports=0))
    assert len(noticed) == 1
    assert "check both scales" in noticed[0]


def test_a_register_set_back_and_one_rolled_over() -> None:
    _, noticed = watched(EnergyWatch(), (0, 500, 20), (0, 10, 20))
    assert noticed == ["import_energy went back from 500.0 to 10.0 kWh: was the meter changed or reset?"]
    full = 2**31 / 10
    _, noticed = watched(EnergyWatch(), (0, full - 1, 20), (0, 1, 20))
    assert [words.partition(",")[0] for words in noticed] == ["import_energy rolled over"]


def test_a_pause_in_the_readings_is_not_held_against_the_registers() -> None:
    watch, _ = watched(EnergyWatch(), (90_000, 500, 20))
    _, noticed = watched(watch, (90_000, 900, 20), (90_000, 900.25, 20), step_s=3_600)
    assert noticed == []


def test_values_that_are_missing_stop_nothing() -> None:
    watch, _ = watched(EnergyWatch(), (1.0, 5, 5))
    watch, noticed = watch.seen(NOW + timedelta(seconds=20), {Quantity.POWER: 1.0}, {})
    assert noticed == ()
    assert watch.import_wh == 5_000
    assert math.isfinite(watch.drawn_wh)


@pytest.mark.parametrize(
    ("power_w", "polls", "changes", "found"),
    [
        (90_000.0, 20, {}, True),
        (90_000.0, 4, {}, False),
        (0.0, 1_000, {}, False),
        (90_000.0, 20, {"frequency": 1e-3}, False),
        (-90_000.0, 20, {}, True),
    ],
)
def test_a_meter_that_repeats_itself_is_found_out_by_what_flows(power_w: float, polls: int, changes: dict[str, float], found: bool) -> None:
    map_ = MeterMap.named("carlo-gavazzi-em24").values
    still = StandStill()
    for n in range(polls):
        values = told(power_w) | {Quantity(name): 50 + step * n for name, step in changes.items()}
        still = still.seen(NOW + timedelta(seconds=10 * n), values, values, map_)
    assert still.found is found


def test_a_meter_that_tells_no_energy_or_is_read_too_rarely_is_never_said_to_repeat_itself() -> None:
    map_ = MeterMap.named("carlo-gavazzi-em24").values
    silent, slow = StandStill(), StandStill()
    for n in range(100):
        at = NOW + timedelta(seconds=10 * n)
        silent = silent.seen(at, {Quantity.POWER: 90_000.0}, {Quantity.POWER}, map_)
        values = told(90_000.0)
        slow = slow.seen(at, values, {Quantity.POWER} if n else set(values), map_)
    assert not silent.found
    assert not slow.found, "its register was not read again"


def test_a_register_that_is_read_rarely_is_held_against_all_that_flowed_meanwhile() -> None:
    map_ = MeterMap.named("carlo-gavazzi-em24").values
    watch, noticed = EnergyWatch(), []
    for n in range(200):
        found = {Quantity.POWER: 90_000.0}
        if n % 20 == 0:
            found |= {Quantity.IMPORT_ENERGY: 500_000.0 + 250.0 * n, Quantity.EXPORT_ENERGY: 0.0}
        watch, now = watch.seen(NOW + timedelta(seconds=10 * n), found, map_)
        noticed += now
    assert noticed == []
    assert watch.doubt == ""
