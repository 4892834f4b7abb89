"""Health in a running depot: from samples to estimates with an interval, or with the reason why there is none."""

from __future__ import annotations

import numpy as np
import pytest
from estimates_kit import LFP, NMC, NOMINAL_AH, SERIES, Pack

from bms_bridge.estimates import InvalidCurve
from bms_bridge.estimates.charges import Charge, cut
from bms_bridge.estimates.curves import RestCurve
from bms_bridge.estimates.estimate import RESISTANCE, SOH, Estimate
from bms_bridge.estimates.facts import Described, Knowledge, Registered, facts_of
from bms_bridge.estimates.judging import PackFacts, judged
from bms_bridge.estimates.layout import PackLayout
from bms_bridge.estimates.samples import MOST_KEPT, Buffer, Samples
from bms_bridge.estimates.trend import YEAR_S, trend
from depot.values import PackKey

ONE = PackKey("E-101", "P1")


def facts(curve: RestCurve | None = NMC, layout: PackLayout | None = None) -> PackFacts:
    return PackFacts(layout or PackLayout.one_module(SERIES), NOMINAL_AH, curve, "NMC")


def seen(pack: Pack, later_s: float = 10_000.0) -> tuple[Samples, list[Charge]]:
    samples = pack.buffer.samples()
    return samples, cut(samples, NOMINAL_AH, now_s=pack.t_s + later_s)


def of(pack: Pack, about: PackFacts | None = None) -> dict[str, Estimate]:
    samples, charges = seen(pack)
    assert charges
    return {one.quantity: one for one in judged(samples, charges[-1], about or facts())}


class TestCountedHealth:
    @pytest.mark.parametrize("soh", [1.0, 0.9, 0.75])
    def test_of_a_charge_between_two_rests_holds_the_truth_in_its_interval(self, soh: float) -> None:
        found = of(Pack(soh=soh, ah=15).charge(hours=1.2))[SOH]
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.value == pytest.approx(soh, abs=0.02)
        assert found.low < soh < found.high
        assert found.high - found.low < 0.15

    def test_a_voltage_that_is_wrong_by_what_is_promised_stays_within_the_interval(self) -> None:
        pack = Pack(soh=0.85, ah=15).charge(hours=1.2)
        samples, charges = seen(pack)
        for low_v, high_v in ((0.004, -0.004), (-0.004, 0.004)):
            cells = samples.cells_v.copy()
            cells[: charges[-1].first + 1] += low_v
            cells[charges[-1].last + 1 :] += high_v
            wrong = Samples(samples.t_s, samples.current_a, samples.voltage_v, cells, samples.hottest_c, samples.coldest_c)
            one = judged(wrong, charges[-1], facts())[0]
            assert one.low is not None
            assert one.high is not None
            assert one.low < 0.85 < one.high

    def test_the_weakest_cell_and_its_module_are_found(self) -> None:
        sohs = tuple(0.8 if cell == 7 else 0.92 for cell in range(SERIES))
        detail = of(Pack(soh=sohs, ah=15).charge(hours=1.1), facts(layout=PackLayout((4, 4, 4))))[SOH].detail
        assert detail["weakest_cell"] == 8
        assert detail["weakest_soh"] == pytest.approx(0.8, abs=0.02)
        assert detail["modules"][1] < detail["modules"][0] - 0.02
        assert len(detail["modules"]) == 3

    @pytest.mark.parametrize("dead_v", [0.0, 0.3, 2.0, float("nan")])
    def test_a_dead_cell_is_named_and_does_not_move_the_others_health(self, dead_v: float) -> None:
        pack = Pack(soh=0.9, ah=15).charge(hours=1.2)
        samples, charges = seen(pack)
        cells = samples.cells_v.copy()
        cells[:, 3] = dead_v
        volts = np.nansum(cells, axis=1).astype(np.float64)
        one = judged(Samples(samples.t_s, samples.current_a, volts, cells, samples.hottest_c, samples.coldest_c), charges[-1], facts())[0]
        assert one.value == pytest.approx(0.9, abs=0.02)
        assert one.detail.get("odd_cells", []) == ([] if np.isnan(dead_v) else [4])
        assert one.detail["cells_told"] == SERIES - 1

    def test_a_current_with_the_other_sign_gives_none_and_says_so(self) -> None:
        pack = Pack(soh=0.9, ah=90).go(0, 0.8).go(-50, 1.2).go(0, 0.8)
        samples = pack.buffer.samples()
        turned = Samples(samples.t_s, -samples.current_a, samples.voltage_v, samples.cells_v, samples.hottest_c, samples.coldest_c)
        (charge,) = cut(turned, NOMINAL_AH, now_s=pack.t_s + 10_000)
        health, resistance = judged(turned, charge, facts())
        for one in (health, resistance):
            assert one.value is None
            assert "sign of its current is turned" in one.reason

    def test_without_a_rest_it_is_silent_and_says_so(self) -> None:
        none_before = Pack().go(-30, 0.2).go(0, 0.1).go(50, 1).go(0, 0.8)
        assert "rested less than 30 minutes before" in of(none_before)[SOH].reason
        assert "not heard of after" in of(Pack().go(0, 0.8).go(50, 1))[SOH].reason

    def test_a_small_window_and_a_flat_curve_give_none(self) -> None:
        assert "too little" in of(Pack(ah=40).charge(hours=0.1))[SOH].reason
        flat = of(Pack(curve=LFP, ah=35).charge(hours=0.8), facts(LFP))[SOH]
        assert flat.value is None
        assert "too little" in flat.reason

    def test_a_wrong_capacity_in_the_registry_is_told_and_not_called_health(self) -> None:
        found = of(Pack(ah=10).charge(), PackFacts(PackLayout.one_module(SERIES), 40.0, NMC, "NMC"))[SOH]
        assert found.value is None
        assert "look at capacity" in found.reason

    def test_without_a_curve_it_names_the_setting(self) -> None:
        assert "[[health.curve]]" in of(Pack().charge(), facts(None))[SOH].reason


