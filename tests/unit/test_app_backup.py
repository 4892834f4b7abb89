"""Backup and restore of a small depot on the disk: what comes back, what must not, and how it is undone."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from config_kit import write_depot

import controller
import payments
from controller.app import swap as swapping
from controller.app.backup import make_backup
from controller.app.kept import LATCHES, kept_of
from controller.app.people import open_people
from controller.app.restore import TRANSACTION_EPOCH, TRANSACTION_GAP, Restored, restore, told
from controller.app.swap import RestoreUnfinished, marker_path, refuse_half_restored
from controller.archive import Archive, BackupDamaged, BackupError
from controller.audit import read_page
from controller.clock import SystemClock
from controller.codec import EventCodec
from controller.incident_files import IncidentFile
from controller.incident_files import read as read_incident
from controller.journal import SqlJournal
from controller.journal_store import load, read_events
from controller.names import NameBook
from controller.secrets import load_depot_secret
from controller.settings import Settings
from depot import events as ev
from depot.state import DepotState
from depot.values import ConnectorId, Limit, LimitSource, ScopeKind, UtilityLink, UtilityMode
from payments.tables import BillRow, MandateRow
from storage import Lease, LeaseTaken, Store, StoreBusy
from web.auth import Auth
from web.settings import WebSettings
from web.tables import LoginSession  # noqa: F401  # its table

ROOT = Path(__file__).resolve().parents[2]
ONE, TWO = ConnectorId("CP-1", 1), ConnectorId("CP-2", 1)
PASSWORD = "three words will do"
STATIONS = """
[[station]]
id = "CP-1"
feeder = "A"
open = true
[[station.connector]]
rated_kw = 60
[[station]]
id = "CP-2"
feeder = "A"
open = true
[[station.connector]]
rated_kw = 30
[ocpp]
allow_open = true
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_depot(tmp_path, STATIONS, limit_kw=160)


def write(config: Path, *events: ev.Event, at: datetime | None = None) -> DepotState:
    settings = Settings.load(config)

    async def append() -> DepotState:
        with Lease.take(settings.database), Store.open(settings.database) as store:
            store.migrate([controller])
            async with SqlJournal(store, "pune", clock=SystemClock(), writer="inline") as journal:
                await journal.append([ev.NewEvent(event, at or datetime.now(UTC)) for event in events])
                return journal.state

    return asyncio.run(append())


def read(config: Path) -> tuple[DepotState, Sequence[ev.Envelope]]:
    with Store.open(Settings.load(config).database, read_only=True) as store:
        state = load(store, "pune", EventCodec(), use_snapshot=False).state
        return state, [envelope for envelope, _ in read_events(store, "pune", EventCodec())]


def started(number: int, key: ConnectorId = ONE) -> ev.TransactionStarted:
    return ev.TransactionStarted(number, f"s{number}", key, "TAG", 0)


def lived(config: Path) -> None:
    """A depot with a little of everything."""
    write(
        config,
        ev.StationBooted("CP-1"),
        ev.StationProbed("CP-1", autonomous=False),
        ev.ConnectorStatusChanged(ONE, ev.ConnectorStatus.CHARGING),
        ev.DefaultInstalled(ONE, 4_000),
        ev.ConnectorTrustChanged(ONE, ev.TrustLevel.OBEYS),
        ev.ConnectorTrustChanged(TWO, ev.TrustLevel.DEFIANT),
        ev.ConnectorAvailabilitySet(TWO, operative=False, reason="cable"),
        started(41),
        ev.SetpointLowered(ONE, 7_000, datetime.now(UTC) + timedelta(minutes=3)),
    )
    settings = Settings.load(config)
    load_depot_secret(settings.storage.path)
    with open_people(settings) as store:
        auth = Auth(WebSettings(depot_id="pune"), store, SystemClock())
        from depot.values import Role

        auth.users.add("mani", Role.MANAGER, PASSWORD)
        auth.sign_in("mani", PASSWORD, address="x", old_token=None)
    (settings.storage.path / "pune.latches").write_bytes(b"first\n")


