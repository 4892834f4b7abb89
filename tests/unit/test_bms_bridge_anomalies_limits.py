"""The smallest leak that would be found is told by chemistry, and what it says is so."""

from __future__ import annotations

import pytest
from fake_pack_days import string

from bms_bridge.anomalies.leak import LEAST_UNTOLD_SHARE_PER_DAY, leaks
from bms_bridge.anomalies.limits import limits
from bms_bridge.anomalies.pack_days import PackDays, joined

NMC, LFP = ("NMC", "A7", "2.1"), ("LFP", "L1", "1")


def packs(labels: tuple[str, str, str], slope_v: float, leak: float, *, noise_v: float = 0.001) -> list[PackDays]:
    """Three strings; a cell of the first one loses ``leak`` (1/h)."""
    rates = (leak, 0.0, 0.0)
    return [
        string(f"{labels[0]}{n}/P1", 40, seed=n, slope_v=slope_v, leak_c_rate=rate, onset=5, labels=labels, noise_v=noise_v)
        for n, rate in enumerate(rates)
    ]


def test_nmc_sees_and_the_plateau_of_lfp_is_blind() -> None:
    lfp, nmc = limits(joined(packs(NMC, 1.1, 0.0) + packs(LFP, 0.013, 0.0)))
    assert (lfp.chemistry, lfp.packs, lfp.blind, lfp.share_per_day) == ("LFP", 3, 3, None)
    assert lfp.words.startswith("LFP, 3 packs: no leak could be found (0.13 mV for each % of charge, scatter 1")
    assert (nmc.chemistry, nmc.blind) == ("NMC", 0)
    assert nmc.share_per_day == pytest.approx(LEAST_UNTOLD_SHARE_PER_DAY)
    assert nmc.noise_v == pytest.approx(0.001, rel=0.25)
    assert "leaks from C/7,000 on would be found within 28 days, in the worst pack from C/7,000 on (11 mV" in nmc.words


@pytest.mark.parametrize(("slope_v", "noise_v"), [(1.1, 0.001), (0.1, 0.001), (0.3, 0.004)])
def test_what_the_limit_says_would_be_found_is_found(slope_v: float, noise_v: float) -> None:
    (limit,) = limits(joined(packs(NMC, slope_v, 0.0, noise_v=noise_v)))
    assert limit.share_per_day is not None
    above, below = 1.6 * limit.share_per_day / 24, 0.3 * limit.share_per_day / 24
    found = leaks(joined(packs(NMC, slope_v, above, noise_v=noise_v)))
    assert [(leak.pack, leak.cell) for leak in found] == [("NMC0/P1", 3)]
    if limit.share_per_day > LEAST_UNTOLD_SHARE_PER_DAY:  # else a cell that falls out of its string is found sooner
        assert leaks(joined(packs(NMC, slope_v, below, noise_v=noise_v))) == []


def test_packs_without_enough_readings_or_slopes_are_blind() -> None:
    (limit,) = limits(joined([string("A/P1", 4), string("B/P1", 40)]))
    assert (limit.packs, limit.blind) == (2, 1)
    assert "; in 1 of them none could (" in limit.words
    unknown = string("A/P1", 40, labels=("", "", ""))
    unknown.numbers["slope_v"][:] = float("nan")
    (limit,) = limits(unknown)
    assert limit.words == "chemistry not told, 1 pack: no leak could be found (0 mV for each % of charge, scatter 0 mV)"