class TestResistance:
    def test_is_that_of_the_pack_from_its_steps(self) -> None:
        found = of(Pack(ohm=0.0015).charge())[RESISTANCE]
        assert found.value == pytest.approx(1.5 * SERIES, rel=0.1)
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high

    def test_is_not_told_where_no_step_was_seen_closely(self) -> None:
        assert "did not step" in of(Pack(every_s=60).charge())[RESISTANCE].reason


class TestCharges:
    def test_a_short_pause_does_not_end_a_charge_and_a_long_rest_does(self) -> None:
        paused = Pack(ah=10).go(0, 0.8).go(30, 0.5).go(0, 0.2).go(30, 0.5).go(0, 0.8)
        assert len(seen(paused)[1]) == 1
        rested = Pack(ah=10).go(0, 0.8).go(30, 0.5).go(0, 0.7).go(30, 0.5).go(0, 0.8)
        assert len(seen(rested)[1]) == 2

    def test_one_that_runs_or_has_not_rested_is_left_for_later(self) -> None:
        running = Pack().go(0, 0.8).go(50, 0.5)
        assert seen(running, later_s=0)[1] == []
        assert seen(running.go(0, 0.2), later_s=0)[1] == []
        assert len(seen(running.go(0, 0.5), later_s=0)[1]) == 1

    def test_nothing_is_counted_over_a_gap(self) -> None:
        gap = Pack(ah=10).go(0, 0.8).go(50, 0.5).go(50, 0.2, told=False).go(50, 0.5).go(0, 0.8)
        samples, charges = seen(gap)
        assert len(charges) == 2
        assert "not heard of before" in judged(samples, charges[1], facts())[0].reason


class TestBuffer:
    def test_late_and_repeated_samples_find_their_place(self) -> None:
        pack = Pack(ah=15).charge(hours=1.2)
        mixed = Buffer()
        order = [*range(0, len(pack.said), 2), *range(1, len(pack.said), 2), *range(10)]
        for number in order:
            t_s, amps, volts, cells = pack.said[number]
            mixed.add(t_s, amps, volts, np.array(cells, np.float32), np.empty(0, np.float32))
        samples = mixed.samples()
        assert (np.diff(samples.t_s) > 0).all()
        (charge,) = cut(samples, NOMINAL_AH, now_s=pack.t_s + 10_000)
        found = judged(samples, charge, facts())[0]
        assert found.value == pytest.approx(0.9, abs=0.02)

    def test_is_bounded_and_keeps_the_newest(self) -> None:
        buffer = Buffer()
        for number in range(MOST_KEPT + 50):
            buffer.add(float(number * 100), float(number % 2) * 50, 40.0, np.empty(0, np.float32), np.empty(0, np.float32))
        assert len(buffer) == MOST_KEPT
        assert buffer.samples().t_s[-1] == (MOST_KEPT + 49) * 100

    def test_hours_of_nothing_are_a_sample_a_minute(self) -> None:
        assert len(Pack().go(0, 10).buffer) < 750

    def test_a_sample_without_a_current_is_nothing(self) -> None:
        buffer = Buffer()
        assert not buffer.add(1.0, None, 40.0, np.empty(0, np.float32), np.empty(0, np.float32))
        assert len(buffer.samples()) == 0


