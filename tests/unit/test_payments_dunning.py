"""Reminders: when they are due, made once, handed over until taken, and of no bill that is settled."""

from __future__ import annotations

import json
from datetime import timedelta

import anyio
import httpx
import pytest
import respx
from books_kit import DEPOT, NOW, Kit
from sqlmodel import select

from payments.chores import Chores
from payments.dunning import Arrears, Reminder, arrears_of, due_numbers, note_reminders
from payments.gateway import NotSent, Ok, SettlementItem
from payments.messenger import HttpMessenger
from payments.reasons import Reason
from payments.records import Books
from payments.tables import ReminderRow
from payments.webhooks import signature

DAYS = (0, 3, 7, 14)


@pytest.fixture
def kit() -> Kit:
    made = Kit()
    made.mandate()
    made.failed("s1")
    return made


class Taker:
    """A messenger. ``open``: whether it takes anything."""

    def __init__(self) -> None:
        self.open, self.got, self.asked = True, list[Reminder](), 0

    async def __call__(self, reminder: Reminder) -> bool:
        self.asked += 1
        if self.open:
            self.got.append(reminder)
        return self.open


class NoReports:
    """A gateway without settlement reports."""

    async def settlement_items(self, day: object) -> Ok[list[SettlementItem]] | NotSent:
        return Ok([])


def chores(kit: Kit, taker: Taker | None) -> Chores:
    return Chores(kit.store, DEPOT, kit.clock, NoReports(), kit.desk.terms, taker)  # type: ignore[arg-type]


def note(kit: Kit, days: tuple[int, ...] = DAYS) -> int:
    with kit.store.unit() as session:
        return note_reminders(Books(session, DEPOT), kit.now, days=days)


def numbers(kit: Kit) -> list[int]:
    with kit.store.unit() as session:
        return sorted(session.exec(select(ReminderRow.number)).all())


def arrears(kit: Kit) -> list[Arrears]:
    with kit.store.unit() as session:
        return arrears_of(Books(session, DEPOT), days=DAYS)


def test_which_are_due() -> None:
    hour = timedelta(hours=1)
    assert due_numbers(NOW, NOW, days=DAYS) == [1]
    assert due_numbers(NOW, NOW + 3 * 24 * hour - hour, days=DAYS) == [1]
    assert due_numbers(NOW, NOW + 14 * 24 * hour, days=DAYS) == [1, 2, 3, 4]
    assert due_numbers(NOW, NOW, days=()) == []


def test_each_is_made_once_and_those_that_were_missed_are_one(kit: Kit) -> None:
    assert [note(kit), note(kit)] == [1, 0]
    kit.later(days=8)
    assert [note(kit), note(kit)] == [1, 0]
    assert numbers(kit) == [0, 1, 3], "0: since when"
    kit.later(days=100)
    note(kit)
    assert numbers(kit) == [0, 1, 3, 4]


def test_days_that_do_not_begin_with_0_count_from_when_the_bill_was_seen(kit: Kit) -> None:
    assert note(kit, (2, 5)) == 0
    kit.later(days=2)
    assert note(kit, (2, 5)) == 1
    assert numbers(kit) == [0, 1]


def test_one_is_handed_over_until_it_is_taken_with_pauses(kit: Kit) -> None:
    taker = Taker()
    taker.open = False
    work = chores(kit, taker)
    anyio.run(work.run)
    anyio.run(work.run)
    assert taker.asked == 1, "not tried again at once"
    kit.later(minutes=11)
    taker.open = True
    for _ in range(3):
        anyio.run(work.run)
        kit.later(hours=1)
    (told,) = taker.got
    assert (told.driver_id, told.session_id, told.owed_paise, told.number, told.last) == ("rani", "s1", 118_00, 1, False)
    assert told.what_to_do == "the driver must set up a new mandate"
    kit.later(days=14)
    anyio.run(work.run)
    assert [(r.number, r.last) for r in taker.got] == [(1, False), (4, True)]


def test_nobody_is_reminded_of_what_is_settled_or_being_tried_again(kit: Kit) -> None:
    kit.failed("s2")
    note(kit)
    kit.desk.write_off("s1", why="x")
    kit.desk.collect_again("s2")
    taker = Taker()
    anyio.run(chores(kit, taker).run)
    assert taker.got == []
    assert arrears(kit) == []


def test_many_settled_reminders_do_not_hold_up_a_fresh_one(kit: Kit) -> None:
    for n in range(25):
        kit.failed(f"old{n}")
    note(kit)
    for n in range(25):
        kit.desk.write_off(f"old{n}", why="x")
    taker = Taker()
    anyio.run(chores(kit, taker).run)
    assert [r.session_id for r in taker.got] == ["s1"]


def test_the_list_of_arrears_says_why_and_what_comes_next(kit: Kit) -> None:
    (line,) = arrears(kit)
    assert (line.since, line.reminders, line.next_at) == (None, 0, None)
    anyio.run(chores(kit, Taker()).run)
    (line,) = arrears(kit)
    assert (line.session_id, line.owed_paise, line.reason) == ("s1", 118_00, Reason.MANDATE_CANCELLED)
    assert (line.since, line.reminders, line.taken, line.next_at) == (NOW, 1, 1, NOW + timedelta(days=3))
    with kit.store.unit() as session:
        assert arrears_of(Books(session, DEPOT), driver_id="vikram") == []


REMINDER = Reminder("rani", "s1", "2627/000001", 1, False, 118_00, "pay", NOW, None)


@pytest.mark.parametrize(
    ("answer", "taken"),
    [(httpx.Response(204), True), (httpx.Response(500), False), (httpx.Response(302), False), (httpx.ConnectError("no"), False)],
)
@respx.mock
def test_the_messenger_is_told_in_json_that_is_signed(answer: httpx.Response | httpx.ConnectError, taken: bool) -> None:
    where = "https://sms.example.org/hook"
    route = respx.post(where)
    route.side_effect = [answer]
    assert anyio.run(HttpMessenger(where, "secret"), REMINDER) is taken
    request = route.calls[0].request
    assert request.headers["x-chargeyard-signature"] == signature(request.content, "secret")
    told = json.loads(request.content)
    assert (told["schema"], told["owed_paise"], told["currency"], told["driver_id"]) == ("payment_reminder/1", 118_00, "INR", "rani")
    assert not {"phone", "name", "email", "vpa", "contact"} & set(told)
