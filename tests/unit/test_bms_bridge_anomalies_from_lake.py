"""Pack days out of samples of a lake, by the same SQL that DuckDB carries out there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from lake_kit import A, Bench

from bms_bridge.anomalies import TableRefused
from bms_bridge.anomalies.from_lake import Ask, Beside, Chosen, NoDays, chosen_packs, days_of, read_beside
from bms_bridge.anomalies.kept import load, refreshed
from bms_bridge.anomalies.pack_days import PackDays, day_number
from bms_bridge.anomalies.pieces import SAMPLES_A_DAY, samples_a_day
from bms_bridge.lake.engine import Lake
from bms_bridge.lake.query import query
from depot.fleet import Pack
from depot.values import PackKey

PACK = Pack(PackKey("E-1", "P1"), "NMC", 54_750, 100)
"""150 Ah."""


def day_of_samples(start: datetime) -> list[dict[str, Any]]:
    """Two hours at 30 A up to 90 %, then an hour of rest, a sample each half minute; a drive before with steps of current."""
    rows = []
    for step in range(400):
        at = start + timedelta(seconds=30 * step)
        charging = 40 <= step < 280
        amps = 30.0 if charging else (-60.0 if step % 2 and step < 40 else 0.0)
        soc = 0.5 + 0.4 * min(max(step - 40, 0), 240) / 240
        relaxed = 0.01 * min(1.0, max(0, step - 280) / 60) if step >= 280 else 0.0
        volts = 3.2 + soc + 0.001 * amps - relaxed
        rows.append(
            {
                "pack": "pabc",
                "date": at.date(),
                "received_at": at,
                "soc": soc,
                "current_a": amps,
                "cells_v": [volts, volts - 0.01],
                "temperatures_c": [25.0, 27.0],
                "firmware": "2.1",
                "quality": "good",
                "balancing_a": [0.0, 0.1] if step >= 280 else [],
            }
        )
    return rows


@pytest.fixture
def ask() -> Any:
    connection = duckdb.connect(":memory:")
    rows = [row for day in range(3) for row in day_of_samples(datetime(2026, 11, 1 + day, 14, tzinfo=UTC))]
    connection.register("samples", pa.Table.from_pylist(rows))
    first = datetime(2026, 11, 1, 14, tzinfo=UTC)
    connection.register(
        "packs", pa.table({"pack": ["pabc", "pdef"], "vehicle_id": ["E-1", "E-2"], "pack_id": ["P1", "P1"], "first_at": [first, first]})
    )

    def asked(sql: str) -> Sequence[tuple[Any, ...]]:
        return connection.sql(sql).fetchall()

    return asked


def asked_of(ask: Ask, registered: dict[tuple[str, str], Pack], beside: dict[str, Beside], *, since: str) -> PackDays:
    """All packs that are registered, from a day on."""
    chosen, _ = chosen_packs(ask, registered, beside)
    return days_of(ask, chosen, beside, since=day_number(since), until=day_number("2027-12-31"))


def test_each_day_has_one_like_point_with_what_was_measured_around_it(ask: Any) -> None:
    table = asked_of(ask, {("E-1", "P1"): PACK}, {"E-1/P1": Beside("A7", day_number("2026-01-01"))}, since="2026-11-02")
    assert table.names() == ["E-1/P1"]
    assert len(table) == 2
    assert table.numbers["soc"] == pytest.approx([0.9, 0.9], abs=0.005)
    assert table.numbers["slope_v"] == pytest.approx([1.0, 1.0], rel=0.01)
    assert table.numbers["capacity_ah"] == pytest.approx([150, 150])
    assert table.numbers["resistance_ohm"] == pytest.approx([0.001, 0.001], rel=0.01)
    assert table.numbers["relaxation_v"] == pytest.approx([0.01, 0.01], rel=0.1)
    assert table.numbers["temperature_c"].tolist() == [26.0, 26.0]
    assert table.numbers["age_d"].tolist() == [305.0, 306.0]
    assert (set(table.labels["batch"]), set(table.labels["firmware"]), set(table.labels["chemistry"])) == ({"A7"}, {"2.1"}, {"NMC"})
    assert table.spread_v == pytest.approx([0.01, 0.01])
    assert table.balanced_ah[:, 0] == pytest.approx([0, 0])
    # since the like point before: the rest of that hour, one sample's hold, and half an hour
    assert table.balanced_ah[:, 1] == pytest.approx([0.1 * (0.5 + 150 / 3600 + 0.5)] * 2, abs=0.002)


def night(
    start: datetime, *, rest_h: float, lost_per_day: float, wakes_h: float | None = None, slope_v: float = 1.0
) -> list[dict[str, Any]]:
    """A charge from 70 to 90 % within two hours, and a rest; the voltage relaxes by 10 mV within two hours and falls by what is lost."""
    rows = []
    for step in range(round((2 + rest_h) * 60)):
        at, rest = start + timedelta(minutes=step), step / 60 - 2.0
        soc = 0.7 + 0.2 * min(1.0, step / 120)
        awake = wakes_h is not None and rest >= wakes_h
        fallen = 0.01 * (1 - np.exp(-rest / 0.3)) + slope_v * lost_per_day * rest / 24 + 0.05 * awake if rest > 0 else 0.0
        volts = 3.2 + slope_v * soc - fallen
        told = {"pack": "pabc", "date": at.date(), "received_at": at, "soc": soc, "current_a": 15.0 if rest < 0 else -20.0 * awake}
        rows.append(told | {"cells_v": [volts, volts], "temperatures_c": [25.0], "firmware": "", "quality": "good", "balancing_a": []})
    return rows


@pytest.mark.parametrize(
    ("rest_h", "wakes_h", "slope_v", "lost"),
    [
        (10.0, None, 1.0, 0.004),
        (10.0, None, 1.0, 0.0),
        (30.0, 12.0, 1.0, 0.004),
        (8.0, None, 1.0, None),
        (10.0, 5.0, 1.0, None),
        (10.0, None, 0.1, None),
    ],
)
def test_what_a_pack_loses_at_rest_is_seen_over_midnight_in_long_rests_only(
    rest_h: float, wakes_h: float | None, slope_v: float, lost: float | None
) -> None:
    connection = duckdb.connect(":memory:")
    rows = night(
        datetime(2026, 11, 1, 20, tzinfo=UTC), rest_h=rest_h, lost_per_day=0.004 if lost is None else lost, wakes_h=wakes_h, slope_v=slope_v
    )
    connection.register("samples", pa.Table.from_pylist(rows))
    chosen = {"pabc": Chosen("E-1/P1", 150.0, "NMC", day_number("2026-11-01"), day_number("2026-11-01"))}
    first = day_number("2026-11-01")
    table = days_of(lambda sql: connection.sql(sql).fetchall(), chosen, {}, since=first, until=first)
    assert table.days.tolist() == [first]
    assert table.numbers["self_discharge"] == pytest.approx([np.nan if lost is None else lost], abs=0.0002, nan_ok=True)


def test_the_lake_answers_these_questions(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with Lake.open(bench.places, **bench.parts()) as lake:
        bench.drive(lake, 5, packs=(A,))
        registered = {(A.vehicle_id, A.pack_id): Pack(A, "NMC", 3_600_000, 100)}

        def asked(sql: str) -> Sequence[tuple[Any, ...]]:
            return query(lake.hot, bench.places, sql, names=True).rows

        table = asked_of(asked, registered, {}, since="2026-01-01")
        assert samples_a_day(asked) == SAMPLES_A_DAY, "no file of a day is there yet"
        name = f"{A.vehicle_id}/{A.pack_id}"
        assert table.names() == [name]
        chosen, _ = chosen_packs(asked, registered, {name: Beside("A7")})

        def days(_: object, first: int, last: int) -> PackDays:
            return days_of(asked, chosen, {name: Beside("A7")}, since=first, until=last)

        today = int(table.days.max())
        refreshed(tmp_path / "kept", {name: 1.0}, days, since=today - 4, today=today)
        kept = load(tmp_path / "kept", [name], today=today).recent
        assert (kept.packs.tolist(), kept.labels["batch"].tolist()) == (table.packs.tolist(), ["A7"] * len(table))
        assert kept.cells_v == pytest.approx(table.cells_v)


def test_what_is_missing_is_told(ask: Any) -> None:
    with pytest.raises(TableRefused, match="registry"):
        chosen_packs(ask, {}, {})
    chosen, (left_out,) = chosen_packs(ask, {("E-1", "P1"): PACK}, {})
    assert "1 packs left out" in left_out
    assert [(pack.name, pack.heard) for pack in chosen.values()] == [("E-1/P1", day_number("2026-11-01"))]
    with pytest.raises(NoDays, match="no day"):
        asked_of(ask, {("E-1", "P1"): PACK}, {}, since="2027-01-01")
    with pytest.raises(NoDays):
        days_of(ask, {}, {}, since=0, until=1)


def test_the_table_beside(tmp_path: Path) -> None:
    file = tmp_path / "packs.csv"
    file.write_text("pack,batch,made\nE-1/P1,A7,2026-01-01\nE-2/P1,B1,\n")
    found = read_beside(file)
    assert found == {"E-1/P1": Beside("A7", (date(2026, 1, 1) - date(1970, 1, 1)).days), "E-2/P1": Beside("B1")}
    for content in ("vehicle\nE-1\n", "pack,made\nE-1/P1,soon\n"):
        file.write_text(content)
        with pytest.raises(TableRefused):
            read_beside(file)
