"""Day loaders: real sessions, real fleets and planning scenarios become the day that they describe."""

from __future__ import annotations

import gzip
import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from depot.registry import Current
from simulator import acn, nrel, scenario_day
from simulator.build import BadData, NoSuchDay, base_load, with_limit, with_tariff
from simulator.day import Day, Stay

CALTECH = Path("sessions") / "acn" / "caltech_2019-09-01_2019-12-31.csv.gz"
HEADER = "arrival,departure,requested_energy (kWh),delivered_energy (kWh),station_id,session_id,estimated_departure,claimed\n"


def scenario(data_dir: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data_dir / "scenarios" / f"{name}.json").read_text())
    return found


def by_vehicle(day: Day) -> dict[str, Stay]:
    return {stay.vehicle_id: stay for stay in day.stays}


def assert_well_formed(day: Day) -> None:
    assert day.start.tzinfo is UTC
    last: dict[object, float] = {}
    for stay in day.stays:
        spec = day.spec.connector(stay.connector)
        assert 0 <= stay.arrive_s < stay.depart_s <= day.duration_s
        assert stay.stated_depart_s > stay.arrive_s
        assert 0 < stay.need_wh <= stay.battery_wh * (1 - stay.soc_arrival) + 1
        assert stay.requested_wh > 0
        assert spec.min_w <= stay.min_w < stay.max_w <= spec.rated_w
        assert stay.arrive_s >= last.get(stay.connector, 0.0), "two vehicles at one connector"
        last[stay.connector] = stay.depart_s
    for steps in (day.base_w, day.price):
        assert steps[0][0] == 0
        assert all(a[0] < b[0] and a[1] != b[1] for a, b in pairwise(steps))


@pytest.mark.data
def test_fleet1_is_the_night_of_the_scenario(data_dir: Path) -> None:
    expected = scenario(data_dir, "nrel-fleet1")
    day = nrel.load(data_dir / "fleets" / "nrel" / "fleet1-beverage-delivery")
    assert_well_formed(day)
    stays = by_vehicle(day)
    assert set(stays) == {v["id"] for v in expected["vehicles"]}
    for vehicle in expected["vehicles"]:
        stay = stays[vehicle["id"]]
        assert (round(stay.arrive_s / 60), round(stay.depart_s / 60)) == (vehicle["arrival_min"], vehicle["departure_min"])
        assert (math.ceil(stay.arrive_s / 900), stay.depart_s // 900) == (vehicle["arrival_slot"], vehicle["departure_slot"])
        assert stay.need_wh == pytest.approx(vehicle["energy_kwh"] * 1000, abs=6)
        assert (stay.max_w, stay.min_w, stay.battery_wh, stay.efficiency) == (150_000, 10_000, 600_000, 0.94)
        assert day.spec.feeder_of[stay.connector] == f"F{vehicle['feeder']}"
    assert [feeder.rating_w for feeder in day.spec.feeders] == [2_137_500] * 4
    base = dict(day.base_w)
    assert [base[k * 900.0] / 1000 for k in range(96) if k * 900.0 in base] == pytest.approx(
        [kw for k, kw in enumerate(expected["site"]["base_load_kw"]) if k * 900.0 in base], abs=0.01
    )


@pytest.mark.data
@pytest.mark.parametrize(
    ("fleet", "vehicles", "mwh"),
    [("fleet1-beverage-delivery", 76, 10.4), ("fleet2-warehouse-delivery", 100, 14.8), ("fleet3-food-delivery", 216, 48.4)],
)
def test_fleets_have_the_reference_size(data_dir: Path, fleet: str, vehicles: int, mwh: float) -> None:
    day = nrel.load(data_dir / "fleets" / "nrel" / fleet)
    assert_well_formed(day)
    assert len(day.stays) == vehicles
    assert sum(stay.need_wh for stay in day.stays) / 1e6 == pytest.approx(mwh, abs=0.05)
    assert all(stay.depart_s - stay.arrive_s >= 8 * 3600 for stay in day.stays)


def test_base_load_peaks_at_two_in_the_afternoon() -> None:
    steps = base_load(1000, first_hour=0, slots=96)
    assert max(steps, key=lambda step: step[1]) == (14 * 3600.0, 1000)
    assert min(w for _, w in steps) == 600


def test_a_fleet_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"a fleet is a folder with veh_op_days.csv and veh_schedules.csv"):
        nrel.load(tmp_path)


