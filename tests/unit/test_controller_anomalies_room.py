"""Alerts and work orders in the core: as the last look left them, orders by command, and words where nobody has looked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from fake_anomalies import KEY, alert
from web_harness import FakeClock

from bms_bridge.anomalies.work import WorkBook
from controller.anomalies_room import NOT_YET, AnomaliesRoom
from controller.anomalies_view import PackAlertsView, WorkOrdersView
from controller.link import CoreUnreachable
from depot import commands as cmd
from depot import events as ev
from depot.values import InvalidValue

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def room(folder: Path) -> AnomaliesRoom:
    return AnomaliesRoom(folder / "pune-work.db", FakeClock())


def envelope(actor: str) -> ev.Envelope:
    fact = ev.CommandRequested(command_id="c", kind="OpenWorkOrder", target="x", reason="leak grows")
    return ev.Envelope(
        id="i", depot_id="pune", seq=1, type=fact.TYPE, version=1, occurred_at=NOW, reported_at=None, received_at=NOW, actor=actor,
        cause_id=None, key=None, data=fact,
    )  # fmt: skip


def looked(folder: Path) -> None:
    with WorkBook.opened(folder / "pune-work.db") as book:
        rows = [(one.key, msgspec.json.encode(one).decode()) for one in (alert(), alert("E-104/P1/imbalance", holds_now=False))]
        book.keep_alerts(rows, packs=12, now=NOW)


async def test_before_the_first_look_the_view_says_how_one_is_made(tmp_path: Path) -> None:
    found = await room(tmp_path).views[PackAlertsView]({})
    assert isinstance(found, PackAlertsView)
    assert (found.looked_at, found.note, found.alerts) == (None, NOT_YET, [])


async def test_an_alert_becomes_an_order_that_says_who_and_why_and_is_ended(tmp_path: Path) -> None:
    looked(tmp_path)
    depot = room(tmp_path)
    found = await depot.views[PackAlertsView]({})
    assert isinstance(found, PackAlertsView)
    assert (found.looked_at, found.packs, [one.key for one in found.alerts]) == (NOW, 12, [KEY, "E-104/P1/imbalance"])
    opened = cmd.OpenWorkOrder(command_id="1", actor="asha", reason="leak grows", alert=KEY)
    done = cmd.CommandStatus.DONE
    assert await depot.commands[cmd.OpenWorkOrder](opened, envelope("asha")) == (done, "work order 1 opened, due 2026-11-29")
    assert "open already" in (await depot.commands[cmd.OpenWorkOrder](opened, envelope("ravi")))[1]
    ended = cmd.EndWorkOrder(command_id="2", actor="ravi", reason="module 2 replaced", number=1, result="fixed")
    assert await depot.commands[cmd.EndWorkOrder](ended, envelope("ravi")) == (cmd.CommandStatus.DONE, "work order 1: fixed")
    orders = await depot.views[WorkOrdersView]({})
    assert isinstance(orders, WorkOrdersView)
    assert [(step.actor, step.what, step.reason) for step in orders.orders[0].steps] == [
        ("asha", "opened", "leak grows"),
        ("ravi", "fixed", "module 2 replaced"),
    ]
    for refused in (ended, cmd.EndWorkOrder(command_id="3", actor="ravi", reason="x", number=1, result="eaten")):
        with pytest.raises(InvalidValue):
            await depot.commands[cmd.EndWorkOrder](refused, envelope("ravi"))


@pytest.mark.parametrize("key", ["E-104/P1/imbalance", "nobody"])
async def test_what_does_not_hold_now_is_refused(tmp_path: Path, key: str) -> None:
    looked(tmp_path)
    command = cmd.OpenWorkOrder(command_id="1", actor="asha", reason="leak grows", alert=key)
    with pytest.raises(InvalidValue, match="holds now"):
        await room(tmp_path).commands[cmd.OpenWorkOrder](command, envelope("asha"))


async def test_a_damaged_book_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "pune-work.db").write_bytes(b"nothing of ours" * 400)
    with pytest.raises(CoreUnreachable):
        await room(tmp_path).views[WorkOrdersView]({})


async def test_one_by_hand_is_opened_ended_and_opened_again(tmp_path: Path) -> None:
    depot = room(tmp_path)
    day = FakeClock().now().date().isoformat()
    by_hand = cmd.OpenWorkByHand(command_id="1", actor="asha", reason="smell", pack="E-118/P1", what="look", due=day)
    assert (await depot.commands[cmd.OpenWorkByHand](by_hand, envelope("asha")))[1] == f"work order 1 opened, due {day}"
    end = cmd.EndWorkOrder(command_id="2", actor="ravi", reason="x", number=1, result="something_else")
    assert (await depot.commands[cmd.EndWorkOrder](end, envelope("ravi")))[1] == "work order 1: something else"
    again = cmd.ReopenWorkOrder(command_id="3", actor="ravi", reason="wrong row", number=1)
    assert (await depot.commands[cmd.ReopenWorkOrder](again, envelope("ravi")))[1] == "work order 1 is open again"
    with pytest.raises(InvalidValue, match="is open"):
        await depot.commands[cmd.ReopenWorkOrder](again, envelope("ravi"))
    orders = await depot.views[WorkOrdersView]({})
    assert isinstance(orders, WorkOrdersView)
    assert (orders.orders[0].state, orders.findings) == ("open", [])
