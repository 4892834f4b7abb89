"""Replay and samples: what is printed is what is stored; damage is an exit code."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import controller
from controller.clock import SystemClock
from controller.codec import EventCodec, encode_state, state_digest, state_shape
from controller.history import Minute
from controller.journal import SqlJournal
from controller.journal_store import load
from controller.replay import command
from controller.samples import KEEP, SampleStore
from depot import events as ev
from depot.events import NewEvent
from depot.state import DepotState
from depot.values import ConnectorId, Limit, LimitSource, ScopeKind
from storage import Store

NOW = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)
CP1 = ConnectorId("CP1", 1)

app = typer.Typer()
app.command()(command)

STORY: list[ev.Event] = [
    ev.VisitAnnounced("V1", "BUS1", NOW, NOW + timedelta(hours=8), 90_000, 60_000, connector=CP1),
    ev.VisitArrived("V1", CP1),
    ev.TransactionStarted(1, "s", CP1, "TAG", 1000, "V1"),
    ev.SetpointGranted(CP1, 22_000, NOW + timedelta(seconds=180)),
    ev.LimitSet(Limit("manual", ScopeKind.SITE, 50_000, LimitSource.MANUAL, NOW)),
    ev.ConnectorAvailabilitySet(ConnectorId("CP2", 1), False, "it burns"),
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    async def main() -> None:
        with Store.open(tmp_path / "depot.db") as store:
            store.migrate([controller])
            async with SqlJournal(store, "pune", clock=SystemClock()) as journal:
                for k, event in enumerate(STORY):
                    await journal.append([NewEvent(event, NOW, received_at=NOW + timedelta(minutes=k))])

    asyncio.run(main())
    return tmp_path / "depot.db"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_replay_prints_facts_and_the_state_they_fold_to(database: Path) -> None:
    code, text = run(database)
    assert code == 0
    assert "transaction.session_started" in text
    assert "Depot pune after seq 6" in text
    assert "transaction 1 on CP1/1" in text
    assert "CP1/1 may draw 22.0 kW" in text
    assert "CP2/1 is out of service: it burns" in text
    assert "Sound: 6 facts without a gap" in text
    assert "snapshot at seq 6" in text


def test_replay_until_and_type(database: Path) -> None:
    code, text = run(database, "--until", 3, "--type", "visit.")
    assert code == 0
    assert "Depot pune after seq 3" in text
    assert len([line for line in text.splitlines() if "visit.vehicle_arrived  " in line]) == 1
    assert "transaction.session_started  " not in text
    _, same = run(database, "--until", "2026-03-30T00:02:00+05:30", "--type", "visit.")
    assert same == text


def test_replay_json_can_be_read_back(database: Path) -> None:
    code, text = run(database, "--json")
    lines = [json.loads(line) for line in text.splitlines()]
    assert code == 0
    assert [line["fact"]["seq"] for line in lines[:-1]] == list(range(1, 7))
    summary = lines[-1]["summary"]
    assert summary["sound"]
    assert summary["state"]["connectors"]["CP1/1"]["grant"]["level_w"] == 22_000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--until", "soon"], "neither a seq"),
        (["--until", "2026-03-29T18:30:00"], "has no offset"),
        (["--depot", "delhi"], "no facts of depot 'delhi'; it has pune"),
    ],
)
def test_replay_wrong_usage(database: Path, arguments: list[str], expected: str) -> None:
    code, text = run(database, *arguments)
    assert code == 2
    assert expected in text


def test_replay_of_something_else(tmp_path: Path) -> None:
    Store.open(tmp_path / "x.db").close()
    assert run(tmp_path / "x.db")[0] == 2


def test_replay_names_the_changed_fact(database: Path) -> None:
    with Store.open(database) as store, store.writing() as connection:
        connection.exec_driver_sql("UPDATE events SET actor = 'nobody' WHERE seq = 4")
    code, text = run(database)
    assert code == 1
    assert "transaction.session_started" in text  # what is sound is shown
    assert "event seq 4" in text


def test_replay_finds_a_snapshot_that_holds_another_state(database: Path) -> None:
    with Store.open(database) as store:
        tip = load(store, "pune", EventCodec())
        state = encode_state(DepotState(seq=tip.seq))
        digest = state_digest(state_shape(), tip.seq, tip.digest, state)
        with store.writing() as connection:
            connection.exec_driver_sql("UPDATE snapshots SET state = ?, digest = ?", (state, digest))
    code, text = run(database)
    assert code == 1
    assert "NOT SOUND" in text


# -- samples ------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("writer", ["thread", "inline"])
async def test_samples_are_kept_replaced_and_bounded(tmp_path: Path, writer: str) -> None:
    with Store.open(tmp_path / "depot.db") as store:
        store.migrate([controller])
        async with SqlJournal(store, "pune", clock=SystemClock(), writer=writer) as journal:  # type: ignore[arg-type]  # parametrized
            samples = SampleStore(store, "pune", journal)
            assert samples.put(Minute(NOW, None, 100, None, 5))
            assert samples.put(Minute(NOW, 50, 100, 60, 5))
            assert samples.put(Minute(NOW + timedelta(minutes=1), 51, 100, 60, 5))
            await journal.append([NewEvent(STORY[1], NOW)])
        assert samples.since(NOW) == [Minute(NOW, 50, 100, 60, 5), Minute(NOW + timedelta(minutes=1), 51, 100, 60, 5)]
        assert SampleStore(store, "delhi", journal).since(NOW) == []
        async with SqlJournal(store, "pune", clock=SystemClock(), writer=writer) as journal:  # type: ignore[arg-type]  # parametrized
            samples = SampleStore(store, "pune", journal)
            assert samples.put(Minute(NOW + KEEP + timedelta(minutes=1), 1, 1, 1, 1))
        assert len(samples.since(NOW)) == 2
        assert not samples.put(Minute(NOW, 1, 1, 1, 1))


@pytest.mark.anyio
async def test_job_that_fails_hurts_nobody(tmp_path: Path) -> None:
    def bad(_: object) -> None:
        raise ZeroDivisionError

    with Store.open(tmp_path / "depot.db") as store:
        store.migrate([controller])
        async with SqlJournal(store, "pune", clock=SystemClock()) as journal:
            assert journal.beside(bad)
            (envelope,) = await journal.append([NewEvent(STORY[1], NOW)])
            assert envelope.seq == 1