@pytest.mark.parametrize(
    ("days", "shifts", "says"),
    [
        ("id,vmt\n1,2\n", "veh_op_day_id,start_time,end_time,on_shift\n", "has no column veh_op_day_id"),
        ("veh_op_day_id,vmt\n1,x\n", "veh_op_day_id,start_time,end_time,on_shift\n1,06:00:00,14:00:00,1\n", "line 2: could not convert"),
        ("veh_op_day_id,vmt\n1,50\n", "veh_op_day_id,start_time,end_time,on_shift\n1,six,14:00:00,1\n", "'six' is not a time of day"),
        (
            "veh_op_day_id,vmt\n2,50\n",
            "veh_op_day_id,start_time,end_time,on_shift\n1,06:00:00,14:00:00,1\n",
            "operating day 2 has no shift",
        ),
        (
            "veh_op_day_id,vmt\n1,1\n",
            "veh_op_day_id,start_time,end_time,on_shift\n1,06:00:00,14:00:00,1\n",
            "makes a night .1 under 3 miles",
        ),
        ("veh_op_day_id,vmt\n1,nan\n", "veh_op_day_id,start_time,end_time,on_shift\n1,06:00:00,14:00:00,1\n", "nan miles"),
    ],
)
def test_a_bad_fleet_line_is_named(tmp_path: Path, days: str, shifts: str, says: str) -> None:
    (tmp_path / "veh_op_days.csv").write_text(days)
    (tmp_path / "veh_schedules.csv").write_text(shifts)
    with pytest.raises(BadData, match=says):
        nrel.load(tmp_path)


@pytest.mark.data
def test_the_caltech_day_agrees_with_its_scenario(data_dir: Path) -> None:
    expected = scenario(data_dir, "acn-caltech-20191016")
    day = acn.load(data_dir / CALTECH, date(2019, 10, 16), energy="delivered", limit_w=31_000)
    assert_well_formed(day)
    stays = by_vehicle(day)
    assert set(stays) == {v["id"] for v in expected["vehicles"]}
    for vehicle in expected["vehicles"]:
        stay = stays[vehicle["id"]]
        assert (round(stay.arrive_s / 60), min(1440, round(stay.depart_s / 60))) == (vehicle["arrival_min"], vehicle["departure_min"])
        assert stay.need_wh == pytest.approx(vehicle["energy_kwh"] * 1000, abs=6)
        assert (stay.max_w, stay.phases, stay.soc_arrival) == (6656, 1, 0.3)
    assert [round(f.rating_w / 1000, 1) for f in day.spec.feeders] == [f["limit_kw"] for f in expected["site"]["feeders"]]
    assert day.spec.contract_w == 31_000
    assert day.start == datetime(2019, 10, 16, 7, tzinfo=UTC)


@pytest.mark.data
def test_acn_stays_over_midnight_are_kept_whole(data_dir: Path) -> None:
    day = acn.load(data_dir / CALTECH, date(2019, 10, 16))
    assert day.duration_s == 34 * 3600
    assert max(stay.depart_s for stay in day.stays) > 86_400


@pytest.mark.data
def test_the_announcement_does_not_know_the_departure(data_dir: Path) -> None:
    stated = by_vehicle(acn.load(data_dir / CALTECH, date(2019, 10, 16)))
    known = by_vehicle(acn.load(data_dir / CALTECH, date(2019, 10, 16), departures="known"))
    assert all(stay.stated_depart_s == stay.depart_s for stay in known.values())
    assert all(stated[v].need_wh == known[v].need_wh for v in known)
    assert not any(stay.stated_depart_s == stay.depart_s for stay in stated.values())
    unclaimed = stated["CA-489-0"]
    assert (unclaimed.stated_depart_s - unclaimed.arrive_s, unclaimed.requested_wh) == (6 * 3600, 8000)


