"""What a simulated battery's management measures: healthy, and with each fault."""

from __future__ import annotations

from random import Random

import pytest

from simulator.battery_faults import (
    KINDS,
    Fault,
    InsulationFault,
    InternalShort,
    LostSensors,
    OverCharge,
    Runaway,
    StopDemanded,
    StuckSensor,
    TwinSensor,
)
from simulator.cells import LFP, MAKES, NMC, Cells, Look, Make, series_of
from simulator.pack import Pack


def battery(soc: float = 0.4, temp_c: float = 35.0) -> Pack:
    return Pack(320_000, soc, need_wh=320_000 * (0.99 - soc), efficiency=0.94, temp_c=temp_c, ambient_c=35.0)


class Stand:
    """A battery on a charger."""

    def __init__(self, *faults: Fault, make: Make = LFP, pack: Pack | None = None, seed: int = 1) -> None:
        self.pack = pack or battery()
        self.cells = Cells(make, series=192, rng=Random(seed), faults=faults)
        self.at_s = 0.0

    def charge(self, seconds: float, power_w: float = 120_000, step_s: float = 1.0) -> Look:
        for _ in range(round(seconds / step_s)):
            self.at_s += step_s
            flows = min(power_w, self.pack.acceptance_w())
            self.pack.advance(flows, step_s)
            self.cells.advance(step_s, self.pack, power_w=flows, on_charger_s=self.at_s)
        return self.look(power_w)

    def look(self, power_w: float = 0.0) -> Look:
        flows = min(power_w, self.pack.acceptance_w())
        return self.cells.look(self.pack, power_w=flows, on_charger_s=self.at_s)


@pytest.mark.parametrize("make", [LFP, NMC])
@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_battery_stays_within_what_its_maker_allows_up_to_full(make: Make, seed: int) -> None:
    stand = Stand(make=make, seed=seed)
    while not stand.pack.satisfied:
        look = stand.charge(300, step_s=10)
        assert max(look.cells_v) <= make.full_v
        assert max(look.cells_v) - min(look.cells_v) < 0.06
        assert look.current_a <= look.limit_a or look.current_a < 1
        assert max(c for c in look.temperatures_c if c is not None) - min(c for c in look.temperatures_c if c is not None) < 5
        assert look.insulation_ohm > 1_000_000
        assert not look.stop
        assert not look.alarms
    assert look.soc > 0.98


def test_voltage_rises_with_charge_and_current() -> None:
    for make in MAKES.values():
        volts = [make.at_rest(k / 50)[0] for k in range(51)]
        assert volts == sorted(volts)
        assert make.at_rest(1.05)[0] > volts[-1]
    stand = Stand()
    assert stand.look(120_000).voltage_v > stand.look(0).voltage_v


def test_a_slow_short_is_nearly_invisible_on_the_plateau_of_lfp_and_plain_on_nmc() -> None:
    lfp, nmc = (Stand(InternalShort(after_s=0, leak_a=2.0), make=make, pack=battery(0.55)) for make in (LFP, NMC))
    spreads = []
    for stand in (lfp, nmc):
        stand.charge(4 * 3600, power_w=0, step_s=60)
        look = stand.look()
        spreads.append(sorted(look.cells_v)[96] - min(look.cells_v))
    assert spreads[0] < 0.005
    assert spreads[1] > 0.008


def test_a_fast_short_ends_with_a_cell_that_goes_off() -> None:
    stand = Stand(KINDS["short_fast"])
    hottest = 0.0
    for _ in range(200):
        look = stand.charge(10)
        hottest = max([hottest, *(c for c in look.temperatures_c if c is not None)])
        if stand.cells.bad.gone:
            break
    assert stand.cells.bad.gone
    assert 300 < stand.at_s < 1800
    assert hottest > 80
    assert min(look.cells_v) == 0.0


def test_a_runaway_heats_collapses_and_burns_the_sensor_beside_it() -> None:
    stand = Stand(Runaway(after_s=60))
    assert max(c or 0 for c in stand.charge(60).temperatures_c) < 40
    before = stand.charge(180)
    assert max(c or 0 for c in before.temperatures_c) > 50
    assert min(before.cells_v) > 3.0
    while not stand.cells.bad.gone:
        look = stand.charge(1)
    assert 240 < stand.at_s < 500
    assert min(look.cells_v) < 0.5 * before.cells_v[0]
    look = stand.charge(30)
    assert look.temperatures_c[0] is None
    assert look.temperatures_c[1] is not None


def test_a_runaway_goes_on_without_power() -> None:
    stand = Stand(Runaway(after_s=0))
    stand.charge(600, power_w=0)
    assert stand.cells.bad.gone


def test_sensors_that_lie() -> None:
    stand = Stand(StuckSensor(after_s=10, sensor=2), TwinSensor(after_s=10, sensor=1))
    stand.charge(20)
    looks = [stand.charge(60) for _ in range(20)]
    assert len({look.temperatures_c[2] for look in looks}) == 1
    assert all(look.temperatures_c[1] == look.temperatures_c[0] for look in looks)
    assert len({look.temperatures_c[3] for look in looks}) > 3
    lost = Stand(LostSensors(after_s=0, count=2))
    assert lost.charge(1).temperatures_c[:2] == [None, None]


def test_insulation_falls() -> None:
    stand = Stand(InsulationFault(after_s=10, ohm=20_000, falls_s=5))
    assert stand.charge(10).insulation_ohm > 1_000_000
    assert stand.charge(60).insulation_ohm == pytest.approx(20_000, rel=0.05)


def test_a_cell_that_runs_ahead_and_a_stop_that_is_demanded() -> None:
    stand = Stand(OverCharge(after_s=0, v_per_min=0.05))
    assert max(stand.charge(600).cells_v) > LFP.full_v
    stand = Stand(StopDemanded(after_s=5))
    assert not stand.charge(5).stop
    look = stand.charge(5)
    assert (look.stop, look.limit_a) == (True, 0.0)


def test_every_named_fault_can_be_played() -> None:
    for fault in KINDS.values():
        Stand(fault).charge(120, step_s=5)


def test_cells_in_series() -> None:
    assert [series_of(wh) for wh in (7_500, 77_000, 320_000)] == [16, 108, 192]
