"""Charts against the cohort, the second opinion, and alerts that are told once, ranked and explained."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fake_pack_days import FIRST_DAY, fleet, string

from bms_bridge.anomalies.alerts import UNITS, Cause, Kind, watch
from bms_bridge.anomalies.charts import charted, cusum, ewma
from bms_bridge.anomalies.cohorts import CHARTED, cohorts_of, grid_of
from bms_bridge.anomalies.outliers import second_opinion
from bms_bridge.anomalies.pack_days import PackDays, joined


def test_a_leak_is_one_alert_and_its_imbalance_is_one_of_its_causes() -> None:
    (alert,) = watch(fleet(8, first=string("E-99/P1", leak_c_rate=1 / 1500)))
    assert (alert.key, alert.kind, alert.now) == ("E-99/P1/internal_short/4", Kind.INTERNAL_SHORT, True)
    assert {cause.signal for cause in alert.causes} == {"cell_loss", "spread_v"}
    assert alert.days_left is not None
    said = {cause.signal: cause.words for cause in alert.causes}
    assert re.fullmatch(r"the cell loses [\d.]+ % of its charge a day \(usual 0, \d+ σ\)", said["cell_loss"])
    assert re.fullmatch(r"its cells lie apart by [\d.]+ mV \(usual [\d.]+(, \d+ σ)?\)", said["spread_v"])


@pytest.mark.parametrize("signal", CHARTED)
def test_every_signal_has_words_for_people(signal: str) -> None:
    assert "_" not in Cause(signal, 0.012, 0.01, UNITS[signal], 5.2).words


def test_resistance_that_grows_unlike_the_cohorts_is_found_and_its_level_alone_is_not() -> None:
    assert watch(fleet(10, first=string("E-99/P1", resistance=0.0016))) == []
    (alert,) = watch(fleet(10, first=string("E-99/P1", grows=0.02)))
    assert (alert.kind, alert.cohort, alert.cell) == (Kind.RESISTANCE, "NMC · A7 · 2.1", -1)
    assert alert.causes[0].value > 1.2 * alert.causes[0].usual
    assert alert.found - FIRST_DAY > 20


def test_the_most_urgent_stands_first() -> None:
    table = joined([string("E-98/P1", grows=0.02), string("E-99/P1", leak_c_rate=1 / 1500), fleet(10)])
    assert [alert.kind for alert in watch(table, opinion=False)] == [Kind.INTERNAL_SHORT, Kind.RESISTANCE]


def test_a_healthy_fleet_raises_nothing() -> None:
    assert watch(fleet(16)) == []


def test_packs_without_others_like_them_are_charted_by_nobody() -> None:
    labels = [{"chemistry": "NMC", "batch": "A", "firmware": str(number % 2)} for number in range(12)]
    labels += [{"chemistry": "LFP", "batch": "", "firmware": ""}]
    groups, names = cohorts_of(labels)
    assert names == ("NMC · A · 0", "NMC · A · 1")
    assert groups[-1] == -1
    few = grid_of(fleet(3))
    assert np.isnan(charted(few, "resistance_ohm").level).all()


def test_a_batch_too_small_falls_back_to_the_chemistry() -> None:
    labels = [{"chemistry": "NMC", "batch": str(number), "firmware": "1"} for number in range(7)]
    groups, names = cohorts_of(labels)
    assert names[set(groups).pop()] == "NMC · 1"


def test_charts_keep_a_mean_over_gaps_and_sum_only_what_is_beyond() -> None:
    assert np.allclose(ewma(np.array([[1.0, np.nan, 2.0]])), [[1.0, 1.0, 1.2]])
    assert cusum(np.array([[2.0, 5.0, np.nan, 0.0]])).tolist() == [[0.0, 2.0, 2.0, 0.0]]


def test_forest_and_components_agree_on_the_odd_one_and_say_which_signal() -> None:
    random = np.random.default_rng(2)
    features = np.outer(random.normal(size=24), [1.0, 0.9, 0.0, 0.1]) + 0.2 * random.normal(size=(24, 4))
    features[5, 2] += 9
    said = second_opinion(features)
    assert said is not None
    assert np.flatnonzero(said.unlike).tolist() == [5]
    assert int(said.by_feature[5].argmax()) == 2
    assert second_opinion(features[:8]) is None


def test_alerts_carry_the_second_opinion_where_there_are_enough_packs() -> None:
    (alert,) = watch(fleet(18, first=string("E-99/P1", grows=0.03)))
    assert alert.agrees is not None
    assert watch(fleet(18, first=string("E-99/P1", grows=0.03)), opinion=False)[0].agrees is None


def test_numbers_that_cannot_be_stop_nothing() -> None:
    """Warnings are errors: nothing is divided by nothing."""
    random = np.random.default_rng(3)
    for trial in range(8):
        strings = []
        for place in range(7):
            one = string(f"P{place}", int(random.integers(1, 30)), cells=int(random.integers(2, 9)), cell=1, seed=10 * trial + place)
            for name in ("slope_v", "age_d", "temperature_c", "resistance_ohm", "relaxation_v"):
                missing = random.random(len(one)) < random.choice([0.0, 0.3, 1.0])
                one.numbers[name][missing] = random.choice([np.nan, 0.0, -1.0])
            one.cells_v[random.random(one.cells_v.shape) < random.choice([0.0, 0.3])] = np.nan
            strings.append(one.rows(np.isfinite(one.cells_v).sum(axis=1) >= 2))
        assert watch(joined([one for one in strings if len(one)]), opinion=False) == []


def test_one_odd_reading_of_a_signal_that_is_seldom_told_is_no_alert_five_are() -> None:
    def packs(lost: dict[int, float]) -> PackDays:
        """Charge that is lost at rest, each fourth day; of the first pack otherwise on some days."""
        table = fleet(8, 100)
        random = np.random.default_rng(3)
        own = table.numbers["self_discharge"]
        own[:] = np.where(table.days % 4 == 0, 0.001 + 0.0001 * random.normal(size=len(table)), np.nan)
        for day, value in lost.items():
            own[(table.packs == table.names()[0]) & (table.days == FIRST_DAY + day)] = value
        return table

    told = [day for day in range(100) if (FIRST_DAY + day) % 4 == 0]
    assert watch(packs({told[-3]: 0.02}), opinion=False) == []
    (alert,) = watch(packs(dict.fromkeys(told[-9:], 0.006)), opinion=False)
    assert (alert.kind, alert.now, alert.pack) == (Kind.SELF_DISCHARGE, True, "E-0/P1")