@pytest.mark.data
def test_a_date_without_sessions_names_others(data_dir: Path) -> None:
    with pytest.raises(NoSuchDay, match=r"covers 2019-09-01 to 2019-12-31, near by .sessions.: 2019-09-01 \(9\)"):
        acn.load(data_dir / CALTECH, date(2019, 8, 16))
    assert acn.list_days(data_dir / CALTECH)[date(2019, 10, 16)] == 38


def acn_file(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "site_x.csv.gz"
    with gzip.open(path, "wt") as out:
        out.write(header + "".join(f"{line}\n" for line in lines))
    return path


def session(arrive: str, depart: str, *, wanted: float = 5, station: str = "A", stated: str = "", claimed: bool = True) -> str:
    day = "2019-10-16 {}-07:00"
    return f"{day.format(arrive)},{day.format(depart)},{wanted},{wanted},{station},s,{day.format(stated or depart)},{claimed}"


def test_sessions_that_overlap_on_a_station_follow_each_other(tmp_path: Path) -> None:
    path = acn_file(
        tmp_path,
        session("08:00:00", "10:00:00"),
        session("09:00:00", "12:00:00"),
        session("11:50:00", "12:05:00"),
        session("13:00:00", "13:20:00"),
    )
    day = acn.load(path, date(2019, 10, 16))
    assert_well_formed(day)
    assert [(stay.arrive_s / 60, stay.depart_s / 60) for stay in day.stays] == [(480, 600), (601, 720), (780, 800)]
    assert [note.split(":")[0] for note in day.notes[1:]] == ["A-1", "A-2", "A-2"]


def test_a_request_is_cut_to_what_the_stay_can_take(tmp_path: Path) -> None:
    path = acn_file(tmp_path, session("08:00:00", "09:00:00", wanted=90, stated="10:00:00"))
    (stay,) = acn.load(path, date(2019, 10, 16)).stays
    assert stay.need_wh == math.floor(0.98 * 0.9 * 6656)
    assert stay.requested_wh == math.floor(2 * 0.98 * 0.9 * 6656)


@pytest.mark.parametrize(
    ("line", "header", "says"),
    [
        (session("08:00:00", "09:00:00"), HEADER.replace("station_id", "spot"), "no column station_id; its columns are arrival"),
        (session("08:00:00", "09:00:00").replace("-07:00", ""), HEADER, "line 2: .* has no offset"),
        (session("08:00:00", "09:00:00", wanted=float("nan")), HEADER, "line 2: nan kWh"),
        (session("08:00:00", "09:00:00", wanted=-1), HEADER, "line 2: -1 kWh"),
        ("yesterday,", HEADER, "line 2"),
        (session("09:00:00", "08:00:00"), HEADER, "none of the 1 sessions"),
    ],
)
def test_a_bad_session_line_is_named(tmp_path: Path, line: str, header: str, says: str) -> None:
    with pytest.raises(BadData, match=says):
        acn.load(acn_file(tmp_path, line, header=header), date(2019, 10, 16))


def test_session_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="cannot be read"):
        acn.load(tmp_path / "none.csv.gz", date(2019, 10, 16))
    (tmp_path / "torn.csv.gz").write_bytes(gzip.compress(HEADER.encode())[:-9])
    with pytest.raises(BadData, match="cannot be read"):
        acn.list_days(tmp_path / "torn.csv.gz")


SMALL: dict[str, Any] = {
    "schema": "depot-scenario/1",
    "id": "small",
    "t0": "2026-01-12T12:00:00",
    "n_slots": 4,
    "slot_minutes": 15,
    "source": "test",
    "tariff": {"currency": "USD", "energy_per_kwh": [0.1, 0.1, 0.2, 0.2], "demand_charge_per_kw_horizon": 0.5, "demand_interval_min": 15},
    "site": {
        "limit_kw": [50, 50, 40, 40],
        "mtd_peak_kw": 7,
        "base_load_kw": [1, 1, 1, 1],
        "pv_kw": [0, 0, 3, 3],
        "feeders": [{"id": "F0", "limit_kw": 30}],
    },
    "vehicles": [
        {
            "id": "v",
            "type": "van",
            "phases": 3,
            "feeder": 0,
            "p_max_kw": 22,
            "p_min_kw": 4.14,
            "arrival_min": 0,
            "departure_min": 60,
            "arrival_slot": 0,
            "departure_slot": 4,
            "energy_kwh": 5,
            "battery_kwh": 60,
            "eff": 0.9,
            "soc_arrival": 0.5,
        },
    ],
}


