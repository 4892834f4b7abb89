"""Last words of running transactions on disk: durable before they are acknowledged, in groups, bounded, gone with the end."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import controller
from controller.clock import SystemClock
from controller.journal import SqlJournal
from controller.journal_store import JournalWriter
from controller.last_words import MOST_EACH, KeptWords
from depot.events import SignedReading
from depot.last_words import LastWord
from depot.tokens import Presented
from storage import Store

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(tmp_path / "depot.db") as store:
        store.migrate([controller])
        yield store


def word(station: str = "CP1", transaction: str = "t", *, number: int | None = 1, register_wh: int = 1000) -> LastWord:
    signed = (SignedReading(NOW, "Transaction.Begin", "Energy.Active.Import.Register", '{"signedMeterData":"eA=="}'),)
    return LastWord(
        station,
        transaction,
        ((0, 3),),
        number,
        1,
        "Charging",
        register_wh,
        NOW,
        "Started",
        NOW,
        900,
        Presented("TAG", "Local", frozenset({("a", "b")})),
        None,
        5,
        signed,
    )


def kept(store: Store, journal: Any, *open_numbers: int) -> KeptWords:
    return KeptWords(store, "d1", journal, is_open=lambda number: number in open_numbers)


async def test_what_was_acknowledged_is_there_after_a_restart_and_only_its_newest_word(store: Store) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock()) as journal:
        words = kept(store, journal, 1, 2)
        first, second = words.keep(word(register_wh=1000)), words.keep(word(register_wh=1500))
        await asyncio.gather(first, second, words.keep(word("CP2", "u", number=None)))
        again = kept(store, journal, 1, 2)
        assert again.of("CP1") == [word(register_wh=1500)]
        assert again.of("CP2") == [word("CP2", "u", number=None)]
        assert again.of("CP3") == []
        assert again.register_wh("CP1", 1) == 1500
        assert again.register_wh("CP1", 2) is None


async def test_many_words_are_one_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    real = JournalWriter.commit

    def counted(self: JournalWriter, calls: Any, writes: Any = ()) -> Any:
        sizes.append((len(calls), len(writes)))
        return real(self, calls, writes)

    monkeypatch.setattr(JournalWriter, "commit", counted)
    async with SqlJournal(store, "d1", clock=SystemClock()) as journal:
        words = kept(store, journal, 1)
        await asyncio.gather(*(words.keep(word(f"CP{n}", "t")) for n in range(300)))
    assert sizes == [(1, 1)]


async def test_a_word_of_what_ended_meanwhile_is_void_and_its_row_goes(store: Store) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock()) as journal:
        words = kept(store, journal, 1, 2)
        await asyncio.gather(words.keep(word(number=1)), words.keep(word(transaction="u", number=2)), words.keep(word("CP2", "v")))
        words.forget("CP2", "v")
        later = kept(store, journal, 2)
        assert [w.transaction_id for w in later.of("CP1")] == ["u"]
        assert [w.transaction_id for w in kept(store, journal, 1, 2).of("CP1")] == ["t", "u"]
        await later.keep(word("CP3", "w", number=2))
        assert [w.transaction_id for w in kept(store, journal, 1, 2).of("CP1")] == ["u"]
    with Store.open(store.path) as reopened:
        assert kept(reopened, None, 1, 2).of("CP2") == []


async def test_invented_transactions_do_not_fill_the_table(store: Store) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock()) as journal:
        words = kept(store, journal)
        await asyncio.gather(*(words.keep(word(transaction=f"t{n}", number=None)) for n in range(10 * MOST_EACH)))
        await words.keep(word("CP2", number=None))
        assert [w.transaction_id for w in kept(store, journal).of("CP1")] == [f"t{n}" for n in range(9 * MOST_EACH, 10 * MOST_EACH)]


async def test_fault_4_while_the_database_is_locked_acknowledgements_wait_and_then_come(store: Store, tmp_path: Path) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock()) as journal:
        words = kept(store, journal, 1)
        other = sqlite3.connect(tmp_path / "depot.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        first = asyncio.ensure_future(words.keep(word(register_wh=1)))
        async with asyncio.timeout(5):
            while not journal.frozen:  # noqa: ASYNC110  # what others see is this property
                await asyncio.sleep(0.01)
        rest = [asyncio.ensure_future(words.keep(word(register_wh=n))) for n in range(2, 200)]
        await asyncio.sleep(0.1)
        assert not first.done()
        assert not any(one.done() for one in rest)
        other.execute("ROLLBACK")
        other.close()
        await asyncio.wait_for(asyncio.gather(first, *rest), 5)
        assert kept(store, journal, 1).register_wh("CP1", 1) == 199


async def test_one_who_gives_up_takes_nobody_along(store: Store) -> None:
    async with SqlJournal(store, "d1", clock=SystemClock()) as journal:
        words = kept(store, journal, 1)
        given_up, patient = asyncio.ensure_future(words.keep(word())), asyncio.ensure_future(words.keep(word("CP2")))
        given_up.cancel()
        await asyncio.wait_for(patient, 5)
