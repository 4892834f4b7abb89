"""The room of the books: its views as pages and machines get them, what people order, and what it reports to the alarm desk."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar, cast

import pytest
from books_kit import DEPOT, Kit, line
from small_yard import SmallYard

from controller import books_view as v
from controller.books_room import BooksRoom
from depot import commands as cmd
from depot.events import Envelope
from depot.values import InvalidValue
from payments.dunning import note_reminders
from payments.records import Books
from payments.settlements import take_in
from payments.states import RefundState

T = TypeVar("T")
Status = cmd.CommandStatus


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class World:
    def __init__(self) -> None:
        self.kit = Kit()
        self.kit.mandate()
        self.yard = SmallYard()
        self.yard.clock.at = self.kit.now
        self.room = BooksRoom(self.yard.yard, self.kit.desk, write_off_alone_paise=1_000_00)

    def show(self, kind: type[T], **args: str) -> T:
        return cast(T, run(cast(Any, self.room.views[cast(Any, kind)](args))))

    def order(self, kind: type[cmd.Command], **more: Any) -> tuple[cmd.CommandStatus, str]:
        told = kind(command_id="c1", actor="meera", reason="seen the receipt", **more)
        return run(cast(Any, self.room.commands[kind](told, cast(Envelope, None))))

    def settle(self, payment: str, net: int) -> None:
        item = line(payment, 118_00, net=net)
        take_in(self.kit.store, DEPOT, [item], day=self.kit.now.date(), now=self.kit.now)

    def alarms(self) -> list[str] | None:
        found = self.room.conditions(self.kit.now)
        return None if found is None else [f"{c.subject}|{c.title}" for c in found]


@pytest.fixture
def world() -> World:
    return World()


def test_a_difference_is_an_alarm_until_it_is_explained_by_name(world: World) -> None:
    payment = world.kit.paid("s1")
    assert world.alarms() is None
    run(world.room.look())
    assert world.alarms() == []
    world.settle(payment, 108_00)
    run(world.room.look())
    assert world.alarms() == ["|1 settled thing does not agree with the books: ₹10.00."]
    assert {c.kind for c in world.room.conditions(world.kit.now) or ()} <= world.room.kinds
    seen = world.show(v.ReconciliationView)
    assert (seen.zero, seen.open, seen.open_paise, seen.gap_paise, seen.differences[0].kind) == (False, 1, 10_00, 0, "short")
    assert world.order(cmd.ExplainDifference, difference_id=seen.differences[0].difference_id)[0] is Status.DONE
    assert world.alarms() == []
    assert world.show(v.ReconciliationView).zero
    (told,) = world.show(v.ReconciliationView, explained="1").differences
    assert (told.explained_by, told.explanation) == ("meera", "seen the receipt")
    with pytest.raises(InvalidValue, match="no difference"):
        world.order(cmd.ExplainDifference, difference_id="nothing")


def test_books_that_do_not_agree_with_themselves_are_an_alarm(world: World) -> None:
    world.kit.paid("s1")
    with world.kit.store.unit() as session:
        session.connection().exec_driver_sql("UPDATE payments_payment SET amount_paise = amount_paise + 1")
    run(world.room.look())
    assert world.alarms() == ["books|The books do not agree with themselves: debits, documents and ledger say different sums."]
    assert world.show(v.FleetStatementView).mismatches == ["capture of rani: ₹118.00 in the ledger, ₹118.01 in the documents"]


def test_debits_come_in_pages_with_bills_and_steps(world: World) -> None:
    for n in range(3):
        world.kit.paid(f"s{n}")
        world.kit.later(hours=1)
    world.settle(world.kit.paid("s3"), 118_00)
    first = world.show(v.DebitsView, limit="2")
    rest = world.show(v.DebitsView, limit="2", before=first.more)
    assert [b.session_id for d in (*first.debits, *rest.debits) for b in d.bills] == ["s3", "s2", "s1", "s0"]
    assert (rest.more, first.debits[0].stage, first.debits[1].stage) == ("", "reconciled", "captured")
    assert [s.what for s in first.debits[0].steps] == ["batched", "notice asked for", "taken", "settled"]
    assert first.debits[0].bills[0].paid_paise == 118_00
    assert world.show(v.DebitsView, driver_id="nobody").debits == []
    with pytest.raises(InvalidValue, match="number"):
        world.show(v.DebitsView, limit="many")


def test_a_failed_debit_says_why_and_what_to_do(world: World) -> None:
    world.kit.failed("s1")
    (debit,) = world.show(v.DebitsView).debits
    assert (debit.stage, debit.reason, debit.what_to_do) == ("arrears", "mandate_cancelled", "the driver must set up a new mandate")
    assert debit.steps[-1].what == "failed"
    (bill,) = world.show(v.ArrearsView).bills
    assert (bill.session_id, bill.owed_paise, bill.reason) == ("s1", 118_00, "mandate_cancelled")
    assert (world.show(v.ArrearsView).owed_paise, world.show(v.ArrearsView).write_off_alone_paise) == (118_00, 1_000_00)


def test_paid_at_the_desk_once_with_a_known_way(world: World) -> None:
    world.kit.failed("s1")
    with pytest.raises(InvalidValue, match="cash, upi_qr or bank"):
        world.order(cmd.PayOtherwise, session_id="s1", way="cheque", reference="R-0001")
    status, words = world.order(cmd.PayOtherwise, session_id="s1", way="cash", reference="R-0001")
    assert (status, words.startswith("₹118.00 is booked as paid")) == (Status.DONE, True)
    assert world.order(cmd.PayOtherwise, session_id="s1", way="cash", reference="R-0001")[1].startswith("it was booked before")
    with pytest.raises(InvalidValue, match="no session"):
        world.order(cmd.PayOtherwise, session_id="s9", way="cash", reference="R-0002")
    assert world.show(v.ArrearsView).bills == []


def test_a_failed_refund_is_shown_and_asked_for_again(world: World) -> None:
    world.kit.paid("s1")
    world.kit.desk.refund_bill("s1", why="meter", amount_paise=18_00)
    (row,) = world.kit.refunds()
    world.kit.refund_done(row.key, state=RefundState.FAILED)
    (seen,) = world.show(v.RefundsView, session_id="s1").refunds
    assert (seen.refund_key, seen.amount_paise, seen.state, seen.may_retry) == (row.key, 18_00, "failed", True)
    assert world.order(cmd.RetryRefund, refund_key=row.key)[0] is Status.DONE
    assert {r.state: r.may_retry for r in world.show(v.RefundsView).refunds} == {"replaced": False, "pending": False}


def test_statements_with_their_spans(world: World) -> None:
    world.kit.paid("s1")
    mine = world.show(v.DriverStatementView, driver_id="rani", csv="1")
    assert (mine.first.day, mine.last, mine.closing_paise, len(mine.lines)) == (1, world.kit.now.date(), 0, 2)
    assert mine.csv.startswith("at,kind,reference")
    fleet = world.show(v.FleetStatementView)
    assert (fleet.drivers[0].invoiced_paise, fleet.mismatches, fleet.csv) == (118_00, [], "")
    day = world.show(v.DayStatementView, day=world.kit.now.date().isoformat())
    assert (day.entries, sum(a.closing_paise for a in day.accounts)) == (2, 0)
    for args, words in (
        ({"first": "2026-11-30"}, "earlier day"), ({"first": "2025-01-01"}, "400 days"), ({"last": "tomorrow"}, "such as 2026-11-22"),
    ):  # fmt: skip
        with pytest.raises(InvalidValue, match=words):
            world.show(v.FleetStatementView, **args)


def test_a_drivers_reminders_are_counted(world: World) -> None:
    world.kit.failed("s1")
    with world.kit.store.unit() as session:
        note_reminders(Books(session, DEPOT), world.kit.now)
    (bill,) = world.show(v.ArrearsView, driver_id="rani").bills
    assert (bill.reminders, bill.taken, bill.next_reminder_at) == (1, 0, world.kit.now + timedelta(days=3))