def snapshot_of(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file() and not p.name.endswith((".lock", "-shm"))}


def backed_up(config: Path) -> Path:
    lived(config)
    return make_backup(config, config.parent / "b.tar")[0]


def test_a_lost_depot_comes_back(config: Path) -> None:
    archive = backed_up(config)
    folder = Settings.load(config).storage.path
    secret = (folder / "depot.secret").read_bytes()
    folder.rename(config.parent / "lost")
    done = restore(config, archive, replace=False)
    assert (done.journal_seq, done.aside) == (9, None)
    state, facts = read(config)
    assert state.transactions[41].connector == ONE
    assert not state.connector(TWO).operative
    assert (folder / "depot.secret").read_bytes() == secret
    assert (folder / "pune.latches").read_bytes() == b"first\n"
    assert [type(fact.data).__name__ for fact in facts[9:11]] == ["BackupRestored", "LimitSet"]
    assert all("(restore)" in fact.actor for fact in facts[9:])
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    with Store.open(Settings.load(config).database, read_only=True) as store:
        (entry,) = read_page(store, "pune", kind="BackupRestored").entries
        assert entry.actor.endswith("(restore)")
    assert not marker_path(Settings.load(config)).exists()


def test_files_of_incidents_and_names_of_the_shift_come_back(config: Path) -> None:
    lived(config)
    settings = Settings.load(config)
    file = IncidentFile.open(settings.incidents / "2026-11-20-1.jsonl")
    file.append([{"kind": "head"}])
    file.close({"at": "later"})
    NameBook(settings.storage.path, "pune", who="person").put({"17": "A. Kulkarni"})
    archive, manifest = make_backup(config, config.parent / "b.tar")
    assert {"incidents.tar", "persons.json"} <= {member.name for member in manifest.members}
    settings.storage.path.rename(config.parent / "lost")
    done = restore(config, archive, replace=False)
    assert done.incidents == 1
    assert any("1 incidents are here again" in line for line in told(done, config))
    assert read_incident(settings.incidents / "2026-11-20-1.jsonl").sound
    assert NameBook(settings.storage.path, "pune", who="person").name_of("17") == "A. Kulkarni"
    assert restore(config, archive, replace=True).incidents == 0, "those that are here stay"


def test_a_restored_depot_believes_nothing_that_it_cannot_know(config: Path) -> None:
    archive = backed_up(config)
    restore(config, archive, replace=True)
    state, _ = read(config)
    one, two = state.connector(ONE), state.connector(TWO)
    assert one.default_w is None, "its default may be another by now"
    assert one.status is ev.ConnectorStatus.UNKNOWN
    assert one.trust is ev.TrustLevel.UNPROVEN
    assert two.trust is ev.TrustLevel.DEFIANT, "what is bad stays known"
    assert state.stations["CP-1"].probe is None
    for facts_of, rated_w in ((one, 60_000), (two, 30_000)):
        assert facts_of.grant is not None
        assert facts_of.grant.level_w == rated_w, "it may have been told anything up to its rating"
        assert facts_of.grant.until > datetime.now(UTC) + timedelta(seconds=180)
    limit = state.limits["manual:"]
    assert (limit.value, limit.until) == (80_000, None)
    assert "lift this" in limit.reason


def test_a_lower_manual_limit_of_the_backup_stays(config: Path) -> None:
    lived(config)
    soon = datetime.now(UTC) + timedelta(hours=1)
    write(config, ev.LimitSet(Limit("manual:", ScopeKind.SITE, 50_000, LimitSource.MANUAL, datetime.now(UTC), until=soon)))
    archive, _ = make_backup(config, config.parent / "b.tar")
    done = restore(config, archive, replace=True)
    assert done.limit_w == 50_000
    limit = read(config)[0].limits["manual:"]
    assert (limit.value, limit.until) == (50_000, None), "when it would have ended is no reason to go up now"


