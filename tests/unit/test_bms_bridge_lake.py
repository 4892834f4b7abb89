"""The lake: batches once and only once, tiers, what is due, records that are the fold of their rows, readers at any time."""

from __future__ import annotations

import zlib
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from lake_kit import A, B, Bench

from bms_bridge.lake import LakeDamaged, QueryRefused, lifetime, rules, warm
from bms_bridge.lake.catalog import catalog, checked
from bms_bridge.lake.engine import Lake
from bms_bridge.lake.query import query
from bms_bridge.lake.rules import Retention
from bms_bridge.lake.schema import NAMES, VERSION, arrow_table, read_back, rows_of, stored
from bms_bridge.lake.wire import State, decode_batch
from bms_bridge.pseudonym import PREFIX, Pseudonyms
from storage import LeaseTaken


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def count(lake: Lake) -> int:
    return int(query(lake.hot, lake.places, "SELECT count(*) FROM samples").rows[0][0])


def seal_all(lake: Lake) -> None:
    while lake.step():
        pass


def test_a_row_is_the_same_after_every_tier(bench: Bench) -> None:
    with bench.lake() as lake:
        bench.give(
            lake, bench.told(A), bench.told(B, temperatures_c=(20.0, None, 300.0), soc=None, alarms=("smoke_or_gas", "x"), stop=True)
        )
        for entry in lake.entries:
            for row in lake.rows(entry):
                values = stored(row)
                assert read_back(values) == row
                assert rows_of(arrow_table([values])) == [row]


def test_a_batch_that_comes_again_is_stored_once_also_after_a_restart(bench: Bench) -> None:
    with bench.lake() as lake:
        batch = bench.batch(bench.told(A), bench.told(B))
        assert lake.take(*batch).number == 1
        assert lake.take(*batch).number == 1
        assert count(lake) == 2
    with bench.lake() as lake:
        assert lake.take(*batch).number == 1
        assert count(lake) == 2
        assert lake.life_of(A).samples == 1  # type: ignore[union-attr]


def test_one_process_owns_the_lake(bench: Bench) -> None:
    with bench.lake(), pytest.raises(LeaseTaken), bench.lake():
        pass


def test_rows_move_to_files_by_day_and_pack_and_every_reader_finds_each_once(bench: Bench) -> None:
    with bench.lake() as lake:
        total = bench.drive(lake, 60)
        bench.forward(days=1)
        total += bench.drive(lake, 10)
        seal_all(lake)
        assert count(lake) == total
        files = sorted(path.relative_to(lake.places.warm).parent.parent.name for path in lake.places.warm.rglob("*.parquet"))
        assert files == ["date=2026-11-20", "date=2026-11-20"]
        sealed = ds.dataset(lake.places.warm, partitioning="hive").count_rows()
        assert sealed == 720
        glob = f"{lake.places.warm}/**/*.parquet"
        found = duckdb.sql(
            f"SELECT date, count(*), count(DISTINCT pack) FROM read_parquet('{glob}', hive_partitioning = true) GROUP BY date"
        )
        assert [(str(row[0]), row[1], row[2]) for row in found.fetchall()] == [("2026-11-20", 720, 2)]
        bench.forward(days=1)
        seal_all(lake)
        assert ds.dataset(lake.places.warm).count_rows() == total == count(lake)
        assert [complaint for _, complaint in checked(lake.hot, lake.places) if complaint] == []


def test_a_partition_that_grows_is_replaced_whole(bench: Bench) -> None:
    with bench.lake() as lake:
        total = 0
        for _ in range(3):
            total += bench.drive(lake, 5, packs=(A,))
            with lake.hot.look() as connection:
                part = lake.hot.unsealed(connection)[0]
            assert lake.seal(part)
            assert len(list(lake.places.warm.rglob("*.parquet"))) == 1
            assert ds.dataset(lake.places.warm).count_rows() == total == count(lake)


