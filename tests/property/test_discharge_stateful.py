"""Bidirectional depots that misbehave, against the real ControlLoop; judged by physical power (invariants 1, 3, 9; decision 14).

No limit of import or export is exceeded, whoever falls silent, stops by itself or charges instead; nobody is taken below the
reserve; every scenario comes from a seed that the failure prints.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from limiter_plant import Happening, Manners, Scenario, Verdicts, play

from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec

SHORT = 12
LONG = 150
MINUTES = 24
BUS = ConnectorSpec(1, 60_000, 6_000, pausable=True, discharge_w=40_000)
VAN = ConnectorSpec(1, 22_000, 4_140, pausable=True)
VICES = ("", "", "", "silent", "silent", "stops", "too_much", "charges")


def scenario_of(seed: int) -> Scenario:
    """2 to 6 buses and 1 to 4 vans; plans that want power back; background that comes and goes; limits that drop."""
    rng = random.Random(f"discharge/{seed}")
    buses, vans = rng.randint(2, 6), rng.randint(1, 4)
    stations = [StationSpec(f"B{i}", f"F{rng.randrange(2)}", (BUS,)) for i in range(buses)]
    stations += [StationSpec(f"V{i}", f"F{rng.randrange(2)}", (VAN,)) for i in range(vans)]
    rated = sum(c.rated_w for s in stations for c in s.connectors)
    worst = round(rated * rng.uniform(0.2, 0.5))
    contract = worst + round(rated * rng.uniform(0.2, 0.7))
    spec = DepotSpec(
        "depot", "both ways", contract, round(contract * 0.7), worst, (FeederSpec("F0", round(rated * 0.6)), FeederSpec("F1", rated)),
        tuple(stations), metered=True, export_limit_w=rng.choice([0, 0, 15_000]),
    )  # fmt: skip
    manners = {s.station_id: Manners(autonomous=rng.random() < 0.2, skew_s=rng.uniform(-4, 4)) for s in stations}
    for i in range(buses):
        manners[f"B{i}"] = replace(manners[f"B{i}"], gives=rng.choice(VICES))
    if rng.random() < 0.4:
        victim = f"B{rng.randrange(buses)}"
        spell = (rng.choice(["deaf", "away", "reboot"]), rng.uniform(200, MINUTES * 60), rng.uniform(5, 40))
        manners[victim] = replace(manners[victim], spells=(spell,))
    span = MINUTES * 60.0
    found = [Happening(rng.uniform(5, 60), "arrive", 0, str(key), rng.uniform(600, 2 * span)) for key in spec.connectors]
    found += [Happening(at, "lend") for at in (120.0, 600.0, 1100.0)]
    at, base_w = 0.0, rng.uniform(0.3, 0.9) * worst
    while (at := at + rng.uniform(60, 400)) < span:
        found.append(Happening(at, "base", round(rng.uniform(0.0, 0.9) * worst)))
    for _ in range(rng.randint(0, 2)):
        found.append(Happening(rng.uniform(100, span), "limit", round(worst + rng.uniform(0.2, 1.0) * (contract - worst))))
    if rng.random() < 0.3:
        found.append(Happening(rng.uniform(200, span), "frozen", lasts=rng.uniform(5, 120)))
    return Scenario(seed, spec, manners, tuple(found), span, round(base_w))


def _assert_kept(seed: int, verdicts: Verdicts) -> None:
    assert not verdicts.breaches, f"seed {seed}: " + "\n".join(verdicts.breaches)


@pytest.mark.parametrize("seed", range(SHORT))
def test_invariants_1_3_9_hold_with_vehicles_that_give(seed: int) -> None:
    _assert_kept(seed, play(scenario_of(seed)))


def test_the_scenarios_do_discharge() -> None:
    assert sum(play(scenario_of(seed)).given_wh > 0 for seed in range(4)) >= 2


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 1000 + LONG, 15))
def test_invariants_hold_in_many_depots_that_give(first: int) -> None:
    for seed in range(first, first + 15):
        _assert_kept(seed, play(scenario_of(seed)))
