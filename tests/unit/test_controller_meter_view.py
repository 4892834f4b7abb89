"""What the Grid room shows of a meter on its wire, and the settings that lead to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from small_yard import NOW

from controller.alarm_sources import MeterConditions
from controller.alarms import KINDS
from controller.meter_view import meter_told
from controller.sections_meter import MeterSection
from grid.meter import MeterSettings, Sample
from grid.meter_map import MeterError, MeterMap, Quantity, RegisterType, UnknownMap, WordOrder
from grid.modbus_link import Framing, Peer, Table


@dataclass
class Meter:
    settings: MeterSettings
    samples: dict[Quantity, Sample] = field(default_factory=dict)
    refused: set[Quantity] = field(default_factory=set)
    doubts: tuple[str, ...] = ()
    connected: bool = True
    rejected: int = 2
    failures: int = 1


def test_each_value_has_its_age_and_what_is_not_given_is_named() -> None:
    meter = Meter(MeterSettings(peer=Peer(host="10.20.0.9"), map=MeterMap.named("schneider-pm5xxx"), nominal_v=230))
    meter.samples[Quantity.IMPORT_ENERGY] = Sample(NOW - timedelta(seconds=4), 5_000.0)
    meter.samples[Quantity.POWER] = Sample(NOW, 80_000.0)
    meter.refused = {Quantity.DEMAND}
    meter.doubts = ("something",)
    told = meter_told(meter, NOW)
    assert [(v.quantity, v.value, v.unit, v.age_s) for v in told.values] == [("power", 80_000, "W", 0), ("import_energy", 5_000, "Wh", 4)]
    assert set(told.not_given) == {"power_factor", "export_energy", "apparent_energy", "demand"}
    assert (told.map, told.address, told.doubts, told.rejected) == ("schneider-pm5xxx", "10.20.0.9:502 unit 1", ["something"], 2)


def section(**given: Any) -> MeterSection:
    return MeterSection(host="10.20.0.9", **given)


def test_a_meter_by_its_register_is_as_it_was() -> None:
    found = section(address=52, table="input", type="float32").to_meter()
    power = found.map.values[Quantity.POWER]
    assert (power.address, power.table, power.type, power.word_order, power.scale) == (
        52, Table.INPUT, RegisterType.FLOAT32, WordOrder.BIG, 1.0,
    )  # fmt: skip
    plain = section(address=7, scale_w=-10).to_meter().map.values[Quantity.POWER]
    assert (plain.table, plain.type, plain.scale) == (Table.HOLDING, RegisterType.INT32, -10)


def test_a_meter_by_its_map_takes_what_the_site_adds() -> None:
    found = section(map="eastron-sdm630", offset=1, word_order="little", table="holding", ct_ratio=40, framing="rtu", unit=3).to_meter()
    power = found.map.values[Quantity.POWER]
    assert (power.address, power.word_order, power.table, power.scale) == (53, WordOrder.LITTLE, Table.HOLDING, 40)
    assert (found.peer.framing, found.peer.unit_id, found.nominal_v) == (Framing.RTU, 3, 230)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "write either map or address"),
        ({"map": "eastron-sdm630", "address": 1}, "write either map or address"),
        ({"map": "eastron-sdm630", "type": "int16", "scale_w": 2.0}, "type and scale_w belong to address"),
    ],
)
def test_a_section_that_says_two_things_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        section(**given)


def test_a_map_that_is_not_there_or_cannot_be_moved_is_told_at_the_start() -> None:
    with pytest.raises(UnknownMap, match="no meter map is called 'sdm'"):
        section(map="sdm").to_meter()
    with pytest.raises(MeterError, match="can't be moved by -1"):
        section(map="eastron-sdm630", offset=-1).to_meter()


def test_what_does_not_fit_raises_one_alarm_and_nothing_none() -> None:
    meter = Meter(MeterSettings(peer=Peer(host="m"), map=MeterMap.named("eastron-sdm630")))
    watch = MeterConditions(meter)
    assert watch.kinds <= KINDS.keys()
    assert watch.conditions(NOW) == []
    meter.doubts = ("L2 runs the other way", "L3 has 0 V")
    (found,) = watch.conditions(NOW)
    assert found.kind == "meter_doubtful"
    assert found.title == "The meter is in doubt: L2 runs the other way. 1 more on the page Grid."