def test_what_a_crash_leaves_between_file_and_manifest_is_mended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench.lake() as lake:
        total = bench.drive(lake, 5, packs=(A,))
        with lake.hot.look() as connection:
            part = lake.hot.unsealed(connection)[0]
        assert lake.seal(part)
        total += bench.drive(lake, 5, packs=(A,))
        with lake.hot.look() as connection:
            part = lake.hot.unsealed(connection)[0]

        def cut_off(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(lake.hot, "put_file", cut_off)
        with pytest.raises(KeyboardInterrupt):
            lake.seal(part)
        (lake.places.warm / "depot=pune" / "rows.parquet.part").write_bytes(b"half")
        monkeypatch.undo()
    with bench.lake() as lake:
        assert count(lake) == total == ds.dataset(lake.places.warm).count_rows()
        assert not list(lake.places.warm.rglob("*.part"))
        with lake.hot.look() as connection:
            assert lake.hot.unsealed(connection) == []
        assert [complaint for _, complaint in checked(lake.hot, lake.places) if complaint] == []


def test_old_rows_leave_the_database_when_a_file_has_them_and_never_before(bench: Bench) -> None:
    bench.retention = Retention(hot_days=1, raw_h=24)
    with bench.lake() as lake:
        total = bench.drive(lake, 10)
        bench.forward(days=10)
        with lake.hot.work() as connection:
            assert lake.hot.forget_rows(connection, before_day=1 << 40, through_id=1 << 62) == 0
        seal_all(lake)
        with lake.hot.look() as connection:
            assert connection.execute("SELECT count(*) FROM lake_row").fetchone()[0] == 0
            assert connection.execute("SELECT count(*) FROM lake_raw").fetchone()[0] == 0
        assert count(lake) == total
        record = lake.life_of(A)
        assert record is not None
        assert lifetime.encode(lake.recomputed(A)) == lifetime.encode(record)


def test_months_go_to_the_archive_and_are_dropped_without_one(bench: Bench, tmp_path: Path) -> None:
    bench.retention = Retention(warm_days=30, hot_days=1, raw_h=24)
    bench.cold = tmp_path / "cold"
    with bench.lake() as lake:
        total = bench.drive(lake, 5)
        bench.forward(days=1)
        total += bench.drive(lake, 5)
        bench.forward(days=45)
        seal_all(lake)
        lake._forgot_us = 0
        seal_all(lake)
        assert [path.relative_to(bench.cold).parts[1] for path in bench.cold.rglob("*.parquet")] == ["month=2026-11"] * 2
        assert list(lake.places.warm.rglob("*.parquet")) == []
        assert count(lake) == total
        assert [complaint for _, complaint in checked(lake.hot, lake.places) if complaint] == []
        assert lifetime.encode(lake.recomputed(A)) == lifetime.encode(lake.life_of(A))  # type: ignore[arg-type]
    bench.cold = None
    bench.folder = tmp_path / "other"
    bench.number = 0
    with bench.lake() as lake:
        bench.drive(lake, 5)
        bench.forward(days=45)
        seal_all(lake)
        lake._forgot_us = 0
        seal_all(lake)
        assert (count(lake), lake.life_of(A).samples) == (0, 30)  # type: ignore[union-attr]


def test_records_are_the_fold_of_their_rows_over_restarts(bench: Bench) -> None:
    for minutes in (7, 11, 3):
        with bench.lake() as lake:
            bench.drive(lake, minutes)
            bench.forward(hours=5)
            if minutes == 11:
                seal_all(lake)
    with bench.lake() as lake:
        record = lake.life_of(B)
        assert record is not None
        assert record.samples == 21 * 6
        assert lifetime.encode(lake.recomputed(B)) == lifetime.encode(record)


def test_a_lake_that_lost_its_database_takes_the_records_of_the_copy(bench: Bench) -> None:
    with bench.lake() as lake:
        bench.drive(lake, 5)
        lake.fact(A, at_us=5, seq=9, cause="smoke")
        lake.persist(facts_seq=9)
        lake._copied_us = 0
        lake.persist()
        before = lifetime.encode(lake.life_of(A))  # type: ignore[arg-type]
        names = [lake.places.database.with_name(lake.places.database.name + end) for end in ("", "-wal", "-shm")]
    for path in names:
        path.unlink(missing_ok=True)
    bench.number = 0
    with bench.lake() as lake:
        assert lifetime.encode(lake.life_of(A)) == before  # type: ignore[arg-type]
        bench.drive(lake, 1)
        assert lake.life_of(A).samples == 36  # type: ignore[union-attr]
    with bench.lake() as lake:
        assert (lake.life_of(A).samples, lake.life_of(A).trips) == (36, 1)  # type: ignore[union-attr]


def test_a_short_disk_thins_and_a_full_one_keeps_nothing_and_acknowledges_nothing(bench: Bench) -> None:
    with bench.lake() as lake:
        bench.free = 500 * 1024**2
        for _ in range(12):
            bench.forward(seconds=10)
            assert bench.give(lake, bench.told(A)).state is State.THIN
        assert count(lake) == 2
        assert bench.give(lake, bench.told(A, alarms=("smoke_or_gas",))).number == 13
        assert count(lake) == 3
        bench.free = 1024**2
        ack = bench.give(lake, bench.told(A))
        assert (ack.state, ack.number) == (State.FULL, 13)
        assert "disk is full" in ack.text
        bench.free = 10**12
        bench.number = 13
        assert bench.give(lake, bench.told(A)).number == 14
        assert count(lake) == 4


def test_a_vehicles_number_is_kept_nowhere(bench: Bench) -> None:
    vin = "MAT445401JPA12345"
    with bench.lake() as lake:
        lake.deriver.redact = Pseudonyms(b"k").redact
        bench.give(lake, bench.told(A, firmware=vin), bench.message(B, alarms=[f"x_{vin.lower()}"]), bench.message(B))
        bench.give(lake, bench.message(A))
        assert count(lake) == 4
        with lake.hot.look() as connection:
            raw = [zlib.decompress(body) for _, _, body in lake.hot.raw_since(connection, 0)]
        assert not any(vin.encode() in body or vin.lower().encode() in body for body in raw)
        assert [len(decode_batch(body).items) for body in raw] == [3, 1]
        found = query(lake.hot, lake.places, "SELECT firmware FROM samples WHERE firmware <> ''").rows
        assert found[0][0].startswith(PREFIX)
        while lake.step():
            pass


def test_facts_of_the_journal_count_once(bench: Bench) -> None:
    with bench.lake() as lake:
        for _ in range(2):
            lake.fact(A, at_us=1, seq=5, cause="over_temperature")
            lake.fact(A, at_us=2, seq=8, cause=None)
        lake.persist(facts_seq=8)
    with bench.lake() as lake:
        lake.fact(A, at_us=2, seq=8, cause=None)
        life = lake.life_of(A)
        assert life is not None
        assert (lake.facts_seq, life.trips, life.resets, life.causes) == (8, 1, 1, {"over_temperature": 1})


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DROP VIEW samples", "only one SELECT"),
        ("SELECT 1; SELECT 2", "only one SELECT"),
        ("COPY samples TO '/tmp/x.csv'", "only one SELECT"),
        ("SET enable_external_access = true", "only one SELECT"),
        ("ATTACH '/tmp/x.db'", "only one SELECT"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
        ("SELECT * FROM read_text('/etc/passwd')", "disabled"),
        ("SELECT * FROM '/etc/passwd'", "does not exist"),
        ("SELEC", "syntax"),
        ("SELECT nothing FROM samples", "nothing"),
    ],
)
def test_a_query_only_reads_and_only_the_lake(bench: Bench, sql: str, words: str) -> None:
    with bench.lake() as lake:
        bench.give(lake, bench.told(A))
        with pytest.raises(QueryRefused, match=words):
            query(lake.hot, lake.places, sql)


