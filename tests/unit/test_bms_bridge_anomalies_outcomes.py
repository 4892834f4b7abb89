"""What work orders found moves how probable an alert is real, and with it what is advised."""

from __future__ import annotations

import pytest
from fake_pack_days import fleet, string

from bms_bridge.anomalies.alerts import Kind, watch
from bms_bridge.anomalies.decision import Assumptions, advise
from bms_bridge.anomalies.outcomes import LOOKS, REAL, Finding, believed


def test_before_anybody_looked_the_assumption_stands() -> None:
    found = believed([])
    assert {kind: belief.real for kind, belief in found.items()} == dict(REAL)
    assert set(REAL) == {kind.value for kind in Kind}
    assert found["plating"].words == "nobody has looked after one here yet, 40 % are assumed to be real"


def test_each_look_moves_it_by_beta_and_only_its_own_kind() -> None:
    found = believed([Finding("resistance", right=1, false=3)])
    assert found["resistance"].real == pytest.approx((LOOKS * 0.5 + 1) / (LOOKS + 4))
    assert found["resistance"].words == "1 of 4 was right here, so 39 % are taken for real (50 % assumed before)"
    assert found["plating"].real == REAL["plating"]
    assert believed([Finding("plating", right=2)])["plating"].words.startswith("2 of 2 were right here")


def test_many_looks_outweigh_the_assumption_and_something_else_counts_for_neither() -> None:
    shares = [believed([Finding("internal_short", right=n, false=9 * n)])["internal_short"].real for n in (0, 1, 10, 1000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == pytest.approx(0.1, abs=0.001)
    assert believed([Finding("internal_short", else_found=50)])["internal_short"].real == REAL["internal_short"]
    heavy = believed([Finding("internal_short", false=5)], looks=1000.0)["internal_short"].real
    assert heavy == pytest.approx(0.8, abs=0.01)
    assert believed([Finding("by_hand", right=3)]) == believed([])


def test_a_depot_whose_alerts_were_false_is_advised_to_wait() -> None:
    ill = string("E-99/P1", 60, grows=0.02, onset=30)
    (alert,) = watch(fleet(8, 60, first=ill), opinion=False)
    assert alert.kind is Kind.RESISTANCE
    assumed = Assumptions(early_paise=400_000)
    usual, wary = (advise(alert, assumed, 20_500, found) for found in ((), [Finding("resistance", false=30)]))
    assert (usual.act_now, wary.act_now) == (True, False)
    assert wary.waiting_paise < usual.waiting_paise
    assert wary.chance == pytest.approx(usual.chance * wary.belief.real / usual.belief.real)
    assert "0 of 30 were right here, so 7 % are taken for real (50 % assumed before)" in wary.words
    stubborn = Assumptions(early_paise=400_000, real_looks=10_000.0)
    assert advise(alert, stubborn, 20_500, [Finding("resistance", false=30)]).act_now
