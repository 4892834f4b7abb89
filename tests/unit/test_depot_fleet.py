"""Vehicles, packs, drivers and declared stations: checked where they are made, folded, found again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controller.codec import EventCodec, decode_state, encode_state
from depot import events as ev
from depot.fleet import Driver, Pack, Vehicle
from depot.fold import fold
from depot.registry import ConnectorSpec, Current, FeederSpec, StationSpec
from depot.state import DepotState, StationChange
from depot.values import ConnectorId, InvalidValue, PackKey

NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
CP1 = ConnectorId("CP-1", 1)
BUS = Vehicle("E-118", "Bus 12 m", 250_000, 0, 120_000, 0.92, True, ("04A1B2C3",), CP1)
VAN = Vehicle("V-08", id_tags=("VAN08",))
PACK = Pack(PackKey("E-118", "P1"), "LFP", 125_000, 180)
DRIVER = Driver("D-7", ("CARD7",))
STATION = StationSpec("CP-9", "A", (ConnectorSpec(1, 22_000, 4_140, Current.AC, (1, 2, 3)),), "Bay 9")
FACTS: list[ev.Event] = [
    ev.VehicleRegistered(BUS),
    ev.VehicleRegistered(VAN),
    ev.PackRegistered(PACK),
    ev.PackRegistered(replace(PACK, key=PackKey("E-118", "P2"))),
    ev.DriverRegistered(DRIVER),
    ev.StationDeclared(STATION, "print", "ab" * 32),
    ev.StationRetired("CP-8", "print"),
    ev.FeederDeclared(FeederSpec("A", 90_000, "North")),
    ev.VisitAnnounced("v", "E-118", NOW, NOW + timedelta(hours=8), 50_000, 60_000),
]


def folded(*events: ev.Event, state: DepotState | None = None) -> DepotState:
    state = state or DepotState()
    codec = EventCodec()
    for event in events:
        data = codec.decode(event.TYPE, event.VERSION, codec.encode(event))  # what is folded was read back
        state = fold(state, [ev.Envelope("e", "d", state.seq + 1, data.TYPE, 1, NOW, None, NOW, "a", None, None, data)])
    return state


def test_registered_things_are_found_by_id_and_tag() -> None:
    state = folded(*FACTS)
    assert state.vehicles == {"E-118": BUS, "V-08": VAN}
    assert state.vehicle_by_tag("04a1b2c3") == BUS
    assert state.vehicle_by_tag("V-08") == VAN
    assert state.vehicle_by_tag("nobody") is None
    assert state.driver_by_tag("card7") == DRIVER
    assert state.driver_by_tag("D-7") is None  # a staff number is no card
    assert {pack.key.pack_id for pack in state.packs_of("E-118")} == {"P1", "P2"}
    assert state.declared_stations == {"CP-9": StationChange(STATION, "print", "ab" * 32), "CP-8": StationChange(None, "print")}
    assert state.declared_feeders["A"].rating_w == 90_000


def test_a_snapshot_brings_them_back() -> None:
    state = folded(*FACTS)
    assert decode_state(encode_state(state)) == state


def test_removed_things_are_gone_and_packs_go_with_their_vehicle() -> None:
    state = folded(ev.VehicleRemoved("E-118"), ev.DriverRemoved("D-7"), ev.VisitCancelled("v"), state=folded(*FACTS))
    assert set(state.vehicles) == {"V-08"}
    assert (dict(state.packs), dict(state.drivers), dict(state.visits)) == ({}, {}, {})
    state = folded(ev.PackRemoved(PackKey("E-118", "P1")), state=folded(*FACTS))
    assert set(state.packs) == {PackKey("E-118", "P2")}
    state = folded(ev.DeclarationWithdrawn(station_id="CP-9"), ev.DeclarationWithdrawn(feeder_id="A"), state=folded(*FACTS))
    assert set(state.declared_stations) == {"CP-8"}
    assert not state.declared_feeders


def test_a_later_word_replaces_the_earlier_one() -> None:
    state = folded(ev.VehicleRegistered(replace(BUS, battery_wh=300_000)), state=folded(*FACTS))
    assert state.vehicles["E-118"].battery_wh == 300_000


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Vehicle(""), "no id"),
        (lambda: Vehicle("a/b"), "no slash"),
        (lambda: Vehicle("x" * 65), "no id"),
        (lambda: Vehicle("V", battery_wh=0), "battery"),
        (lambda: Vehicle("V", ac_max_w=-1), "AC power"),
        (lambda: Vehicle("V", ac_max_w=0, dc_max_w=0), "neither"),
        (lambda: Vehicle("V", efficiency=1.2), "efficiency"),
        (lambda: Vehicle("V", id_tags=("A", "a")), "twice"),
        (lambda: Vehicle("V", id_tags=("A B",)), "no tag"),
        (lambda: Vehicle("V", id_tags=tuple(map(str, range(17)))), "17 tags"),
        (lambda: Vehicle("V", model="a\nb"), "model"),
        (lambda: Pack(PackKey("V", ""), "LFP"), "pack"),
        (lambda: Pack(PackKey("V", "P"), "L F P"), "chemistry"),
        (lambda: Pack(PackKey("V", "P"), "LFP", capacity_wh=0), "capacity"),
        (lambda: Driver("D", ("",)), "no tag"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(make: object, why: str) -> None:
    with pytest.raises(InvalidValue, match=why):
        make()  # type: ignore[operator]