def test_what_waited_for_a_second_person_is_asked_again(config: Path) -> None:
    lived(config)
    soon = datetime.now(UTC) + timedelta(hours=1)
    write(config, ev.ApprovalRequested("c1", "ClearManualLimit", "site", "r", soon, "{}"), ev.ApprovalGranted("c1"))
    assert read(config)[0].approvals
    archive, _ = make_backup(config, config.parent / "b.tar")
    restore(config, archive, replace=True)
    assert not read(config)[0].approvals


def test_the_utilitys_heartbeat_of_the_backup_is_no_sign_of_life(config: Path) -> None:
    lived(config)
    now = datetime.now(UTC)
    write(config, ev.UtilityLinkChanged(UtilityLink(now, now, 80_000, 7200, 120, mode=UtilityMode.CONTROLLED, beat_at=now)))
    archive, _ = make_backup(config, config.parent / "b.tar")
    restore(config, archive, replace=True)
    link = read(config)[0].utility
    assert link is not None
    assert link.beat_at is None


def test_no_transaction_id_is_given_twice_whatever_is_restored_how_often(config: Path) -> None:
    archive = backed_up(config)
    given: set[int] = set(range(1, 42))
    now = datetime.now(UTC)
    for days in (0, 0.0001, 1, 400):
        state = write(config, started(max(given) + 1)) if days == 0 else read(config)[0]
        given.add(state.next_transaction_id - 1)
        done = restore(config, archive, replace=True, now=now + timedelta(days=days))
        assert done.next_transaction_id >= int((now + timedelta(days=days) - TRANSACTION_EPOCH).total_seconds())
        first = read(config)[0].next_transaction_id
        assert first == done.next_transaction_id
        assert first > max(given)
        for number in range(first, first + 5):
            write(config, started(number))
            given.add(number)


def test_ids_are_ahead_of_the_backup_also_where_the_clock_says_little(config: Path) -> None:
    lived(config)
    write(config, started(500_000_000))
    archive, _ = make_backup(config, config.parent / "b.tar")
    assert restore(config, archive, replace=True).next_transaction_id == 500_000_001 + TRANSACTION_GAP


def test_nobody_is_signed_in_after_a_restore_but_people_are_known(config: Path) -> None:
    archive = backed_up(config)
    people = kept_of(Settings.load(config))[0].path
    assert sqlite3.connect(people).execute("SELECT count(*) FROM web_session").fetchone() == (1,)
    restore(config, archive, replace=True)
    db = sqlite3.connect(people)
    assert db.execute("SELECT count(*) FROM web_session").fetchone() == (0,)
    assert db.execute("SELECT name FROM web_user").fetchall() == [("mani",)]
    db.close()


def test_trips_that_are_latched_now_stay_latched(config: Path) -> None:
    archive = backed_up(config)
    latches = Settings.load(config).storage.path / "pune.latches"
    latches.write_bytes(b"first\nsecond\n")
    done = restore(config, archive, replace=True)
    assert done.kept_latches
    assert latches.read_bytes() == b"first\nsecond\n"
    assert done.aside is not None
    assert (done.aside / "pune.latches").read_bytes() == b"first\nsecond\n"
    assert any("latched trips" in line for line in told(done, config))


def test_what_is_there_is_refused_or_set_aside_and_comes_back_with_one_command(config: Path) -> None:
    archive = backed_up(config)
    write(config, ev.VisitEnded("later"))
    settings = Settings.load(config)
    before = snapshot_of(settings.storage.path)
    with pytest.raises(BackupError, match="with --replace it is set aside"):
        restore(config, archive, replace=False)
    assert snapshot_of(settings.storage.path) == before
    done = restore(config, archive, replace=True)
    assert done.aside is not None
    assert {p.name for p in done.aside.iterdir()} >= {"pune.db", "pune-people.db", "depot.secret", "pune.latches"}
    assert done.aside.stat().st_mode & 0o077 == 0
    back = restore(config, done.aside, replace=True)
    assert back.journal_seq == 10
    state, facts = read(config)
    assert any(isinstance(fact.data, ev.VisitEnded) for fact in facts)
    assert state.next_transaction_id >= done.next_transaction_id
    assert {path.name for path in (done.aside, back.aside) if path} == {p.name for p in settings.storage.path.glob("replaced-*")}