def test_a_query_is_bounded_in_time_rows_and_memory(bench: Bench) -> None:
    with bench.lake() as lake:
        bench.drive(lake, 5)
        with pytest.raises(QueryRefused, match="longer than"):
            query(lake.hot, lake.places, "SELECT sum(a.range * b.range) FROM range(100000) a, range(1000000) b", time_s=0.3)
        found = query(lake.hot, lake.places, "SELECT row_id FROM samples ORDER BY row_id", most_rows=10)
        assert (len(found.rows), found.more) == (10, True)
        with pytest.raises(QueryRefused, match="more than 16 MB"):
            query(lake.hot, lake.places, "SELECT list(repeat('x', 1000000)) FROM range(40)", memory_mb=16)


def test_vehicles_are_named_to_people_of_the_depot_only(bench: Bench) -> None:
    with bench.lake() as lake:
        bench.give(lake, bench.told(A))
        assert query(lake.hot, lake.places, "SELECT * FROM packs").columns == ("pack", "first_at")
        assert query(lake.hot, lake.places, "SELECT vehicle_id FROM packs", names=True).rows == [("E-101",)]
        bench.forward(days=2)
        seal_all(lake)
        for path in lake.places.warm.rglob("*"):
            assert "E-101" not in str(path)
            assert path.is_dir() or b"E-101" not in path.read_bytes()


