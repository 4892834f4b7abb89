"""Health by a taught model in a depot: a pack of a hundred ampere-hours by a model of small cells, and every reason why there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from feature_kit import charge as cell_charge

from bms_bridge.estimates import InvalidCurve
from bms_bridge.estimates.charges import Charge, cut
from bms_bridge.estimates.estimate import TAUGHT, Estimate
from bms_bridge.estimates.judging import PackFacts
from bms_bridge.estimates.layout import PackLayout
from bms_bridge.estimates.samples import Samples
from bms_bridge.estimates.taught import NO_NUMBERS, NUMBERS, EndWindow, Teaching, ending, taught
from bms_bridge.features.charge_window import Window, charge_table, window_features
from bms_bridge.health.soh import SohModel
from bms_bridge.health.soh_training import Effort, train

SERIES, TIMES = 12, 50.0
WINDOW = EndWindow("small", 4.2, batch="B0")
FACTS = PackFacts(PackLayout.one_module(SERIES), 2.0 * TIMES, None, "NMC")
LITTLE = Effort(10, 150, 80, 20, 3, 3, 10)


@pytest.fixture(scope="module")
def teaching() -> Teaching:
    """Sixteen cells of two batches, each charged six times while it hardly fades."""
    cells, soh, batches = {}, [], []
    random = np.random.default_rng(4)
    for n in range(16):
        rows = []
        for k in range(6):
            health = 1.0 - 0.016 * n - 0.002 * k
            found = cell_charge(capacity_ah=2.0 * health, ohm=0.06 + 0.0005 * (n % 2), begin=random.uniform(0.05, 0.3))
            rows.append((float(k), window_features(found, Window(4.2))))
            soh.append(health)
            batches.append(f"B{n % 2}")
        cells[f"cell-{n:02d}"] = rows
    table = replace(charge_table("small", cells, 2.0), capacity_ah=2.0 * np.array(soh), batches=np.array(batches))
    return Teaching({"small": train(table, effort=LITTLE)}, {"NMC": WINDOW})


def pack_charge(soh: float, **more: float) -> tuple[Samples, Charge]:
    """The same charge of a pack of cells in series, fifty times as large; it rests afterwards."""
    found = cell_charge(capacity_ah=2.0 * soh, **more)
    rest = np.arange(1, 41) * 60.0 + found.time_s[-1]
    t = 1_790_000_000.0 + np.concatenate([found.time_s, rest])
    amps = TIMES * np.concatenate([found.current_a, np.zeros(40)])
    volts = np.concatenate([found.voltage_v, np.full(40, 4.17)])
    cells = np.repeat(volts[:, None], SERIES, axis=1).astype(np.float32)
    warm = np.full(len(t), 25.0)
    samples = Samples(t, amps, SERIES * volts, cells, warm, warm)
    (one,) = cut(samples, 2.0 * TIMES, now_s=float(t[-1]) + 10)
    return samples, one


def said(teaching: Teaching, soh: float, **more: float) -> Estimate:
    samples, one = pack_charge(soh, **more)
    return taught(teaching, FACTS, [], ending(samples, one, FACTS, WINDOW), from_s=1.0, until_s=2.0)


@pytest.mark.parametrize("soh", [0.95, 0.87])
def test_a_pack_is_estimated_by_a_model_of_small_cells(teaching: Teaching, soh: float) -> None:
    found = said(teaching, soh)
    assert found.method == TAUGHT
    assert found.value == pytest.approx(soh, abs=0.01), found.reason
    assert found.low is not None
    assert found.high is not None
    assert found.low <= soh <= found.high
    blind = taught(teaching, replace(FACTS, current_gain=0.0), [], ending(*pack_charge(soh), FACTS, WINDOW), from_s=1.0, until_s=2.0)
    assert blind.low is not None
    assert found.low == pytest.approx(0.99 * blind.low, abs=2e-4)
    assert (found.detail["kind"], found.detail["charges"]) == ("small", 1)


def test_the_charges_before_calm_it(teaching: Teaching) -> None:
    rows = []
    for _ in range(5):
        samples, one = pack_charge(0.9)
        rows.append(ending(samples, one, FACTS, WINDOW)[NUMBERS])
    odd = ending(*pack_charge(0.85), FACTS, WINDOW)
    alone = taught(teaching, FACTS, [], odd, from_s=1.0, until_s=2.0)
    calm = taught(teaching, FACTS, rows, odd, from_s=1.0, until_s=2.0)
    assert alone.value is not None
    assert calm.value is not None
    assert abs(calm.value - 0.9) < abs(alone.value - 0.9)


def test_a_charge_that_ends_early_or_begins_late_says_why(teaching: Teaching) -> None:
    samples, one = pack_charge(0.9)
    top = int(np.flatnonzero(samples.voltage_v / SERIES >= 4.198)[0])
    early = replace(one, last=top - 5, until=top - 4)
    assert "below the cut-off voltage" in ending(samples, early, FACTS, WINDOW)[NO_NUMBERS]
    late = replace(one, first=top - 3)
    words = ending(samples, late, FACTS, WINDOW)
    assert "0.2 V below" in words[NO_NUMBERS]
    found = taught(teaching, FACTS, [], words, from_s=1.0, until_s=2.0)
    assert found.value is None
    assert found.reason.startswith("the window at the charge's end is not there: the charge began above")


def test_what_the_model_was_not_taught_gets_no_estimate(teaching: Teaching) -> None:
    strange = {NUMBERS: [1.0 + 3 * k for k in range(16)]}
    assert "unlike all that was taught" in taught(teaching, FACTS, [], strange, from_s=1.0, until_s=2.0).reason
    lfp = replace(FACTS, chemistry="LFP")
    assert "add a [[health.window]]" in taught(teaching, lfp, [], {}, from_s=1.0, until_s=2.0).reason
    other = Teaching(teaching.models, {"NMC": replace(WINDOW, kind="large")})
    assert "it knows small" in taught(other, FACTS, [], {}, from_s=1.0, until_s=2.0).reason


def test_one_taught_batch_says_nothing_of_others(teaching: Teaching) -> None:
    samples, one = pack_charge(0.9)
    numbers = ending(samples, one, FACTS, WINDOW)
    model = teaching.models["small"]
    alone = SohModel("small", replace(model.plain, unusual_factor=float("inf")), None, model.last, ("B0",), model.level, {})
    found = taught(Teaching({"small": alone}, {"NMC": replace(WINDOW, batch="")}), FACTS, [], numbers, from_s=1.0, until_s=2.0)
    assert found.value is None
    assert "one batch alone" in found.reason


def test_windows_that_cannot_be_are_refused_and_labels_tell_them_apart() -> None:
    with pytest.raises(InvalidCurve, match="current falls from more to less"):
        EndWindow("small", 4.2, from_c=0.05, to_c=0.25)
    assert WINDOW.label(100.0) != replace(WINDOW, to_c=0.04).label(100.0) != WINDOW.label(120.0)
