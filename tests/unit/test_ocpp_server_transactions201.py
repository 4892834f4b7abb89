"""Transactions of 2.0.1 stations: whatever order and number events come in, one session and one stop; and the book's words."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp_fakes import START, FakeDepot, depot_spec

from controller.clock import VirtualClock, run_virtual
from depot.events import ConnectorStatus
from depot.last_words import LastWord
from ocpp_server.desks import Desks
from ocpp_server.link import Later
from ocpp_server.meter_values import read_samples
from ocpp_server.samples201 import as_16
from ocpp_server.session import CallReceived, Payload
from ocpp_server.station import Station
from ocpp_server.transactions201 import KEPT, Book
from ocpp_server.v201 import Inbound

STAMP = "2026-03-01T12:00:00Z"


def event(seq: int, kind: str, *, state: str, wh: float, token: bool) -> Payload:
    payload: Payload = {
        "eventType": kind, "triggerReason": "ChargingStateChanged", "seqNo": seq, "timestamp": STAMP, "evse": {"id": 1},
        "transactionInfo": {"transactionId": "t", "chargingState": state},
        "meterValue": [{"timestamp": STAMP, "sampledValue": [{"value": wh}]}],
    }  # fmt: skip
    return {**payload, "idToken": {"idToken": "TAG", "type": "Local"}} if token else payload


STORY = (
    event(0, "Started", state="EVConnected", wh=1000, token=False),
    event(1, "Updated", state="EVConnected", wh=1000, token=True),
    event(2, "Updated", state="Charging", wh=1000, token=False),
    event(3, "Updated", state="Charging", wh=1500, token=False),
    event(4, "Updated", state="SuspendedEV", wh=2000, token=False),
    event(5, "Ended", state="Idle", wh=2000, token=False),
)
"""A session from the plug to its end."""


class Kept:
    """Last words that outlive a process; durable at once."""

    def __init__(self) -> None:
        self.words: dict[str, LastWord] = {}

    def of(self, station_id: str) -> list[LastWord]:
        return list(self.words.values())

    def keep(self, word: LastWord) -> asyncio.Future[None]:
        self.words[word.transaction_id] = word
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def forget(self, station_id: str, transaction_id: str) -> None:
        self.words.pop(transaction_id, None)


def tell(sent: list[Payload], depot: FakeDepot, *, processes: int = 1, kept: Kept | None = None) -> list[Any]:
    """Send events one after the other, over ``processes`` lives of the central system; returns the answers."""
    desks = Desks() if kept is None else Desks(words=kept)

    async def main(clock: VirtualClock) -> list[Any]:
        answers: list[Any] = []
        share = -(-len(sent) // processes)
        for life in range(processes):
            station = Station(depot_spec().stations[0], known_probe=None, now=clock.now())
            inbound = Inbound(
                station, events=depot, clock=clock, jitter=0.0, replay_age_s=120.0, boot_answered=lambda _: None,
                desks=desks,
            )  # fmt: skip
            for n, payload in enumerate(sent[life * share : (life + 1) * share]):
                call = CallReceived(f"{life}-{n}", "TransactionEvent", payload, n)
                answer = inbound.immediate(call)
                if isinstance(answer, Later):
                    await answer.durable
                    answer = answer.payload
                answers.append(await inbound.handle(call) if answer is None else answer)
                await asyncio.sleep(0)
        return answers

    return run_virtual(main, start=START)


@settings(deadline=None, max_examples=60)
@given(
    repeats=st.lists(st.integers(0, len(STORY) - 1), max_size=8),
    order=st.randoms(use_true_random=False),
    processes=st.integers(1, 3),
    keeps=st.booleans(),
)
def test_problem_05_whatever_is_repeated_or_comes_again_later_it_is_one_session_with_one_end(
    repeats: list[int], order: Any, processes: int, keeps: bool
) -> None:
    """The story in its order, with repetitions anywhere after their first time, and the process restarting in between."""
    sent = list(STORY)
    for n in repeats:
        sent.insert(order.randint(sent.index(STORY[n]) + 1, len(sent)), STORY[n])
    depot = FakeDepot()
    kept = Kept() if keeps else None
    answers = tell(sent, depot, processes=processes, kept=kept)
    assert set(depot.starts) == {"CP1|2.0.1|t"}
    assert depot.requests[0].id_tag == "TAG"
    assert depot.requests[0].meter_start_wh == 1000
    assert {(stop.transaction_id, stop.meter_stop_wh) for stop in depot.stops} == {(1, 2000)}
    for payload, answer in zip(sent, answers, strict=True):
        assert answer == ({"idTokenInfo": {"status": "Accepted"}} if "idToken" in payload else {})
    if processes == 1:
        assert len(depot.requests) == len(depot.stops) == 1
        assert depot.statuses[-1][1] is not ConnectorStatus.CHARGING


def test_after_a_restart_what_was_heard_is_known_and_a_lost_register_is_found() -> None:
    """Whatever Updated was acknowledged is not handled twice, the session is the old one, and its end has the last register."""
    depot, kept = FakeDepot(), Kept()
    end: Payload = {key: value for key, value in STORY[5].items() if key != "meterValue"}
    tell([*STORY[:4], STORY[3], STORY[3]], depot, processes=2, kept=kept)
    assert [reading.energy_wh for reading in depot.readings] == [1000, 1000, 1000, 1500]
    assert kept.words["t"].heard == ((0, 3),)
    assert (kept.words["t"].register_wh, kept.words["t"].state, kept.words["t"].number) == (1500, "Charging", 1)
    tell([end], depot, kept=kept)
    assert len(depot.requests) == 1
    assert [(stop.transaction_id, stop.meter_stop_wh) for stop in depot.stops] == [(1, 1500)]
    assert not kept.words


def test_what_came_before_the_session_outlives_the_process() -> None:
    """Plugged in before the restart, authorised after it: the session begins where the vehicle was plugged in."""
    depot, kept = FakeDepot(), Kept()
    first = {**STORY[0], "reservationId": 7}
    later = [
        {**event(n, "Updated", state=state, wh=1200, token=n == 1), "offline": False} for n, state in ((1, "EVConnected"), (2, "Charging"))
    ]
    for part in (first, *later):
        tell([part], depot, kept=kept)
    (request,) = depot.requests
    assert (request.meter_start_wh, request.id_tag, request.reservation_id) == (1000, "TAG", 7)


def test_one_that_ends_without_a_place_leaves_nothing_behind() -> None:
    """Authorised, and nobody plugged in: it never was a session, and its word is not kept."""
    depot, kept = FakeDepot(), Kept()
    tell([{key: value for key, value in STORY[n].items() if key != "evse"} for n in (1, 5)], depot, kept=kept)
    assert not depot.requests
    assert not depot.stops
    assert not kept.words


def test_an_updated_event_is_answered_when_it_is_durable_and_measured_at_once() -> None:
    """Invariant 4: the limiter has the reading, the station waits for the commit."""

    class Slow(Kept):
        def keep(self, word: LastWord) -> asyncio.Future[None]:
            super().keep(word)
            return asyncio.get_running_loop().create_future()

    depot, kept = FakeDepot(), Kept()
    tell(list(STORY[:3]), depot, kept=kept)
    slow = Slow()
    slow.words = kept.words

    async def main(clock: VirtualClock) -> None:
        station = Station(depot_spec().stations[0], known_probe=None, now=clock.now())
        inbound = Inbound(
            station, events=depot, clock=clock, jitter=0.0, replay_age_s=120.0, boot_answered=lambda _: None, desks=Desks(words=slow)
        )
        answer = inbound.immediate(CallReceived("m", "TransactionEvent", STORY[3], 1))
        assert isinstance(answer, Later)
        assert depot.readings[-1].energy_wh == 1500
        assert slow.words["t"].register_wh == 1500
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await answer.durable

    run_virtual(main, start=START)


@settings(deadline=None, max_examples=40)
@given(order=st.permutations(STORY))
def test_problem_07_in_any_order_the_end_is_the_end_and_the_newest_state_stays(order: list[Payload]) -> None:
    depot = FakeDepot()
    end = list(order).index(STORY[5]) + 1
    tell(list(order), depot)
    assert set(depot.starts) == {"CP1|2.0.1|t"}
    assert [stop.meter_stop_wh for stop in depot.stops] == [2000]
    until_then = FakeDepot()
    tell(list(order[:end]), until_then)
    assert depot.statuses == until_then.statuses  # what comes after the end is no news


def test_the_book_is_bounded_and_forgets_what_has_ended_first() -> None:
    book = Book((1,))
    running = book.take("running")
    running.connector, running.number = 1, 7
    for n in range(3 * KEPT):
        book.ended(book.take(f"t{n}"))
    assert book.of_number(7) == "running"
    assert book.running(1) is running
    assert book.known("t0") is None
    assert book.known(f"t{3 * KEPT - 1}") is not None


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({}, None),
        ({1: "Available"}, ConnectorStatus.AVAILABLE),
        ({1: "Occupied", 2: "Available"}, ConnectorStatus.PREPARING),
        ({1: "Available", 2: "Faulted"}, ConnectorStatus.AVAILABLE),
        ({1: "Unavailable", 2: "Faulted"}, ConnectorStatus.FAULTED),
        ({1: "Reserved"}, ConnectorStatus.RESERVED),
    ],
)
def test_an_evse_is_what_its_connectors_say(said: dict[int, str], wanted: ConnectorStatus | None) -> None:
    book = Book((1, 2))
    for connector, status in said.items():
        book.connector_says(1, connector, status)
    assert book.status(1) is wanted


def test_an_event_that_was_asked_for_need_not_say_its_evse() -> None:
    book = Book((1, 2))
    book.expect(2)
    assert book.place(1, triggered=True) == 1
    assert book.place(None, triggered=False) is None
    assert book.place(None, triggered=True) == 2
    assert book.place(None, triggered=True) is None
    assert Book((1,)).place(None, triggered=False) == 1


@given(
    number=st.floats(allow_nan=False, allow_infinity=False, width=32),
    power=st.one_of(st.integers(-9, 9), st.integers(-(2**62), 2**62)),
    unit=st.sampled_from(["", "Wh", "kWh", "W", "?"]),
)
def test_problem_09_any_number_with_any_power_of_ten_is_a_register_or_counted(number: float, power: int, unit: str) -> None:
    rejected: Counter[str] = Counter()
    entry = {"timestamp": STAMP, "sampledValue": [{"value": number, "unitOfMeasure": {"unit": unit, "multiplier": power}}]}
    (sample,) = read_samples(as_16([entry]), rejected)
    if sample.energy_wh is None:
        assert rejected.total() == 1
    else:
        assert unit in ("", "Wh", "kWh")
        assert sample.energy_wh == pytest.approx(number * 10.0**power * (1000 if unit == "kWh" else 1))
