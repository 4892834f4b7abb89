"""The real loop and the real room of assets against batteries and suns that misbehave; judged by what flows at the connection
(invariants 1 and 9). Every scenario comes from a seed that the failure prints."""

from __future__ import annotations

import random

import pytest
from limiter_plant import Happening, Manners, Scenario
from storage_plant import play

from depot.assets import StorageSpec
from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec

DC = ConnectorSpec(1, 60_000, 6_000, pausable=True)


def depot(contract_w: int, *, stations: int = 4, export_w: int = 0) -> DepotSpec:
    return DepotSpec(
        "depot", "storage", contract_w, round(contract_w * 0.5), 20_000, (FeederSpec("F", 400_000),),
        tuple(StationSpec(f"CP{n}", "F", (DC,)) for n in range(stations)), metered=True, export_limit_w=export_w,
    )  # fmt: skip


def scenario(seed: int, spec: DepotSpec, *happenings: Happening, minutes: float = 12, base_w: int = 20_000) -> Scenario:
    return Scenario(seed, spec, {s.station_id: Manners() for s in spec.stations}, happenings, minutes * 60, base_w)


def arrivals(count: int, *, at: float = 30.0) -> list[Happening]:
    return [Happening(at + 2 * n, "arrive", 60_000, f"CP{n}/1", 3600.0) for n in range(count)]


BATTERY = StorageSpec(asset_id="b", capacity_wh=100_000, charge_w=80_000, discharge_w=80_000, controlled=True)


def test_a_battery_lets_more_vehicles_charge_than_the_limit_alone_would() -> None:
    spec = depot(120_000)
    alone, _ = play(scenario(1, spec, *arrivals(4)), spec=BATTERY, soc=0.1)
    helped, plant = play(scenario(1, spec, *arrivals(4)), spec=BATTERY, soc=0.9)
    assert alone.breaches == helped.breaches == []
    assert plant.given_wh_by_battery > 5_000
    assert helped.energy_wh > alone.energy_wh + 4_000
    assert max(plant.peaks) <= 120_000


def test_a_peak_is_shaved_to_where_it_was_asked() -> None:
    spec = depot(400_000)
    shaves = StorageSpec(asset_id="b", capacity_wh=100_000, charge_w=80_000, discharge_w=80_000, controlled=True, shave_above_w=100_000)
    found, plant = play(scenario(2, spec, *arrivals(2), minutes=8), spec=shaves, soc=0.8)
    assert found.breaches == []
    last_minutes = plant.peaks[-4 * 120 :]
    assert max(last_minutes) < 103_000  # 20 kW base and two vehicles of 60 kW
    assert plant.given_wh_by_battery > 2_500


def test_a_charging_battery_yields_to_vehicles_and_to_a_limit_that_drops() -> None:
    spec = depot(200_000)
    happenings = [Happening(20.0, "battery plan", 80_000), *arrivals(3, at=120.0), Happening(400.0, "limit", 90_000, "")]
    found, plant = play(scenario(3, spec, *happenings), spec=BATTERY, soc=0.2)
    assert found.breaches == []
    assert 80_000 in plant.rim.orders, "it charges while there is room"
    assert plant.rim.orders[-1] <= 0, "then the vehicles have it"
    assert found.energy_wh > 15_000


def test_what_it_gives_ends_only_after_the_chargers_do_without() -> None:
    spec = depot(120_000)
    found, plant = play(scenario(6, spec, *arrivals(4), Happening(240.0, "standby")), spec=BATTERY, soc=0.9)
    assert found.breaches == []
    assert min(plant.rim.orders) < -50_000
    assert plant.rim.orders[-1] == 0, "a person wants it at rest"
    assert max(plant.peaks) <= 120_050


def test_an_empty_one_leaves_the_chargers_to_the_limit_in_time() -> None:
    small = StorageSpec(asset_id="b", capacity_wh=8_000, charge_w=80_000, discharge_w=80_000, controlled=True, soc_min=0.2)
    spec = depot(120_000)
    found, plant = play(scenario(7, spec, *arrivals(4)), spec=small, soc=0.9)
    assert found.breaches == []
    assert plant.given_wh_by_battery > 4_000
    assert max(plant.peaks) <= 120_050
    assert plant.unit is not None
    assert plant.unit.soc > 0.15


def test_a_lost_link_costs_the_credit_at_once_and_ends_the_order_by_itself() -> None:
    spec = depot(120_000)
    happenings = [*arrivals(4), Happening(240.0, "battery away", lasts=420.0)]
    found, plant = play(scenario(4, spec, *happenings, minutes=14), spec=BATTERY, soc=0.9)
    assert found.breaches == []
    assert plant.unit is not None
    assert plant.unit.reversions >= 1
    before, after = plant.peaks[4 * 230], plant.peaks[4 * 260]
    assert after < before - 10_000, "chargers make room before the battery stops"


def test_a_cloud_before_the_sun_leaves_the_limit_kept() -> None:
    spec = depot(120_000)
    clouds = [Happening(300.0, "sun", 10_000), Happening(420.0, "sun", 100_000), Happening(560.0, "sun", 0)]
    found, plant = play(scenario(5, spec, *arrivals(4), *clouds), spec=BATTERY, soc=0.1, sun_w=100_000.0)
    assert found.breaches == []
    assert max(plant.peaks[4 * 310 : 4 * 415]) <= 120_000


def happenings_of(rng: random.Random, spec: DepotSpec) -> list[Happening]:
    found = [
        Happening(rng.uniform(5, 300), "arrive", rng.choice([20_000, 60_000]), f"{s.station_id}/1", rng.uniform(200, 1200))
        for s in spec.stations
    ]
    found += [Happening(rng.uniform(10, 900), "battery plan", rng.choice([-80_000, -30_000, 0, 40_000, 80_000])) for _ in range(4)]
    found += [Happening(rng.uniform(200, 800), rng.choice(["standby", "auto"])) for _ in range(rng.choice([0, 2]))]
    found += [Happening(rng.uniform(50, 900), "sun", rng.uniform(0, 80_000)) for _ in range(rng.choice([0, 3]))]
    found += [Happening(rng.uniform(50, 900), "base", rng.uniform(0, 40_000)) for _ in range(rng.choice([0, 2]))]
    found += [Happening(rng.uniform(50, 900), "limit", rng.uniform(60_000, 150_000), "") for _ in range(rng.choice([0, 1]))]
    for what, longest in (("battery away", 400), ("battery refuses", 120), ("battery fault", 200), ("meter", 40)):
        if rng.random() < 0.4:
            found.append(Happening(rng.uniform(100, 800), what, lasts=rng.uniform(2, longest)))
    if rng.random() < 0.3:
        found.append(Happening(rng.uniform(100, 800), "battery lies", rng.choice([50.0, 95.0])))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_whatever_batteries_do_the_site_keeps_its_limit(seed: int) -> None:
    rng = random.Random(seed)
    spec = depot(rng.choice([90_000, 140_000, 200_000]), export_w=rng.choice([0, 20_000]))
    soc, sun_w = rng.uniform(0.05, 0.95), rng.choice([0.0, 60_000.0])
    found, _ = play(scenario(seed, spec, *happenings_of(rng, spec), minutes=14), spec=BATTERY, soc=soc, sun_w=sun_w)
    assert found.breaches == [], f"seed {seed}\n" + "\n".join(list(found.log)[-60:])
