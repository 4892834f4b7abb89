"""What the grade asks beside health: like beside like, and a reason wherever it cannot be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bms_bridge.anomalies.losses import Loss
from bms_bridge.estimates.beside_new import NewResistance, at_rest, bend, beside_new
from bms_bridge.estimates.outlook import Dated
from bms_bridge.estimates.view import HealthEstimate
from bms_bridge.features.pulses import at_reference

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TODAY = int(NOW.timestamp() / 86_400)
YEAR_S = 365.25 * 86_400


def ohm(
    days: float, value: float, *, warm_c: float | None = 30.0, soc: float | None = 0.6, lag_s: float = 10.0, cycles: float | None = None
):
    until = NOW - timedelta(days=days)
    detail = {"steps": 4, "lag_s": lag_s, "hottest_c": warm_c, "soc": soc, "cycles": cycles}
    told = {name: said for name, said in detail.items() if said is not None}
    return HealthEstimate("resistance", "current steps", until - timedelta(hours=2), until, value, value * 0.9, value * 1.1, "", told)


def aged(ratio: float, *, warm_c: float = 30.0, first: int = 6, newest: int = 6, **more: object) -> list[HealthEstimate]:
    """A pack of 60 mΩ at 30 °C when new, two years ago."""
    chance = np.random.default_rng(4)
    old = [ohm(730 - n, 60.0 * chance.uniform(0.96, 1.04), cycles=2.0 + n) for n in range(first)]
    at_new_c = 60.0 / at_reference(1.0, 30.0)[0] ** -1 * (1 / at_reference(1.0, warm_c)[0])
    now = [ohm(newest - n, ratio * at_new_c * chance.uniform(0.96, 1.04), warm_c=warm_c, cycles=600.0, **more) for n in range(newest)]  # type: ignore[arg-type]
    return old + now


def found(ohms: list[HealthEstimate], *, cycles_before: float | None = 0.0, new: NewResistance | None = None):
    return beside_new(ohms, cycles_before=cycles_before, first_heard_s=(NOW - timedelta(days=731)).timestamp(), new=new)


@pytest.mark.parametrize("ratio", [1.0, 1.3, 1.9])
@pytest.mark.parametrize("warm_c", [23.0, 30.0, 38.0])
def test_the_newest_are_held_beside_the_first_ones_whatever_the_warmth(ratio: float, warm_c: float) -> None:
    said = found(aged(ratio, warm_c=warm_c))
    assert said.value == pytest.approx(ratio, rel=0.05)
    assert said.low is not None
    assert said.high is not None
    assert said.low < ratio < said.high
    assert said.high / said.low < 1.45
    assert "6 like ones of when it was new" in said.how


@pytest.mark.parametrize(
    ("ohms", "words"),
    [
        ([], "no resistance was measured yet"),
        ([ohm(1, 60.0, warm_c=None)], "tells no temperature"),
        (aged(1.2, first=2), "told 2 times while it was new"),
        (aged(1.2, warm_c=45.0), "within 10 °C and 10% of charge"),
        (aged(1.2, soc=0.95), "within 10 °C and 10% of charge"),
        (aged(1.2, soc=None), "within 10 °C and 10% of charge"),
        (aged(1.2, lag_s=2.0), "within 10 °C and 10% of charge"),
    ],
)
def test_what_cannot_be_compared_is_not_and_says_why(ohms: list[HealthEstimate], words: str) -> None:
    said = found(ohms)
    assert said.value is None
    assert words in said.why_not


def test_a_pack_that_did_not_come_new_needs_somebodys_word() -> None:
    for before in (None, 300.0):
        said = found(aged(1.3), cycles_before=before)
        assert "resistance_new_ohm" in said.why_not
    said = found(aged(1.3), cycles_before=None, new=NewResistance(0.0667, "as the settings say"))
    assert said.value == pytest.approx(1.3 * 60 / 66.7 * at_reference(1.0, 30.0)[0], rel=0.06)
    assert "66.7 mΩ when new, as the settings say" in said.how
    assert said.low is not None
    assert said.high is not None
    assert said.high / said.low > 1.2  # another pulse, another charge
    full = found(aged(1.3, soc=0.95), cycles_before=None, new=NewResistance(0.06, "x"))
    assert "between 20 % and 80 %" in full.why_not
    assert "look at what is said of the new one" in found(aged(1.3), cycles_before=None, new=NewResistance(9.0, "x")).why_not


def test_the_first_ones_are_known_by_cycles_else_by_the_first_months() -> None:
    without = [ohm(730 - n, 60.0) for n in range(4)] + [ohm(3 - n, 72.0) for n in range(3)]
    assert found(without).value == pytest.approx(1.2, rel=0.03)
    much_used = [ohm(730 - n, 60.0, cycles=400.0) for n in range(4)] + [ohm(3 - n, 72.0) for n in range(3)]
    assert "while it was new" in found(much_used).why_not


def test_what_cells_lose_is_told_only_where_it_is_known_well_enough() -> None:
    said = at_rest(Loss(0.0005, 0.0002, 11, TODAY), today=TODAY)
    assert said.value == pytest.approx(0.0152, abs=0.0002)
    assert "cell 12" in said.how
    assert "balancing took is not told" in said.how
    assert at_rest(Loss(-0.0005, 0.0002, 11, TODAY, balancing_told=True), today=TODAY).value == 0.0
    for loss, words in (
        (None, "daily look"),
        (Loss(None, why_not="a flat curve"), "a flat curve"),
        (Loss(0.0005, 0.003, 0, TODAY), "±15.0% a month"),
        (Loss(0.0005, 0.0002, 0, TODAY - 100), "three months"),
    ):
        assert words in at_rest(loss, today=TODAY).why_not
    leak = at_rest(Loss(0.005, 0.003, 0, TODAY, sure=True), today=TODAY)
    assert leak.value == pytest.approx(0.152, abs=0.001)
    assert "alert of a leak" in leak.how


def history(years: float, before: float, late: float, *, noise: float = 0.002, half: float = 0.01) -> list[Dated]:
    """Fades by ``before`` a year until a year ago, then by ``late``."""
    chance = np.random.default_rng(6)
    points = []
    for at in np.arange(0, years, 0.04):
        soh = 1 - before * min(at, years - 1) - late * max(at - (years - 1), 0) + chance.normal(0, noise)
        points.append(Dated(NOW.timestamp() - (years - at) * YEAR_S, None, soh, soh - half, soh + half))
    return points


def test_a_bend_is_told_where_estimates_are_sure_of_it() -> None:
    straight, bent = bend(history(4, 0.04, 0.04), since_s=None), bend(history(4, 0.03, 0.12), since_s=None)
    assert straight.value == pytest.approx(1.0, abs=0.2)
    assert straight.high is not None
    assert straight.high < 2
    assert bent.low is not None
    assert bent.low >= 2
    unsure = bend(history(4, 0.01, 0.018, noise=0.02), since_s=None)
    assert "do not tell better yet" in unsure.why_not


def test_a_bend_needs_years_or_the_packs_age() -> None:
    young = history(1, 0.0, 0.04)
    assert "in_service" in bend(young, since_s=None).why_not
    assert "half a year" in bend(history(0.3, 0.0, 0.04), since_s=None).why_not
    assert "more than a year" in bend([], since_s=None).why_not
    older = [Dated(one.until_s, None, one.soh - 0.15, one.low - 0.15, one.high - 0.15) for one in young]
    said = bend(older, since_s=NOW.timestamp() - 5 * YEAR_S)
    assert said.value == pytest.approx(0.04 / (0.15 / 4), rel=0.25)
    assert "since it was new" in said.how
