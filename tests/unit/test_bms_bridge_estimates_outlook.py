"""Remaining life in the depot: by lives that were taught, or the reason why nobody can say."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from estimates_kit import NMC, NOMINAL_AH, SERIES, Pack
from fake_lives import lives

from bms_bridge.estimates.charges import cut
from bms_bridge.estimates.judging import PackFacts
from bms_bridge.estimates.layout import PackLayout
from bms_bridge.estimates.outlook import Dated, outlook
from bms_bridge.estimates.shapes import shape_of
from bms_bridge.life.remaining import LifeModel
from bms_bridge.life.teaching import Effort, teach


@cache
def taught() -> LifeModel:
    return teach("NMC", lives(24, every=60), effort=Effort(trees=5, folds=2, groups=2, particles=40))


def told(count: int = 8) -> list[Dated]:
    track = lives(1, seed=3)[0]
    rows = np.linspace(0, len(track.cycles) // 2, count).astype(int)
    return [
        Dated(1e9 + k, float(track.cycles[row]), float(track.soh[row]), track.soh[row] - 0.03, track.soh[row] + 0.03)
        for k, row in enumerate(rows)
    ]


def test_cycles_until_80_percent_with_a_band() -> None:
    found = outlook({"NMC": taught()}, "NMC", "E-101/P1", told(), cycles_a_year=250.0, cycles_known=True)
    assert found is not None
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.value < found.high
    assert found.detail["to_70"][1] > found.value
    assert found.detail["cycles_a_year"] == 250.0


def test_why_there_is_none() -> None:
    models = {"LFP": taught(), "LCO": taught()}
    assert outlook(models, "NMC", "x", [], cycles_a_year=None, cycles_known=True) is None
    for said, words in (
        (outlook(models, "NMC", "x", told(), cycles_a_year=None, cycles_known=False), "cycles_before"),
        (outlook(models, "NMC", "x", told(), cycles_a_year=None, cycles_known=True), "was not taught NMC"),
        (outlook(models, "LFP", "x", told(2), cycles_a_year=None, cycles_known=True), "3 are needed"),
        (outlook(models, "LFP", "x", [replace(one, cycles=None) for one in told()], cycles_a_year=None, cycles_known=True), "0 estimates"),
    ):
        assert said is not None
        assert said.value is None
        assert words in said.reason


def test_a_charge_has_a_curve_or_the_reason_why_not() -> None:
    facts = PackFacts(PackLayout.one_module(SERIES), NOMINAL_AH, NMC, "NMC")
    for pack, key in ((Pack(soh=0.9, ah=10).charge(hours=1.5), "ica"), (Pack(ah=40).charge(hours=0.1), "no_ica")):
        samples = pack.buffer.samples()
        (charge,) = cut(samples, NOMINAL_AH, now_s=pack.t_s + 1e5)
        found = shape_of(samples, charge, facts)
        assert list(found) == [key]
    assert "too little" in str(found) or "too few" in str(found)