def test_never_while_a_controller_runs(config: Path) -> None:
    archive = backed_up(config)
    before = snapshot_of(Settings.load(config).storage.path)
    with Lease.take(Settings.load(config).database), pytest.raises(LeaseTaken, match="another controller"):
        restore(config, archive, replace=True)
    holder = "import sys\nfrom storage import Store\ns = Store.open(sys.argv[1])\nprint(1, flush=True)\nsys.stdin.read()"
    people = kept_of(Settings.load(config))[0].path
    web = subprocess.Popen([sys.executable, "-c", holder, people], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert web.stdout is not None
    web.stdout.readline()
    with pytest.raises(StoreBusy, match="open in another process"):
        restore(config, archive, replace=True)
    web.communicate("")
    assert snapshot_of(Settings.load(config).storage.path) == before


def test_what_does_not_fit_is_refused_and_nothing_is_touched(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = backed_up(config)
    folder = Settings.load(config).storage.path
    before = snapshot_of(folder)
    data = archive.read_bytes()
    damaged = archive.with_name("damaged.tar")
    damaged.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
    other = config.with_name("other.toml")
    other.write_text(config.read_text(encoding="utf-8").replace('"pune"', '"nagpur"'), encoding="utf-8")
    with pytest.raises(BackupDamaged):
        restore(config, damaged, replace=True)
    with pytest.raises(BackupError, match="is of depot pune, the configuration is of nagpur"):
        restore(other, archive, replace=True)
    with pytest.raises(BackupError, match="still to come: set this machine's clock"):
        restore(config, archive, replace=True, now=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(BackupDamaged, match="holds no journal"):
        restore(config, config.parent / "var" / "..", replace=True)
    monkeypatch.setattr("controller.app.restore.os.geteuid", lambda: 12345)
    with pytest.raises(BackupError, match="type the same with sudo -u"):
        restore(config, archive, replace=True)
    assert snapshot_of(folder) == before
    assert not list(folder.glob("replaced-*"))
    assert not list(folder.glob(".restore-*"))


def test_a_backup_whose_journal_was_changed_is_not_put_in_place(config: Path) -> None:
    """The archive's own hashes are right: somebody made it from a changed database."""
    lived(config)
    with sqlite3.connect(Settings.load(config).database) as db:
        db.execute("UPDATE events SET data = replace(data, '41', '42') WHERE type LIKE 'transaction%'")
    db.close()
    with pytest.raises(Exception, match="was changed after it was written"):
        make_backup(config, config.parent / "b.tar")
    assert not list(config.parent.glob("*b.tar*"))


@pytest.mark.parametrize("renames", range(7))
def test_a_restore_that_is_cut_off_is_refused_by_the_core_and_undone_by_the_next(
    config: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after any number of its renames: the old depot is whole again before anything else is done."""
    archive = backed_up(config)
    write(config, ev.VisitEnded("later"))
    settings = Settings.load(config)
    before = snapshot_of(settings.storage.path)
    real, left = Path.rename, [renames + 1]  # the first is the marker's own

    def cut(self: Path, target: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(self, target)

    monkeypatch.setattr(Path, "rename", cut)
    try:
        restore(config, archive, replace=True)
    except KeyboardInterrupt:
        monkeypatch.setattr(Path, "rename", real)
    else:
        monkeypatch.setattr(Path, "rename", real)
        assert renames >= 6
        return
    with pytest.raises(RestoreUnfinished, match="type the restore command again"):
        refuse_half_restored(settings)
    swapping.undo_unfinished(settings)
    assert snapshot_of(settings.storage.path) == before
    refuse_half_restored(settings)
    done = restore(config, archive, replace=True)
    assert read(config)[0].next_transaction_id == done.next_transaction_id


def test_a_backup_says_what_it_is_and_holds_the_configuration(config: Path) -> None:
    lived(config)
    folder = config.parent / "backups"
    folder.mkdir()
    steps: list[tuple[str, int, int]] = []
    path, manifest = make_backup(config, folder, report=lambda *step: steps.append(step), now=datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC))
    assert path.name == "pune-20261121T010203Z.tar"
    assert (manifest.journal_seq, manifest.next_transaction_id) == (9, 42)
    assert [m.name for m in manifest.members] == ["config.toml", "people.db", "latches", "depot.secret", "journal.db"]
    assert {what for what, _, _ in steps} >= {"copying the journal", "checking the journal", "writing", "reading back"}
    assert list(folder.iterdir()) == [path]
    with Archive.open(path, [m.name for m in manifest.members]) as archive:
        archive.extract(config.parent)
    assert (config.parent / "config.toml").read_bytes() == config.read_bytes()
    with pytest.raises(BackupError, match="exists already"):
        make_backup(config, path)
    with pytest.raises(BackupError, match="there is no folder"):
        make_backup(config, folder / "none" / "b.tar")


def test_a_depot_without_a_database_has_nothing_to_back_up(config: Path) -> None:
    with pytest.raises(BackupError, match="nothing to back up"):
        make_backup(config, config.parent / "b.tar")


def test_the_commands_say_what_was_done_and_what_to_look_at(config: Path) -> None:
    lived(config)
    archive = config.parent / "b.tar"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "80"}
        return subprocess.run([sys.executable, "-m", "controller", *words], env=env, capture_output=True, text=True, timeout=120)

    made = run("backup", str(config), str(archive))
    assert (made.returncode, "9 facts" in made.stdout, "checked" in made.stdout) == (0, True, True), made.stderr
    refused = run("restore", str(config), str(archive))
    assert (refused.returncode, "with --replace it is set aside" in refused.stderr) == (2, True)
    done = run("restore", str(config), str(archive), "--replace")
    assert done.returncode == 0, done.stderr
    for words in ("limited to 80 kW", "transaction ids go on at", "To go back: ./chargeyard restore"):
        assert words in done.stdout
    archive.write_bytes(archive.read_bytes()[:-2000])
    assert run("restore", str(config), str(archive), "--replace").returncode == 1


def test_told_names_every_thing_to_check(config: Path) -> None:
    done = Restored("pune", datetime(2026, 3, 29, tzinfo=UTC), 5, 9, 80_000, ("journal.db",), kept_latches=False, aside=None)
    text = "\n".join(told(done, config))
    assert "user token list" in text
    assert LATCHES not in json.dumps(text)


def test_open_bills_are_in_doubt_after_a_restore(config: Path) -> None:
    lived(config)
    books = Settings.load(config).payments_database
    with Store.open(books) as store:
        store.migrate([payments])
        with store.unit() as session:
            session.add(
                MandateRow(
                    depot_id="pune", mandate_id="m", driver_id="d", mode="autopay", state="active", state_at_s=1, max_amount_paise=100_00,
                    expire_ms=9_999_999_999_999, receipt="r", created_ms=1,
                )
            )  # fmt: skip
            session.add(
                BillRow(
                    depot_id="pune", bill_id="s41", driver_id="d", mandate_id="m", own="invoiced", reserved_paise=1, opened_ms=1,
                    invoiced_ms=1, total_paise=50_00,
                )
            )  # fmt: skip
    archive, manifest = make_backup(config, config.parent / "b.tar")
    assert [m.name for m in manifest.members][-2:] == ["journal.db", "payments.db"], "the ledger is the newest"
    done = restore(config, archive, replace=True)
    with Store.open(books, read_only=True) as store, store.reading() as connection:
        assert connection.exec_driver_sql("SELECT amount_paise, order_id FROM payments_order").all() == [(50_00, None)]
    assert any("looked up at the gateway" in line for line in told(done, config))