class TestFacts:
    def test_ampere_hours_come_from_registered_watt_hours_and_the_curve(self) -> None:
        known = Knowledge(curves={"NMC": NMC})
        found, note = facts_of(ONE, Registered("NMC", round(SERIES * NMC.mean_v * 100), SERIES), known, cells_told=0)
        assert not note
        assert found.nominal_ah == pytest.approx(100, abs=0.1)

    @pytest.mark.parametrize(
        ("registered", "described", "words"),
        [
            (Registered("NMC", None, 12), Described(), "capacity when new"),
            (Registered("NMC", 50_000, None), Described(), "how many cells"),
            (Registered("LFP", 50_000, 12), Described(), "[[health.curve]]"),
            (Registered("NMC", 50_000, 12), Described(PackLayout((4, 4))), "one of them is wrong"),
        ],
    )
    def test_what_is_missing_is_named(self, registered: Registered, described: Described, words: str) -> None:
        known = Knowledge(packs={ONE: described}, curves={"NMC": NMC})
        assert words in facts_of(ONE, registered, known, cells_told=0)[1]


class TestLayoutAndCurve:
    def test_cells_and_sensors_belong_to_modules(self) -> None:
        layout = PackLayout((4, 8), (1, 3))
        assert [layout.module_of_cell(cell) for cell in (0, 3, 4, 11)] == [0, 0, 1, 1]
        assert [layout.module_of_sensor(sensor) for sensor in (0, 1, 3, 4)] == [0, 1, 1, None]

    @pytest.mark.parametrize(("cells", "sensors"), [((), ()), ((0,), ()), ((4, 4), (1,)), ((2000,), ())])
    def test_layouts_that_cannot_be_are_refused(self, cells: tuple[int, ...], sensors: tuple[int, ...]) -> None:
        with pytest.raises(InvalidCurve):
            PackLayout(cells, sensors)

    @pytest.mark.parametrize(
        ("soc", "volts"),
        [
            ((0, 1), (3, 4)),
            ((0, 0.5, 1), (3, 3, 4)),
            ((0, 0.5, 0.9), (3, 3.5, 4)),
            ((0, 0.5, 1), (3, float("nan"), 4)),
            ((0, 0.5, 1), (30, 35, 40)),
        ],
    )
    def test_curves_that_cannot_be_are_refused(self, soc: tuple[float, ...], volts: tuple[float, ...]) -> None:
        with pytest.raises(InvalidCurve):
            RestCurve.of(soc, volts)

    def test_a_flat_curve_has_a_wide_band(self) -> None:
        _, low, high = LFP.charge_at(np.array([3.31, 2.9]))
        assert high[0] - low[0] > 0.08
        assert high[1] - low[1] < 0.01


class TestTrend:
    def test_finds_a_fade_with_a_band(self) -> None:
        at_s = np.linspace(0, YEAR_S, 24)
        rng = np.random.default_rng(5)
        value = 0.95 - 0.03 * at_s / YEAR_S + rng.normal(0, 0.004, 24)
        said = trend(at_s, value, np.full(24, 0.02))
        assert said.per_year is not None
        assert said.low is not None
        assert said.high is not None
        assert said.low < -0.03 < said.high
        assert said.high - said.low < 0.03

    def test_says_what_is_missing(self) -> None:
        assert "3 estimates over 10 days" in trend(np.linspace(0, 864_000, 3), np.ones(3), np.ones(3)).reason
        assert "0 estimates" in trend(np.empty(0), np.empty(0), np.empty(0)).reason


class TestReferenceTest:
    def course(self) -> Pack:
        """Rest, pulses between 10 and 40 A, a steady charge at 25 A to nearly full, rest."""
        pack = Pack(soh=0.88, ah=20, every_s=5.0).go(-30, 0.1).go(0, 0.6)
        for _ in range(3):
            pack.go(40, 0.01).go(10, 0.01)
        return pack.go(40, 0.01).go(25, 2.5).go(0, 0.6)

    def test_the_same_count_and_the_resistance_of_its_pulses_have_a_method_of_their_own(self) -> None:
        samples, charges = seen(self.course())
        found = {one.quantity: one for one in judged(samples, charges[-1], facts(), tested=True)}
        assert {one.method for one in found.values()} == {"reference test"}
        assert found[SOH].value == pytest.approx(0.88, abs=0.01)
        assert found[RESISTANCE].value == pytest.approx(12.0, rel=0.05)  # twelve cells of 1 mΩ
        assert found[RESISTANCE].detail["steps"] >= 7
        usual = judged(samples, charges[-1], facts())
        assert {one.method for one in usual} == {"counted charge", "current steps"}
        assert usual[0].value == found[SOH].value

    def test_pulses_that_were_not_told_are_a_reason_and_no_number(self) -> None:
        samples, charges = seen(Pack(soh=0.88, ah=20, every_s=10).charge(hours=1.2))
        resistance = judged(samples, charges[-1], facts(), tested=True)[1]
        assert resistance.value is None
        assert "only 2 steps" in resistance.reason
