"""Journal: order, idempotency, what is folded is what was written, snapshots, damage found and named."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

import controller
from controller.clock import SystemClock, VirtualClock, run_virtual
from controller.codec import EventCodec, Ids, NotDecodable, NotEncodable, decode_state, encode_state
from controller.journal import JournalBroken, JournalClosed, JournalCorrupt, SqlJournal
from controller.journal_store import JournalWriter, Tip, load, seq_before
from depot import events as ev
from depot.events import Envelope, NewEvent
from depot.fold import fold
from depot.state import DepotState
from depot.values import ConnectorId, Limit, LimitSource, ScopeKind
from storage import Store

NOW = datetime(2026, 3, 29, 18, 30, 0, 123_456, tzinfo=UTC)
CP1 = ConnectorId("CP1", 1)

EVENTS: list[ev.Event] = [
    ev.ControllerStarted("0.1"),
    ev.StationBooted("CP1", "ACME", "X", "1", "2.0"),
    ev.StationQuarantined("EVIL", "10.0.0.9"),
    ev.StationProbed("CP1", ("W",), ("TxProfile",), 3, False),
    ev.StationProbed("CP1", ("W",), ("TxProfile",), 3, False, 24, 16, False, True, None),
    ev.ScheduleCompared(CP1, False, "it says 20.0 kW"),
    ev.ConnectorStatusChanged(CP1, ev.ConnectorStatus.PREPARING),
    ev.ConnectorTrustChanged(CP1, ev.TrustLevel.OVERDRAWS, 1.25, "metered"),
    ev.ConnectorAvailabilitySet(CP1, False, "repair"),
    ev.DefaultInstalled(CP1, None),
    ev.VisitAnnounced("V1", "BUS1", NOW, NOW + timedelta(hours=8), 90_000, 60_000, connector=CP1, soc_arrival=0.3),
    ev.VisitArrived("V1", CP1),
    ev.TransactionStarted(7, "s-1", CP1, "TAG", 1000, "V1"),
    ev.SetpointGranted(CP1, 22_000, NOW + timedelta(seconds=180)),
    ev.SetpointLowered(CP1, 11_000, NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))),
    ev.LimitSet(Limit("manual", ScopeKind.FEEDER, 50_000, LimitSource.MANUAL, NOW, "F1", None, reason="₹ & heat")),
    ev.LimitCleared("other"),
    ev.TransactionStopped(7, CP1, 9000, "Local"),
    ev.StopOrphaned("CP1", -1, 5),
    ev.CommandRequested("c1", "stop", "CP1/1", "because", {"a": "b"}),
    ev.CommandFinished("c1", "done"),
    ev.PlanAccepted("p1", 12.5, 0, 0.4, "cadence"),
]


def new(data: ev.Event, key: str | None = None, at: datetime = NOW) -> NewEvent:
    return NewEvent(data, at, key=key)


def granted(level_w: int, connector: int = 1) -> ev.SetpointGranted:
    return ev.SetpointGranted(ConnectorId("CP1", connector), level_w, NOW)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(tmp_path / "depot.db") as store:
        store.migrate([controller])
        yield store


def journal(store: Store, **options: Any) -> SqlJournal:
    return SqlJournal(store, "d1", clock=SystemClock(), **options)


def sql(store: Store, statement: str) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql(statement)


# -- codec --------------------------------------------------------------------------------------------------------------


def test_events_of_all_shapes_come_back_from_its_bytes() -> None:
    codec = EventCodec()
    for event in EVENTS:
        assert codec.decode(event.TYPE, event.VERSION, codec.encode(event)) == event


@dataclass(frozen=True, slots=True)
class Renamed(ev.Event):
    TYPE: ClassVar[str] = "test.thing_renamed"
    VERSION: ClassVar[int] = 3
    power_w: int


def test_old_shapes_are_upcast_step_by_step() -> None:
    codec = EventCodec(
        {Renamed.TYPE: Renamed},
        {
            (Renamed.TYPE, 1): lambda raw: {"power_kw": raw["kw"]},
            (Renamed.TYPE, 2): lambda raw: {"power_w": round(raw["power_kw"] * 1000)},
        },
    )
    assert codec.decode(Renamed.TYPE, 1, '{"kw": 7.2}') == Renamed(7200)
    assert codec.decode(Renamed.TYPE, 2, '{"power_kw": 7.2}') == Renamed(7200)
    assert codec.decode(Renamed.TYPE, 3, '{"power_w": 7200}') == Renamed(7200)
    with pytest.raises(NotDecodable, match="newer than ours"):
        codec.decode(Renamed.TYPE, 4, "{}")
    with pytest.raises(NotDecodable, match="no upcaster"):
        EventCodec({Renamed.TYPE: Renamed}).decode(Renamed.TYPE, 1, "{}")
    with pytest.raises(NotDecodable, match="do not fit"):
        codec.decode(Renamed.TYPE, 1, '{"watts": 1}')


def test_a_station_that_was_probed_by_an_older_version_comes_back_with_nothing_known_of_what_is_new() -> None:
    old = '{"station_id":"CP1","rate_units":["W"],"purposes":["TxProfile"],"max_stack_level":3,"autonomous":false}'
    assert EventCodec().decode("station.capability_probed", 1, old) == ev.StationProbed("CP1", ("W",), ("TxProfile",), 3, False)


def test_ids_are_version_7_sorted_by_time_and_repeatable_with_a_seed() -> None:
    ids = Ids(seed=1)
    made = [ids.uuid7(NOW + timedelta(milliseconds=k)) for k in range(50)]
    assert made == sorted(made)
    assert all(text[14] == "7" and text[19] in "89ab" for text in made)
    again = Ids(seed=1)
    assert made[0] == again.uuid7(NOW)
    assert Ids().uuid7(NOW) != Ids().uuid7(NOW)


# -- append -------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("writer", ["thread", "inline"])
async def test_facts_come_back_as_they_were_answered(store: Store, writer: str) -> None:
    heard: list[Envelope] = []
    async with journal(store, writer=writer) as j:
        j.subscribe(lambda envelopes, state: heard.extend(envelopes))
        answered = [envelope for event in EVENTS for envelope in await j.append([new(event)])]
        assert [e.seq for e in answered] == list(range(1, len(EVENTS) + 1))
        assert [e.data for e in answered] == EVENTS
        assert answered[0].occurred_at == NOW.replace(microsecond=123_000)
        assert heard == answered
        state = j.state
    async with journal(store, writer=writer) as j:
        assert j.state == state == fold(DepotState(), answered)


@pytest.mark.anyio
async def test_state_is_folded_and_told_before_the_append_returns(store: Store) -> None:
    async with journal(store) as j:
        seen: list[int] = []
        j.subscribe(lambda envelopes, state: seen.append(state.seq))
        (envelope,) = await j.append([new(granted(5))])
        assert j.state.seq == envelope.seq == seen[-1]
        grant = j.state.connector(CP1).grant
        assert grant is not None
        assert grant.level_w == 5


@pytest.mark.anyio
async def test_subscriber_that_fails_hurts_nobody(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def bad(envelopes: Sequence[Envelope], state: DepotState) -> None:
        raise ValueError("oops")

    heard: list[int] = []
    async with journal(store) as j:
        end = j.subscribe(bad)
        j.subscribe(lambda envelopes, state: heard.append(state.seq))
        await j.append([new(granted(1))])
        end()
        await j.append([new(granted(2))])
    assert heard == [1, 2]
    assert caplog.text.count("a subscriber of the journal failed") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("writer", ["thread", "inline"])
async def test_key_is_idempotent_across_calls_batches_and_restarts(store: Store, writer: str) -> None:
    async with journal(store, writer=writer) as j:
        (first,) = await j.append([new(granted(1), key="k")])
        (again,) = await j.append([new(granted(2), key="k")])
        assert again == replace(first, duplicate=True)
        one, two, three = await j.append([new(granted(3), key="m"), new(granted(4), key="m"), new(granted(5))])
        assert (one.duplicate, two.duplicate, three.duplicate) == (False, True, False)
        assert two.seq == one.seq == 2
        assert three.seq == 3
        many = await asyncio.gather(*(j.append([new(granted(k), key="n")]) for k in range(20)))
        assert len({envelope.seq for (envelope,) in many}) == 1
        assert sum(not envelope.duplicate for (envelope,) in many) == 1
    async with journal(store, writer=writer) as j:
        (later,) = await j.append([new(granted(9), key="k")])
        assert later == replace(first, duplicate=True)
        assert j.state.seq == 4


@pytest.mark.anyio
async def test_depots_in_one_database_do_not_meet(store: Store) -> None:
    async with journal(store) as a, SqlJournal(store, "d2", clock=SystemClock()) as b:
        await a.append([new(granted(1), key="k")])
        (other,) = await b.append([new(granted(2), key="k")])
        assert (other.seq, other.duplicate, other.depot_id) == (1, False, "d2")


@pytest.mark.anyio
@pytest.mark.parametrize("writer", ["thread", "inline"])
async def test_bad_fact_hits_its_own_caller_only(store: Store, writer: str) -> None:
    async with journal(store, writer=writer) as j:
        with pytest.raises(NotEncodable, match="no time zone"):
            await j.append([NewEvent(granted(1), datetime(2026, 1, 1))])
        with pytest.raises(NotEncodable):
            await j.append([new(ev.PlanAccepted("p", float("nan"), 0, 0.1))])
        with pytest.raises(NotEncodable, match="EVENT_TYPES"):
            await j.append([new(Renamed(1))])
        good, bad = await asyncio.gather(
            j.append([new(granted(1))]),
            j.append([new(granted(2)), new(ev.SetpointGranted(ConnectorId("CP1", 2), 1, NOW), at=NOW)]),
        )
        assert [e.seq for e in (*good, *bad)] == [1, 2, 3]
        assert await j.append([]) == []


@pytest.mark.anyio
async def test_fact_that_cannot_be_folded_is_not_stored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fold

    def picky(state: DepotState, envelopes: Any) -> DepotState:
        for envelope in envelopes:
            if envelope.data == granted(13):
                raise ZeroDivisionError("a mistake in fold")
            state = real(state, (envelope,))
        return state

    monkeypatch.setattr("controller.journal_store.fold", picky)
    async with journal(store) as j:
        results = await asyncio.gather(*(j.append([new(granted(k))]) for k in (12, 13, 14)), return_exceptions=True)
        assert isinstance(results[1], ZeroDivisionError)
        assert j.state.seq == 2
    monkeypatch.undo()
    assert load(store, "d1", EventCodec()).seq == 2


@pytest.mark.anyio
async def test_second_writer_is_found_out_and_ends_the_first(store: Store) -> None:
    async with journal(store) as first:
        await first.append([new(granted(1))])
        async with journal(store) as second:
            await second.append([new(granted(2))])
        with pytest.raises(JournalBroken, match="another process wrote"):
            await first.append([new(granted(3))])
        with pytest.raises(JournalBroken):
            await first.append([new(granted(4))])
    assert load(store, "d1", EventCodec()).seq == 2


@pytest.mark.anyio
async def test_closed_journal_says_so(store: Store) -> None:
    async with journal(store) as j:
        pass
    with pytest.raises(JournalClosed):
        await j.append([new(granted(1))])
    assert not j.beside(lambda connection: None)


@pytest.mark.anyio
async def test_close_writes_what_waits(store: Store) -> None:
    async with journal(store) as j:
        tasks = [asyncio.create_task(j.append([new(granted(k))])) for k in range(100)]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*tasks)
    assert sorted(envelope.seq for (envelope,) in answers) == list(range(1, 101))


def test_virtual_journal_is_deterministic_and_has_no_threads() -> None:
    async def main(clock: VirtualClock) -> list[Envelope]:
        with Store.open(None) as store:
            store.migrate([controller])
            async with SqlJournal(store, "d1", clock=clock, writer="inline", ids=Ids(seed=5)) as j:
                answered: list[Envelope] = []
                for k in range(100):
                    await clock.sleep(1.5)
                    answered += await j.append([new(granted(k), at=clock.now())])
                return answered

    assert run_virtual(main, start=NOW) == run_virtual(main, start=NOW)


def test_journal_in_memory_needs_the_inline_writer() -> None:
    with Store.open(None) as store, pytest.raises(ValueError, match="inline"):
        journal(store)


@pytest.mark.anyio
async def test_group_commit_takes_what_waits_in_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = JournalWriter.commit

    def counted(self: JournalWriter, calls: Any, writes: Any = ()) -> Any:
        sizes.append(len(calls))
        return real(self, calls, writes)

    monkeypatch.setattr(JournalWriter, "commit", counted)
    async with journal(store) as j:
        started = time.perf_counter()
        await asyncio.gather(*(j.append([new(granted(k))]) for k in range(400)))
        took = time.perf_counter() - started
    assert sum(sizes) == 400
    assert len(sizes) < 40
    assert took < 5


# -- snapshots ----------------------------------------------------------------------------------------------------------


def test_snapshot_holds_the_whole_state() -> None:
    state = DepotState()
    for seq, event in enumerate(EVENTS[:17], 1):
        state = fold(state, [Envelope("i", "d1", seq, event.TYPE, 1, NOW, None, NOW, "a", None, None, event)])
    assert state.transactions
    assert state.visits
    assert state.limits
    assert decode_state(encode_state(state)) == state


async def fill(store: Store, count: int, **options: Any) -> DepotState:
    async with journal(store, **options) as j:
        for k in range(count):
            await j.append([new(granted(k, 1 + k % 3))])
        return j.state


@pytest.mark.anyio
@pytest.mark.parametrize("writer", ["thread", "inline"])
async def test_start_from_snapshot_and_tail_equals_start_from_nothing(store: Store, writer: str) -> None:
    state = await fill(store, 25, snapshot_every=10, writer=writer)
    sql(store, "DELETE FROM snapshots WHERE seq > 20")
    codec = EventCodec()
    assert load(store, "d1", codec) == load(store, "d1", codec, use_snapshot=False)
    assert load(store, "d1", codec).state == state
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM snapshots")).scalar_one() <= 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE snapshots SET state = x'00'",
        "UPDATE snapshots SET state = CAST(state || x'00' AS BLOB)",
        "UPDATE snapshots SET events_digest = x'00112233445566778899aabbccddeeff'",
        "UPDATE snapshots SET seq = seq - 1",
        "UPDATE snapshots SET seq = 99",
        "UPDATE snapshots SET shape = 'older code'",
    ],
)
async def test_damaged_snapshot_is_ignored(store: Store, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    state = await fill(store, 12)
    sql(store, damage)
    assert load(store, "d1", EventCodec()).state == state
    assert "snapshot at seq" in caplog.text


# -- damage -------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("UPDATE events SET data = replace(data, '\"level_w\":4', '\"level_w\":5') WHERE seq = 5", r"seq 5 .*was changed"),
        ("UPDATE events SET actor = 'somebody else' WHERE seq = 5", r"seq 5 .*was changed"),
        ("UPDATE events SET data = '{' WHERE seq = 5", r"seq 5 can't be read: its data do not fit"),
        ("UPDATE events SET type = 'area.never_heard' WHERE seq = 5", r"seq 5 can't be read: its type 'area.never_heard' is unknown"),
        ("UPDATE events SET version = 9 WHERE seq = 5", r"seq 5 can't be read: its version 9"),
        ("UPDATE events SET occurred_at = 'yesterday' WHERE seq = 5", r"seq 5 can't be read"),
        ("DELETE FROM events WHERE seq = 5", r"seq 5 is missing \(the next is 6\)"),
    ],
)
async def test_damaged_fact_refuses_the_start_and_is_named(store: Store, damage: str, expected: str) -> None:
    await fill(store, 8, snapshot_every=0)
    sql(store, damage)
    with pytest.raises(JournalCorrupt, match=expected):
        async with journal(store):
            pass


# -- properties ---------------------------------------------------------------------------------------------------------

connectors = st.builds(ConnectorId, st.sampled_from(["CP1", "CP2"]), st.integers(1, 2))
times = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
facts: st.SearchStrategy[ev.Event] = st.one_of(
    st.builds(ev.SetpointGranted, connectors, st.integers(0, 10**6), times),
    st.builds(ev.ConnectorStatusChanged, connectors, st.sampled_from(list(ev.ConnectorStatus))),
    st.builds(ev.TransactionStarted, st.integers(1, 6), st.just("s"), connectors, st.text(max_size=5), st.integers(0, 100), st.just("V")),
    st.builds(ev.TransactionStopped, st.integers(1, 6), connectors, st.integers(0, 10**5)),
    st.builds(ev.VisitArrived, st.just("V"), connectors),
    st.builds(ev.VisitAnnounced, st.just("V"), st.text(max_size=9), times, times, st.integers(0, 10**6), st.integers(0, 10**5)),
    st.builds(ev.ConnectorTrustChanged, connectors, st.sampled_from(list(ev.TrustLevel)), st.floats(1, 3)),
)
calls = st.lists(st.lists(st.builds(NewEvent, facts, times, key=st.none() | st.sampled_from("abcd")), max_size=4), max_size=12)


@settings(max_examples=60, deadline=None)
@given(calls=calls, cut=st.integers(0, 12))
def test_any_history_folds_the_same_live_replayed_and_restarted(calls: list[list[NewEvent]], cut: int) -> None:
    async def main(clock: VirtualClock) -> None:
        with Store.open(None) as store:
            store.migrate([controller])
            answered: list[Envelope] = []
            lived = DepotState()
            for part in (calls[:cut], calls[cut:]):  # a restart in between
                async with SqlJournal(store, "d1", clock=clock, writer="inline", snapshot_every=3) as j:
                    assert j.state == lived
                    for call in part:
                        answered += await j.append(call)
                    lived = j.state
            fresh = [e for e in answered if not e.duplicate]
            assert [e.seq for e in fresh] == list(range(1, len(fresh) + 1))
            by_key = {e.key: e for e in fresh if e.key is not None}
            assert all(replace(by_key[e.key or ""], duplicate=True) == e for e in answered if e.duplicate)
            assert fold(DepotState(), fresh) == lived
            whole = load(store, "d1", EventCodec(), use_snapshot=False)
            assert whole == load(store, "d1", EventCodec())
            assert whole.state == lived
            # said again, all of it: nothing changes where there is a key
            async with SqlJournal(store, "d1", clock=clock, writer="inline") as j:
                for call in calls:
                    await j.append([event for event in call if event.key is not None])
                assert j.state == lived

    run_virtual(main, start=NOW)


def test_tip_of_an_empty_journal(store: Store) -> None:
    assert load(store, "d1", EventCodec()) == Tip()


def test_the_last_fact_before_a_moment_is_found(store: Store) -> None:
    """Who reads a month does not read the years before it."""

    class Hours:
        at = NOW

        def now(self) -> datetime:
            return self.at

        def monotonic(self) -> float:
            return self.at.timestamp()

    clock = Hours()

    async def work() -> None:
        async with SqlJournal(store, "d1", clock=clock) as kept:  # type: ignore[arg-type]  # it never sleeps
            for hour in range(20):
                clock.at = NOW + timedelta(hours=hour)
                await kept.append([new(ev.StopOrphaned("CP1", hour, 0))])

    asyncio.run(work())
    found = [seq_before(store, "d1", NOW + timedelta(hours=hour, minutes=30)) for hour in (-1, 0, 7, 19, 100)]
    assert found == [0, 1, 8, 20, 20]
    assert seq_before(store, "elsewhere", NOW) == 0