def test_the_catalogue_names_every_column_and_counts_every_tier(bench: Bench) -> None:
    with bench.lake() as lake:
        bench.drive(lake, 5)
        bench.forward(days=2)
        seal_all(lake)
        found = catalog(lake.hot)
        assert tuple(column.name for column in found.columns) == NAMES
        assert all(column.meaning and column.since >= 1 for column in found.columns)
        sets = {one.name: one for one in found.datasets}
        assert (sets["hot"].rows, sets["warm"].rows, sets["warm"].files, sets["raw"].rows) == (60, 60, 2, 60)
        assert sets["warm"].first_at is not None
        assert msgspec.json.encode(found)


def test_a_changed_file_is_named_by_the_check(bench: Bench) -> None:
    with bench.lake() as lake:
        bench.drive(lake, 5, packs=(A,))
        bench.forward(days=2)
        seal_all(lake)
        path = next(lake.places.warm.rglob("*.parquet"))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        (path.parent.parent / "stray.parquet").write_bytes(b"x")
        complaints = [complaint for _, complaint in checked(lake.hot, lake.places)]
        assert any("not what was written" in complaint for complaint in complaints)
        assert any("not in the manifest" in complaint for complaint in complaints)
        with pytest.raises(LakeDamaged):
            warm.read(path.parent.parent / "stray.parquet")
        (path.parent.parent / "stray.parquet").unlink()


def test_what_is_due() -> None:
    assert rules.last_day_of("2026-12") - rules.last_day_of("2026-11") == 31
    assert rules.month_of(rules.last_day_of("2026-02")) == "2026-02"
    assert rules.pressure(10**12, Retention()) is State.GOOD
    assert rules.pressure(900 * 1024**2, Retention()) is State.THIN
    assert rules.pressure(200 * 1024**2, Retention()) is State.FULL
    assert rules.hot_before(100 * 86_400_000_000, Retention(hot_days=1, raw_h=72), too_large=True) == 96
    assert timedelta(days=1)


def test_balancing_is_kept_and_files_of_before_have_none(bench: Bench) -> None:
    """A file that was written before a column was there is read beside one that has it."""
    asked = "SELECT date, len(balancing_a), list_sum(balancing_a) FROM samples ORDER BY received_at"
    with bench.lake() as lake:
        bench.give(lake, bench.told(A, balancing_a=(0.0, 0.1, 900.0)))
        assert rows_told(lake, asked) == [(3, pytest.approx(0.1))]
        bench.forward(days=2)
        seal_all(lake)
        assert rows_told(lake, asked) == [(3, pytest.approx(0.1))]
        (path,) = lake.places.warm.rglob("*.parquet")
        assert warm.version_of(path) == VERSION
        pq.write_table(pq.ParquetFile(path).read().drop_columns(["balancing_a"]), path)
        with lake.hot.work() as connection:
            connection.execute("UPDATE lake_file SET version = 1")
        bench.give(lake, bench.told(A, balancing_a=(0.0, 0.1, 0.1)))
        bench.forward(days=2)
        assert rows_told(lake, asked) == [(None, None), (3, pytest.approx(0.2))]
        seal_all(lake)
        assert rows_told(lake, asked) == [(None, None), (3, pytest.approx(0.2))]


def rows_told(lake: Lake, asked: str) -> list[tuple[object, ...]]:
    return [row[1:] for row in query(lake.hot, lake.places, asked).rows]