def test_a_scenario_becomes_steps(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL))
    day = scenario_day.load(path, timezone="Asia/Kolkata")
    assert_well_formed(day)
    assert day.start == datetime(2026, 1, 12, 6, 30, tzinfo=UTC)
    assert (day.spec.contract_w, day.limits) == (50_000, ((1800.0, 40_000),))
    assert day.base_w == ((0.0, 1000), (1800.0, -2000))
    assert day.price == ((0.0, 0.1), (1800.0, 0.2))
    assert day.spec.worst_background_w == 1000
    assert (day.mtd_peak_w, day.demand_charge_per_kw) == (7000, 0.5)
    (connector,) = day.spec.connectors.values()
    assert (connector.current, connector.phases, connector.min_w) == (Current.AC, (1, 2, 3), 4140)
    assert scenario_day.load(path, limit_w=33_000).limits == ()


@pytest.mark.data
@pytest.mark.parametrize("name", ["acn-caltech-20191016", "ebus-50", "mix-50", "mix-1000", "nrel-fleet1", "van-50"])
def test_scenario_windows_keep_their_slots(data_dir: Path, name: str) -> None:
    day = scenario_day.load(data_dir / "scenarios" / f"{name}.json")
    assert_well_formed(day)
    stays = by_vehicle(day)
    for vehicle in scenario(data_dir, name)["vehicles"]:
        stay = stays[vehicle["id"]]
        assert (math.ceil(stay.arrive_s / 900), stay.depart_s // 900) == (vehicle["arrival_slot"], vehicle["departure_slot"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "depot-scenario/2"}, "not a 'depot-scenario/1'"),
        ({"tariff": {}}, "'currency' is missing|'energy_per_kwh' is missing"),
        ({"site": {**SMALL["site"], "base_load_kw": [1]}}, "base_load_kw needs 4"),
        ({"vehicles": []}, "no vehicles"),
        ({"vehicles": [{**SMALL["vehicles"][0], "feeder": 3}]}, "feeder 'F3' is not declared"),
        ({"vehicles": [{**SMALL["vehicles"][0], "departure_min": 0}]}, "leaves before it arrives"),
        ({"t0": "noon"}, "Invalid isoformat"),
    ],
)
def test_a_scenario_that_cannot_be_right_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "small.json"
    path.write_text(json.dumps({**SMALL, **change}))
    with pytest.raises(BadData, match=says):
        scenario_day.load(path)


def test_files_that_are_no_scenario(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(BadData, match="is not JSON"):
        scenario_day.load(tmp_path / "x.json")
    with pytest.raises(BadData, match="cannot be read"):
        scenario_day.load(tmp_path / "y.json")


class TwoPrices:
    """7 until half past, then 9."""

    currency = "INR"
    demand_charge_per_kw_month = Decimal(210)
    demand_interval_min = 30

    def steps(self, start: datetime, stop: datetime) -> list[tuple[datetime, Decimal]]:
        return [(start, Decimal(7)), (start + timedelta(minutes=30), Decimal(9))]


def test_limit_and_tariff_can_be_put_on_a_day(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL))
    day = with_tariff(with_limit(scenario_day.load(path), 25_000), TwoPrices())
    assert (day.spec.contract_w, day.spec.failsafe_w, day.limits) == (25_000, 25_000, ())
    assert day.price == ((0.0, 7.0), (1800.0, 9.0))
    assert (day.currency, day.demand_charge_per_kw, day.demand_interval_min) == ("INR", 10.0, 30)
