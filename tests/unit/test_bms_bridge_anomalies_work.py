"""What early work costs against waiting, and work orders with their steps."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_pack_days import fleet, string
from sqlalchemy import text

from bms_bridge.anomalies import AssumptionRefused, WorkRefused
from bms_bridge.anomalies.alerts import Alert, watch
from bms_bridge.anomalies.decision import Assumptions, advise, read_assumptions
from bms_bridge.anomalies.outcomes import Finding
from bms_bridge.anomalies.work import Ending, WorkBook, findings
from storage import Store

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ORDER = {"key": "E-1/P1/internal_short/4", "pack": "E-1/P1", "kind": "internal_short", "due": "2026-12-01", "cause": "c", "advice": "a"}


@pytest.fixture(scope="module")
def alert() -> Alert:
    return watch(fleet(6, first=string("E-99/P1", leak_c_rate=1 / 5000, onset=45)), opinion=False)[0]


def test_early_work_where_the_event_comes_before_the_service(alert: Alert) -> None:
    found = advise(alert, Assumptions(), 20_500)
    assert found.act_now
    assert found.waiting_paise > found.now_paise
    assert 20_500 <= found.due < 20_500 + 60
    soon = advise(alert, Assumptions(service_in_d=0.0), 20_500)
    assert not soon.act_now
    assert "next service" in soon.words


def test_dear_early_work_waits(alert: Alert) -> None:
    assert not advise(alert, Assumptions(early_paise=10**9), 20_500).act_now


def test_assumptions_are_edited_by_name(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("early_paise = 5\n[real]\nplating = 0.9\n")
    found = read_assumptions(file)
    assert (found.early_paise, found.real["plating"], found.real["resistance"]) == (5, 0.9, 0.5)
    for content in (
        "early_paise = -1",
        "real = 3",
        "[real]\nplating = 2",
        "[real]\nrust = 0.1",
        "cheap = 1",
        "x =",
        "real_looks = 0",
        "service_in_d = nan",
    ):
        file.write_text(content)
        with pytest.raises(AssumptionRefused):
            read_assumptions(file)


def test_an_order_is_opened_once_ended_once_and_says_who_and_why(tmp_path: Path) -> None:
    with WorkBook.opened(tmp_path / "pune-work.db") as book:
        order, new = book.open(**ORDER, actor="console asha", reason="leak grows", now=NOW)
        assert (order.number, new, order.state) == (1, True, "open")
        assert book.open(**ORDER, actor="console ravi", reason="again", now=NOW) == (order, False)
        done = book.end(1, Ending.FIXED, actor="console ravi", reason="module 2 replaced", now=NOW)
        assert [(step.actor, step.what, step.reason) for step in done.steps] == [
            ("console asha", "opened", "leak grows"),
            ("console ravi", "fixed", "module 2 replaced"),
        ]
        assert book.orders() == []
        assert book.orders(ended=True) == [done]
        for number in (1, 7):
            with pytest.raises(WorkRefused):
                book.end(number, Ending.DROPPED, actor="x", reason="y", now=NOW)
        for reason in (" ", "x" * 201):
            with pytest.raises(WorkRefused, match="reason"):
                book.open(**ORDER | {"key": "other"}, actor="x", reason=reason, now=NOW)
        assert book.open(**ORDER, actor="console asha", reason="it came back", now=NOW)[1]
        assert book.intact()


def test_a_step_that_somebody_changed_is_found(tmp_path: Path) -> None:
    path = tmp_path / "pune-work.db"
    with WorkBook.opened(path) as book:
        book.open(**ORDER, actor="console asha", reason="leak grows", now=NOW)
    with Store.open(path) as store, store.writing() as sql:
        sql.execute(text("UPDATE work_step SET reason = 'nothing'"))
    with WorkBook.opened(path) as book:
        assert not book.intact()


def test_an_order_by_hand_needs_a_pack_a_day_and_words(tmp_path: Path) -> None:
    hand = {"pack": "E-1/P1", "what": " look at  module 2 ", "due": "2026-12-05", "actor": "asha", "reason": "smell", "now": NOW}
    with WorkBook.opened(tmp_path / "pune-work.db") as book:
        first, second = book.by_hand(**hand), book.by_hand(**hand)
        assert (first.number, first.kind, first.cause, first.state) == (1, "by_hand", "look at module 2", "open")
        assert second.key != first.key
        for wrong, told in (
            ({"pack": "E-1"}, "no pack"), ({"pack": "/P1"}, "no pack"), ({"what": " "}, "what is to be done"),
            ({"what": "x" * 301}, "at most"),
            ({"due": "soon"}, "no date"), ({"due": "2026-11-01"}, "past"), ({"due": "2036-11-01"}, "ahead"), ({"reason": ""}, "reason"),
        ):  # fmt: skip
            with pytest.raises(WorkRefused, match=told):
                book.by_hand(**hand | wrong)
        assert len(book.orders()) == 2


def test_an_end_that_was_a_mistake_is_undone_and_findings_count_what_people_found(tmp_path: Path) -> None:
    who = {"actor": "asha", "reason": "seen", "now": NOW}
    with WorkBook.opened(tmp_path / "pune-work.db") as book:
        for number, ending in enumerate((Ending.FIXED, Ending.NOTHING_FOUND, Ending.SOMETHING_ELSE, Ending.DROPPED), 1):
            book.open(**ORDER | {"key": f"E-{number}/P1/internal_short/4"}, **who)
            book.end(number, ending, **who)
        hand = book.by_hand(pack="E-1/P1", what="look", due="2026-12-05", **who)
        book.end(hand.number, Ending.FIXED, **who)
        assert findings(book.orders(ended=True)) == [Finding("internal_short", 1, 1, 1)]
        again = book.reopen(2, **who)
        assert (again.state, [step.what for step in again.steps]) == ("open", ["opened", "nothing_found", "reopened"])
        assert findings(book.orders(ended=True)) == [Finding("internal_short", 1, 0, 1)]
        assert book.intact()
        book.open(**ORDER | {"key": "E-1/P1/internal_short/4"}, **who)
        for number, told in ((2, "is open"), (1, "same alert"), (99, "no work order")):
            with pytest.raises(WorkRefused, match=told):
                book.reopen(number, **who)
