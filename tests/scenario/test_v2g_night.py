"""A short evening of the V2G night (benchmarks/v2g_night.py) through the whole controller: limits, reserve and needs hold, and
power flows back, with an honest bus, one that falls silent, one that stops by itself and one that gives too much."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.v2g_night import RESERVE_SOC, judged, v2g_day
from simulator.personas import Persona

PERSONAS = {"B02": Persona.SILENT_GIVER, "B03": Persona.STOPS_GIVING, "B04": Persona.GIVES_TOO_MUCH}


def test_buses_give_in_the_evening_and_every_promise_is_kept() -> None:
    day = v2g_day(1, hours=7.0, buses=4, others=1)
    day = replace(day, duration_s=0.8 * 3600)  # of the dear hours: their needs are served later than this test plays
    verdict = judged(day, 1, personas=PERSONAS)
    assert verdict.violations == 0
    assert verdict.exported_s == 0
    assert not verdict.below_reserve
    assert verdict.given_kwh > 1
    honest = next(o for o in verdict.outcomes if o.stay.vehicle_id == "B01")
    assert honest.least_soc >= RESERVE_SOC
