"""The yardstick on traces, and the report in its three forms."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from controller.app.report import CHARGEYARD, PolicyResult, SimulationReport, as_json, chargeyard_result, table, write_json
from controller.app.report_html import page, write_html
from controller.app.trace_slots import TraceError, TraceVisit, bill, block_means, trace_to_slots

KEYS = {"energy_kwh", "unmet_kwh", "cost", "peak_kw", "vehicles_late", "limit_violations"}


def trace(*rows: dict[str, Any], limit_w: int = 100_000, end: float = 3600) -> list[str]:
    head = [
        {"t": 0, "kind": "depot", "feeders": {"F1": ["A/1", "B/1"]}, "slot_prices": [[0, 7.0], [1800, 9.0]], "currency": "INR"},
        {"t": 0, "kind": "limit", "scope": "site", "w": limit_w},
    ]
    return [json.dumps(row) for row in (*head, *rows, {"t": end, "kind": "end"})]


def power(t: float, connector: str, w: int) -> dict[str, Any]:
    return {"t": t, "kind": "power", "connector": connector, "w": w}


def visit(vehicle: str, *, need_wh: int, got_wh: int, connector: str = "A/1", t: float = 3600) -> dict[str, Any]:
    return {
        "t": t,
        "kind": "visit",
        "vehicle": vehicle,
        "connector": connector,
        "arrive": 0,
        "depart": t,
        "need_wh": need_wh,
        "got_wh": got_wh,
    }


def test_slot_means_hold_the_energy() -> None:
    slots = trace_to_slots(trace(power(450, "A/1", 20_000), power(1350, "A/1", 0), power(1800, "B/1", 8_000)))
    assert slots.ev_kw == (10, 10, 8, 8)
    assert slots.connector_kw == {"A/1": (10, 10, 0, 0), "B/1": (0, 0, 8, 8)}
    assert slots.energy_kwh == pytest.approx(9)
    assert slots.price == (7, 7, 9, 9)
    assert slots.limit_kw == (100, 100, 100, 100)
    assert slots.instant_peak_kw == 20


def test_a_price_that_changes_inside_a_slot_is_its_mean() -> None:
    assert trace_to_slots(trace(), 3600).price == (8.0,)


@given(
    st.lists(
        st.tuples(st.floats(0, 3599), st.sampled_from(["A/1", "B/1", "C/1", "base"]), st.integers(-20_000, 60_000)),
        max_size=40,
    ),
    st.sampled_from([60, 900, 1800]),
)
def test_means_agree_with_a_second_by_second_sum(changes: list[tuple[float, str, int]], slot_s: int) -> None:
    rows: list[dict[str, Any]] = [
        {"t": t, "kind": "base", "w": w} if what == "base" else power(t, what, abs(w)) for t, what, w in sorted(changes, key=lambda c: c[0])
    ]
    slots = trace_to_slots(trace(*rows, limit_w=10_000_000), slot_s)
    cuts = sorted({0.0, 3600.0, *(k * float(slot_s) for k in range(3600 // slot_s)), *(row["t"] for row in rows)})
    expected = [0.0] * (3600 // slot_s)
    for begin, stop in pairwise(cuts):
        held: dict[str, int] = {}
        for row in rows:
            if row["t"] <= begin and row["kind"] == "power":
                held[row["connector"]] = row["w"]
        expected[int(begin // slot_s)] += sum(held.values()) * (stop - begin) / slot_s / 1000
    assert slots.ev_kw == pytest.approx(expected)
    assert slots.violations == 0


def test_exceeding_a_limit_counts_once_while_it_lasts() -> None:
    rows = (power(10, "A/1", 60_000), power(20, "B/1", 41_000), power(30, "A/1", 61_000), power(40, "A/1", 0), power(50, "A/1", 60_000))
    slots = trace_to_slots(trace(*rows, power(51, "A/1", 0)))
    assert slots.violations == 2
    assert slots.worst_at == ("site", 30.0)
    assert slots.violating_kws == pytest.approx(0.95 * 10 + 1.95 * 10 + 0.95)
    assert slots.ramping_kws == 0


@pytest.mark.parametrize(
    "opening",
    [
        {"t": 100, "kind": "limit", "scope": "site", "w": 50_000},
        {"t": 100, "kind": "base", "w": 50_000},
        {"t": 100, "kind": "fault", "connector": "A/1"},
    ],
)
def test_five_seconds_to_comply_are_ramping(opening: dict[str, Any]) -> None:
    rows = (power(10, "A/1", 90_000), opening, power(100, "B/1", 20_000))
    complied = trace_to_slots(trace(*rows, power(104.9, "A/1", 0)))
    assert complied.violations == 0
    assert complied.ramping_kws > 0
    assert trace_to_slots(trace(*rows, power(106, "A/1", 0))).violations == 1


def test_a_feeder_limit_is_judged_by_its_own_stations() -> None:
    limit = {"t": 0, "kind": "limit", "scope": "F1", "w": 30_000}
    assert trace_to_slots(trace(limit, power(1, "C/1", 40_000), power(1, "A/1", 30_000))).violations == 0
    assert trace_to_slots(trace(limit, power(1, "B/1", 5_000), power(1, "A/1", 30_000))).worst_at == ("F1", 1.0)


def test_late_is_more_than_two_percent_and_a_tenth_of_a_kwh() -> None:
    slots = trace_to_slots(trace(visit("a", need_wh=50_000, got_wh=48_901), visit("b", need_wh=50_000, got_wh=48_899)))
    assert [v.late for v in slots.visits] == [False, True]
    assert slots.unmet_kwh == pytest.approx(2.2)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["{"], "line 1"),
        (['{"t": 5, "kind": "base", "w": 1}', '{"t": 4, "kind": "base", "w": 1}'], "line 2: .*time goes from 5.0 to 4.0"),
        (['{"t": 0, "kind": "power", "connector": "A/1", "w": NaN}'], "not finite"),
        (['{"t": 0, "kind": "wonder"}'], "unknown kind 'wonder'"),
        (['{"t": 0, "kind": "power", "w": 1}'], "line 1: KeyError"),
        (["[]"], "line 1"),
        (['{"t": 9, "kind": "end"}'], "no end or no site limit"),
        (trace()[:-1], "the run did not finish"),
    ],
)
def test_a_trace_that_cannot_be_is_refused(lines: list[str], says: str) -> None:
    with pytest.raises(TraceError, match=says):
        trace_to_slots(lines)


def test_the_bill_counts_what_charging_adds() -> None:
    ev, base, price = [10.0, 0.0, 20.0, 0.0], [5.0, 5.0, -8.0, 5.0], [1.0, 1.0, 2.0, 1.0]
    bills = bill(ev, base, price, slot_s=900, demand_charge_per_kw=3.0, demand_interval_min=15, mtd_peak_kw=6)
    assert bills.energy_cost == pytest.approx(0.25 * (10 + 2 * 12))
    assert bills.peak_kw == 15
    assert bills.cost == pytest.approx(8.5 + 3 * (15 - 6))
    half_hours = bill(ev, base, price, slot_s=900, demand_charge_per_kw=3.0, demand_interval_min=30)
    assert half_hours.peak_kw == 10
    assert half_hours.demand_cost == 3 * (10 - 5)


def test_blocks_must_hold_whole_slots() -> None:
    with pytest.raises(ValueError, match="does not hold whole slots"):
        block_means([1.0], slot_s=600, interval_s=900)
    assert block_means([1.0, 3.0, 5.0], slot_s=900, interval_s=1800) == [2.0, 5.0]


def report(**changes: Any) -> SimulationReport:
    slots = trace_to_slots(
        trace(
            {"t": 0, "kind": "base", "w": 4_000},
            power(0, "A/1", 20_000),
            power(900, "A/1", 0),
            visit("bus <b>1</b>", need_wh=9_000, got_wh=4_500),
            visit("bus 2", need_wh=0, got_wh=0, connector="B/1"),
        )
    )
    own = chargeyard_result(slots, demand_charge_per_kw=2.0, demand_interval_min=15)
    made = {
        "name": "night </script>",
        "start": datetime(2026, 1, 12, 6, 30, tzinfo=UTC),
        "timezone": "Asia/Kolkata",
        "slot_s": 900,
        "limit_kw": slots.limit_kw,
        "background_kw": slots.base_kw,
        "price": slots.price,
        "currency": "INR",
        "tariff": "kerala-kseb-ev",
        "feasible_kwh": 9.0,
        "seed": 7,
        "personas": {"polite": 20, "ignores_limits": 1},
        "policies": {
            CHARGEYARD: own,
            "uncontrolled": PolicyResult(
                energy_kwh=10, unmet_kwh=0, cost=123.456, peak_kw=130, vehicles_late=0, limit_violations=3, site_kw=(130, 4, 4, 4)
            ),
        },
        "visits": slots.visits,
        "connector_kw": slots.connector_kw,
        "remarks": ("the tariff leaves out & omits <things>",),
    }
    return SimulationReport(**{**made, **changes})


def test_json_has_the_shape_that_programs_read(tmp_path: Path) -> None:
    write_json(report(), tmp_path / "new" / "report.json")
    read = json.loads((tmp_path / "new" / "report.json").read_text())
    assert read == as_json(report())
    assert all(set(policy) == KEYS for policy in read["policies"].values())
    assert read["policies"]["chargeyard"] == {
        "energy_kwh": 5.0, "unmet_kwh": 4.5, "cost": 75.0, "peak_kw": 24.0, "vehicles_late": 1, "limit_violations": 0,
    }  # fmt: skip
    assert read["detail"]["chargeyard"]["energy_cost"] == 35.0
    assert (read["limit_kw"], read["tariff"], read["feasible_kwh"], read["seed"]) == (100.0, "kerala-kseb-ev", 9.0, 7)
    assert read["personas"] == {"polite": 20, "ignores_limits": 1}


def test_a_limit_that_changes_is_a_list() -> None:
    assert as_json(report(limit_kw=(100.0, 50.0, 50.0, 50.0)))["limit_kw"] == [100.0, 50.0, 50.0, 50.0]


def test_the_table_names_units_and_policies() -> None:
    console = Console(record=True, width=160, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table(report()))
    text = captured.get()
    for word in ("energy kWh", "cost INR", "peak kW", "Chargeyard", "Uncontrolled", "123.46", "100.0 kW", "feasible 9.0 kWh"):
        assert word in text


class Scripts(HTMLParser):
    """Collects scripts, and addresses that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.fetched: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")
        self.fetched += [value or "" for key, value in attrs if key in ("src", "href", "data", "action")]

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def test_the_page_needs_no_network_and_escapes_names(tmp_path: Path) -> None:
    write_html(report(), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    seen = Scripts()
    seen.feed(text)
    assert seen.fetched == []
    assert len(seen.scripts) == 3
    assert "plotly" in seen.scripts[0][:400]
    charts = json.loads(seen.scripts[1])
    assert set(charts) == {"site", "stays", "energy"}
    assert "bus <b>1</b>" in charts["energy"]["data"][0]["x"]
    assert "night &lt;/script&gt;" in text
    assert "<b>1" not in text
    assert "&amp; omits &lt;things&gt;" in text


def test_the_page_says_what_happened_and_how_it_was_obtained() -> None:
    text = page(report())
    assert "With Chargeyard 1 of 2 vehicles left short, and the limits held." in text
    assert "20 polite, 1 ignores limits" in text
    assert "A low cost with unmet energy is no saving." in text
    assert re.search(r'<td class="warn">◆ 4\.5</td>', text)
    assert "12 Jan 2026, 12:00 (Asia/Kolkata), 1 h" in text


def test_charts_show_when_each_vehicle_charged() -> None:
    seen = Scripts()
    seen.feed(page(report()))
    stays = json.loads(seen.scripts[1])["stays"]["data"][0]
    assert stays["y"] == ["◆ bus <b>1</b>, short", "bus 2"]
    assert stays["z"] == [[20, 0, 0, 0], [0, 0, 0, 0]]
    assert stays["x"][0] == "2026-01-12T12:00:00"


def test_a_report_without_visits_keeps_the_site_chart() -> None:
    seen = Scripts()
    seen.feed(page(report(visits=(), policies={})))
    assert set(json.loads(seen.scripts[1])) == {"site"}


def test_visits_know_what_is_missing() -> None:
    assert TraceVisit("v", "A/1", 0, 1, need_wh=100, got_wh=150).missing_wh == 0
