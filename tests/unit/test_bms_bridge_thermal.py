"""One pack's state: derated by a share, tripped for good, cleared with hysteresis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bms_bridge import thermal
from bms_bridge.chemistry import ALARMS, LEAST_SHARE, TABLE, Chemistry, Effect
from bms_bridge.contract import Source
from bms_bridge.rules import heat, spread
from bms_bridge.thermal import COOL_BEFORE_RESET_S, HOLD_S, PackState
from bms_bridge.validation import Checked
from bms_bridge.verdicts import Cause, Clear, Derate, PackVerdict, Trip, Why
from depot.values import PackKey

PACK = PackKey("BUS7", "P1")
LFP = TABLE[Chemistry.LFP]


def checked(*temperatures: float, source: Source = Source.MQTT, **more: Any) -> Checked:
    fields: dict[str, Any] = {"distinct": len(temperatures), "age_s": 0.0, "late": False} | more
    return Checked(pack=PACK, source=source, temperatures_c=tuple(enumerate(temperatures)), **fields)


def even(celsius: float, **more: Any) -> Checked:
    return checked(celsius, celsius - 0.5, celsius - 1, celsius - 1.5, **more)


def play(steps: Iterable[tuple[float, Checked | None]], state: PackState | None = None) -> tuple[PackState, list[PackVerdict]]:
    """Let (time, sample or None for a tick) happen; the verdicts in order."""
    state, verdicts = state or PackState(PACK), []
    for now_s, sample in steps:
        state, verdict = thermal.tick(state, now_s, LFP) if sample is None else thermal.hear(state, sample, now_s, LFP)
        if verdict is not None:
            verdicts.append(verdict)
    return state, verdicts


def tripped() -> PackState:
    return play([(0, even(61))])[0]


def test_a_cool_pack_needs_no_verdict() -> None:
    assert play((t, even(30)) for t in range(100))[1] == []


def test_a_warm_pack_is_derated_by_a_share_of_its_level() -> None:
    _, verdicts = play([(0, even(52))])
    assert isinstance(verdicts[0], Derate)
    assert verdicts[0].share == 0.6
    assert verdicts[0].why == (Why.HOT,)
    assert "52 °C" in verdicts[0].text


def test_the_least_share_holds_up_to_the_trip() -> None:
    _, verdicts = play([(0, even(59.9))])
    assert [verdict.share for verdict in verdicts if isinstance(verdict, Derate)] == [LEAST_SHARE]


def test_at_its_limit_a_pack_trips_at_once_with_evidence() -> None:
    _, verdicts = play([(0, checked(30, 31, 60, 32))])
    assert isinstance(verdicts[0], Trip)
    assert verdicts[0].cause is Cause.OVER_TEMPERATURE
    assert verdicts[0].evidence == {"limit_c": "60", "hottest_c": "60", "sensor": "2", "sensors": "4", "source": "mqtt", "age_s": "0"}


@pytest.mark.parts_fail
def test_a_rule_that_falls_derates_and_hides_no_other() -> None:
    def poisoned(_memory: object, _look: object) -> tuple[object, None]:
        raise ZeroDivisionError

    rules = (replace(spread.RULE, judge=poisoned), heat.RULE)
    state, verdict = thermal.hear(PackState(PACK), even(30), 0.0, LFP, rules=rules)
    assert isinstance(verdict, Derate)
    assert verdict.text == "the rule temperature_spread failed: ZeroDivisionError"
    _, verdict = thermal.hear(state, even(61), 1.0, LFP, rules=rules)
    assert isinstance(verdict, Trip)


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_alarms_do_what_the_table_says(alarm: str) -> None:
    _, verdicts = play([(0, even(30, alarms=(alarm,)))])
    if ALARMS[alarm] is Effect.TRIP:
        assert isinstance(verdicts[0], Trip)
        assert verdicts[0].cause is Cause.BMS_ALARM
        assert verdicts[0].evidence["alarms"] == alarm
    else:
        assert isinstance(verdicts[0], Derate)
        assert verdicts[0].why == (Why.ALARM,)


def test_a_runaway_trips_below_the_limit() -> None:
    _, verdicts = play((t, even(46 + 1.2 * t)) for t in range(6))
    assert isinstance(verdicts[-1], Trip)
    assert verdicts[-1].cause is Cause.RUNAWAY


def test_one_wrong_value_is_no_runaway() -> None:
    _, verdicts = play((t, even(50 + (5 if t == 8 else 0))) for t in range(20))
    assert not any(isinstance(verdict, Trip) for verdict in verdicts)


def test_a_hot_sensor_that_comes_back_is_no_runaway() -> None:
    gone = replace(even(40), temperatures_c=((0, 40.0), (1, 40.0), (2, 40.0)))
    hot = replace(even(40), temperatures_c=((0, 40.0), (1, 40.0), (2, 40.0), (3, 52.0)))
    _, verdicts = play([*((t, hot) for t in range(5)), *((t, gone) for t in range(5, 15)), *((t, hot) for t in range(15, 20))])
    assert not any(isinstance(verdict, Trip) for verdict in verdicts)


def test_a_pack_that_warms_faster_than_charging_explains_is_derated() -> None:
    _, verdicts = play((t, even(25 + 0.12 * t)) for t in range(0, 60, 5))
    assert isinstance(verdicts[0], Derate)
    assert verdicts[0].why == (Why.RISING,)


def test_sensors_that_differ_or_are_too_few_derate() -> None:
    assert [v.why for v in play([(0, checked(20, 25, 25, 31))])[1] if isinstance(v, Derate)] == [(Why.SPREAD,)]
    assert [v.why for v in play([(0, checked(25, 25, 25))])[1] if isinstance(v, Derate)] == [(Why.SENSORS,)]


def test_cold_derates_down_to_nothing_and_never_trips() -> None:
    _, verdicts = play([(0, even(5)), (1, even(-1))])
    assert [verdict.share for verdict in verdicts if isinstance(verdict, Derate)] == [0.35, 0.0]


def test_a_reason_that_is_gone_holds_on_for_a_while() -> None:
    steps: list[tuple[float, Checked | None]] = [(0, checked(25, 25, 25))]
    steps += [(t, even(25)) for t in range(1, 100)]
    state, verdicts = play(steps[:50])
    assert len(verdicts) == 1
    _, verdicts = play(steps[50:], state)
    assert verdicts == [Clear(PACK)]
    assert HOLD_S == 60


def test_a_temperature_must_fall_by_the_hysteresis() -> None:
    state, verdicts = play([(0, even(50)), (1, even(49)), (2, even(48)), (3, even(47.1))])
    assert len(verdicts) == 1
    _, verdicts = play([(4, even(44))], state)
    assert verdicts == [Clear(PACK)]


def test_a_charger_s_word_is_taken_with_a_margin_and_needs_no_four_sensors() -> None:
    _, verdicts = play([(0, checked(46, source=Source.OCPP, uncertainty_c=3.0))])
    assert [verdict.why for verdict in verdicts if isinstance(verdict, Derate)] == [(Why.HOT,)]
    assert play([(0, checked(44, source=Source.OCPP, uncertainty_c=3.0))])[1] == []
    assert isinstance(play([(0, checked(60, source=Source.OCPP, uncertainty_c=3.0))])[1][0], Trip)
    assert not isinstance(play([(0, checked(58, source=Source.OCPP, uncertainty_c=3.0))])[1][0], Trip)


def test_a_late_sample_trips_and_does_nothing_else() -> None:
    assert isinstance(play([(0, even(61, late=True, age_s=300.0))])[1][0], Trip)
    state, verdicts = play([(0, even(52, late=True, age_s=300.0))])
    assert (verdicts, state) == ([], PackState(PACK))


def test_silence_derates_after_a_minute_and_never_trips() -> None:
    state = PackState(PACK, expected_since_s=0.0)
    _, verdicts = play([(0, even(30)), *((float(t), None) for t in range(1, 4000, 10))], state)
    assert len(verdicts) == 1
    assert isinstance(verdicts[0], Derate)
    assert (verdicts[0].why, verdicts[0].share) == ((Why.SILENT,), 0.5)


def test_a_pack_that_need_not_be_heard_may_be_silent() -> None:
    assert play([(0, even(30)), *((float(t), None) for t in range(1, 4000, 10))])[1] == []


def test_the_last_word_of_a_hot_pack_holds_when_it_falls_silent() -> None:
    state, _ = play([(0, even(54)), (1, checked(45, source=Source.OCPP, uncertainty_c=3.0))])
    share = state.share
    state, verdicts = play(((float(t), None) for t in range(2, 4000, 10)), state)
    assert state.share == share
    assert verdicts == []


def test_after_a_trip_nothing_is_said_any_more() -> None:
    state, verdicts = play([(1, even(30)), (500, even(25)), (501, None), (502, even(70))], tripped())
    assert verdicts == []
    assert state.tripped is not None


def test_a_source_that_was_silent_for_long_gives_way_to_one_that_speaks() -> None:
    cool = checked(30, source=Source.OCPP, uncertainty_c=3.0)
    state, verdicts = play([(0, even(54)), *((float(t), cool) for t in range(1, 2000, 60))])
    assert verdicts[-1] == Clear(PACK)
    assert Source.MQTT not in state.hot_c


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "61.0 °C"),
        ([(1, even(44))], "43 °C or less"),
        ([(1, even(30))], "wait another 60 s"),
        ([(t, even(30)) for t in (1, 30)], "wait another"),
        ([(t, even(30)) for t in range(1, 120)] + [(120, even(30, alarms=("smoke_or_gas",)))], "still raises smoke_or_gas"),
        ([(t, even(30)) for t in range(1, 120)] + [(400, None)], "nothing is known"),
    ],
)
def test_what_speaks_against_a_reset(steps: list[tuple[float, Checked | None]], words: str) -> None:
    state, _ = play(steps, tripped())
    at = steps[-1][0] if steps else 0
    assert words in (thermal.why_not_reset(state, at, LFP) or "")


def test_a_pack_that_was_silent_begins_to_be_cool_anew() -> None:
    state, _ = play([(1, even(30)), (200, even(30))], tripped())
    assert "wait another 60 s" in (thermal.why_not_reset(state, 200, LFP) or "")


def test_a_reset_says_what_holds_now() -> None:
    state, _ = play(((float(t), even(30)) for t in range(1, int(COOL_BEFORE_RESET_S) + 3)), tripped())
    assert thermal.why_not_reset(state, COOL_BEFORE_RESET_S + 2, LFP) is None
    state, verdict = thermal.reset(state, COOL_BEFORE_RESET_S + 2, LFP)
    assert (state.tripped, verdict) == (None, Clear(PACK))
    assert "not tripped" in (thermal.why_not_reset(state, 100, LFP) or "")
