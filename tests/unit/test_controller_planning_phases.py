"""Currents per phase in a depot's plan: who loads which phase, and what the caps let through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_yard import SPEC, FlatTariff, SmallYard

from controller.planning_phases import THREE_PHASE, wiring_of
from controller.planning_problem import build
from controller.planning_settings import PlanningSettings
from depot import events as ev
from depot.fleet import Vehicle
from depot.registry import ConnectorSpec, Current, DepotSpec, PhaseLimit, StationSpec
from depot.values import ConnectorId, InvalidValue
from optimizer import plan
from optimizer.phases import Wiring, phase_kw

KEYS = tuple(ConnectorId(f"CP-{k}", 1) for k in (1, 2, 3))


def ac_spec(phases: tuple[tuple[int, ...], ...], **limits: PhaseLimit) -> DepotSpec:
    stations = tuple(
        StationSpec(key.station_id, "A", (ConnectorSpec(1, 22_000, 1_380, Current.AC, its, pausable=True),))
        for key, its in zip(KEYS, phases, strict=True)
    )
    scopes = {"" if scope == "site" else scope: limit for scope, limit in limits.items()}
    return replace(SPEC, stations=stations, phase_limits=scopes, worst_power_factor=1.0)


def yard_of(spec: DepotSpec, *used: int | None) -> SmallYard:
    small = SmallYard()
    small.yard.spec = spec
    for n, (key, phases) in enumerate(zip(KEYS, used, strict=True)):
        small.put(ev.VehicleRegistered(Vehicle(f"E-{n}", phases=phases)))
        small.arrive(key, f"E-{n}", kwh=14, hours=4, max_w=7_400)
    return small


def loads_kw(small: SmallYard) -> np.ndarray:
    found = build(
        small.yard, PlanningSettings(ready_margin_min=0), FlatTariff(), small.loop.limits_in_force(), now=small.clock.at, peak_w=0
    )
    assert found is not None
    result = plan(found.problem)
    visits = [small.yard.visit_on(key) for key in KEYS]
    wirings = [wiring_of(small.yard, key, visit) for key, visit in zip(KEYS, visits, strict=True) if visit is not None]
    loads: np.ndarray = phase_kw(wirings, result.power_kw)
    return loads


def test_vehicles_on_one_phase_take_turns_under_its_current() -> None:
    spec = ac_spec(((1,), (1,), (1,)), A=PhaseLimit(current_a=50.0))
    loads = loads_kw(yard_of(spec, 1, 1, 1))
    assert loads[0].max() <= 50 * 0.23 + 1e-6
    assert loads[0].max() > 0.9 * 50 * 0.23
    assert loads[1:].max() == 0
    free = loads_kw(yard_of(replace(spec, phase_limits={}), 1, 1, 1))
    assert free[0].max() > 50 * 0.23


def test_unbalance_is_kept_between_phases() -> None:
    spec = ac_spec(((1,), (2,), (3,)), site=PhaseLimit(unbalance_a=10.0))
    small = yard_of(spec, 1, 1, 1)
    loads = loads_kw(small)
    assert (loads.max(axis=0) - loads.min(axis=0)).max() <= 10 * 0.23 + 1e-6
    assert loads.max() > 10 * 0.23  # together they may draw more than one alone


def test_the_sites_own_load_is_on_all_three_phases() -> None:
    spec = ac_spec(((1, 2, 3),) * 3, site=PhaseLimit(current_a=100.0))
    small = yard_of(spec, 3, 3, 3)
    background_kw = spec.worst_background_w / 1000 / 3
    assert loads_kw(small).max() <= 100 * 0.23 - background_kw + 1e-6


@pytest.mark.parametrize(
    ("phases", "registered", "share", "expected"),
    [
        ((2, 3, 1), 1, None, Wiring((2, 3, 1), 1)),
        ((1, 2, 3), None, 1 / 3, Wiring((1, 2, 3), 1)),
        ((1, 2, 3), None, 2 / 3, Wiring((1, 2, 3), 2)),
        ((), None, None, Wiring()),
    ],
)
def test_the_registry_is_believed_before_the_meter(
    phases: tuple[int, ...], registered: int | None, share: float | None, expected: Wiring
) -> None:
    small = yard_of(ac_spec((phases,) * 3), registered, None, None)
    visit = small.yard.visit_on(KEYS[0])
    assert visit is not None
    if share is not None:
        small.yard.phase_share[KEYS[0]] = share
    assert wiring_of(small.yard, KEYS[0], visit) == expected


def test_dc_chargers_load_all_phases_alike() -> None:
    small = SmallYard()
    small.arrive(KEYS[0], "E-1")
    visit = small.yard.visit_on(KEYS[0])
    assert visit is not None
    assert wiring_of(small.yard, KEYS[0], visit) == THREE_PHASE


def test_a_negative_current_is_refused() -> None:
    with pytest.raises(InvalidValue, match="0 A or more"):
        PhaseLimit(current_a=-1.0)
