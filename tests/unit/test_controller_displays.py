"""Messages on displays: each with its own id, kept with the station's word, and asked for rather than assumed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from small_yard import NOW, run
from test_controller_stations import Depot

from controller.display_messages import DisplayReports, Displays, DisplaysView
from depot import commands as cmd
from depot.commands import CommandStatus
from depot.display_messages import DisplayMessage, MessageKey, MessageState, Text
from depot.values import Outcome
from ocpp_server.reply import Reply
from ocpp_server.version import Version

HELLO = (Text("Hello"),)


class Shown(Depot):
    """The small yard, its stations of 2.0.1 with displays."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken = {"CP-3": Version.V16}
        self.stations.version = self._version  # type: ignore[method-assign]
        self.reports = DisplayReports()
        self.displays = Displays(self.yard, self.calls, self, self.reports)
        self.orders.carriers.update(self.displays.commands)

    def _version(self, station_id: str) -> Version | None:
        known = station_id in {s.station_id for s in self.yard.spec.stations}
        return self.spoken.get(station_id, Version.V201) if known else None

    def transaction_name(self, station_id: str, number: int) -> str | None:
        return f"{station_id}-tx-{number}"

    async def show(self, *stations: str, **more: Any) -> cmd.CommandResult:
        return await self.order(cmd.ShowMessage, **({"station_ids": stations, "priority": "InFront", "texts": HELLO} | more))

    def says(self, status: str) -> None:
        outcome = Outcome.ACCEPTED if status == "Accepted" else Outcome.REFUSED
        self.stations.reply = Reply(outcome, {"status": status}, message_id="7", said={"status": status})

    def kept(self, message_id: int = 1, station_id: str = "CP-1") -> Any:
        return self.yard.state.displays.shown[MessageKey(station_id, message_id)]

    def sent(self) -> Mapping[str, Any]:
        return self.stations.called[-1][2]

    async def refresh(self, **more: Any) -> tuple[asyncio.Task[cmd.CommandResult], int]:
        """Ask, up to where the station tells."""
        task = asyncio.create_task(self.order(cmd.RefreshMessages, station_id="CP-1", **more))
        while not self.stations.called or self.stations.called[-1][1] != "GetDisplayMessages":  # noqa: ASYNC110  # over in some turns of the loop
            await asyncio.sleep(0)
        return task, self.sent()["requestId"]


def test_a_message_to_all_gets_an_id_for_each_station_of_2x() -> None:
    async def main() -> None:
        depot = Shown()
        done = await depot.show()
        assert done.status is CommandStatus.DONE
        told = {station: payload["message"]["id"] for station, action, payload in depot.stations.called if action == "SetDisplayMessage"}
        assert told == {"CP-1": 1, "CP-2": 2}
        assert (await depot.show("CP-2")).answer["messages"][0].message_id == 3  # type: ignore[index]
        assert {s.state for s in depot.yard.state.displays.shown.values()} == {MessageState.ACCEPTED}

    run(main())


def test_what_the_station_says_is_kept_with_the_message() -> None:
    async def main() -> None:
        depot = Shown()
        depot.says("NotSupportedPriority")
        assert (await depot.show("CP-1")).status is CommandStatus.FAILED
        assert (depot.kept().state, depot.kept().said) == (MessageState.REFUSED, "NotSupportedPriority")
        depot.stations.reply = Reply(Outcome.TIMEOUT)
        await depot.show("CP-1")
        assert depot.kept(2).state is MessageState.ASKED, "it may show it"

    run(main())


def test_a_refused_replacement_leaves_the_message_before() -> None:
    async def main() -> None:
        depot = Shown()
        await depot.show("CP-1")
        depot.says("Rejected")
        await depot.show("CP-1", texts=(Text("Other"),), message_id=1)
        assert (depot.kept().state, depot.kept().message.texts) == (MessageState.ACCEPTED, HELLO)
        depot.says("Accepted")
        await depot.show("CP-1", texts=(Text("Other"),), message_id=1)
        assert depot.kept().message.texts == (Text("Other"),)
        unknown = await depot.show("CP-1", message_id=99)
        assert unknown.status is CommandStatus.REFUSED

    run(main())


def test_what_a_version_does_not_have_is_told_to_nobody() -> None:
    async def main() -> None:
        depot = Shown()
        for more in (
            {"texts": (Text("x" * 513),)},
            {"texts": (Text("a", language="en"), Text("b", language="hi"))},
            {"texts": (Text("https://x.example", "QRCODE"),)},
            {"shown_while": "Discharging"},
            {"end_at": NOW - timedelta(minutes=1)},
        ):
            assert (await depot.show("CP-1", **more)).status is CommandStatus.REFUSED, more
        assert (await depot.show("CP-3")).status is CommandStatus.REFUSED, "it speaks 1.6"
        assert depot.stations.called == []
        assert depot.yard.state.displays.shown == {}

    run(main())


def test_clear_by_order_and_where_the_station_no_longer_has_it() -> None:
    async def main() -> None:
        depot = Shown()
        await depot.show("CP-1")
        await depot.show("CP-1")
        assert (await depot.order(cmd.ClearMessage, station_id="CP-1", message_id=1)).status is CommandStatus.DONE
        depot.says("Unknown")
        assert (await depot.order(cmd.ClearMessage, station_id="CP-1", message_id=2)).status is CommandStatus.DONE
        assert {depot.kept(n).state for n in (1, 2)} == {MessageState.CLEARED}
        assert (await depot.order(cmd.ClearMessage, station_id="CP-1", message_id=9)).status is CommandStatus.REFUSED

    run(main())


def test_what_a_station_tells_is_joined_and_what_it_does_not_have_is_gone() -> None:
    async def main() -> None:
        depot = Shown()
        await depot.show("CP-1")
        await depot.show("CP-1")
        task, number = await depot.refresh()
        mine, foreign = DisplayMessage(2, "InFront", HELLO), DisplayMessage(77, "AlwaysFront", (Text("Maker's own"),))
        depot.reports.displayed("CP-1", number, (mine,), more=True)
        depot.reports.displayed("CP-1", number, (foreign,), more=False)
        done = await task
        assert (done.status, (done.answer or {})["complete"]) == (CommandStatus.DONE, True)
        assert (depot.kept(1).state, depot.kept(2).seen_at is not None, depot.kept(77).own) == (MessageState.GONE, True, False)

    run(main())


def test_an_answer_with_a_part_missing_is_incomplete_and_nothing_is_gone_by_it() -> None:
    async def main() -> None:
        depot = Shown()
        await depot.show("CP-1")
        task, number = await depot.refresh()
        depot.reports.displayed("CP-1", number, (), more=True)
        joining = depot.reports.joinings.of("CP-1", number)
        assert joining is not None
        joining.give_up("the station told no more")
        done = await task
        assert (done.status, (done.answer or {})["complete"]) == (CommandStatus.FAILED, False)
        assert depot.kept().state is MessageState.ACCEPTED
        view = await depot.displays._show({})
        assert isinstance(view, DisplaysView)
        assert view.refreshed[0].complete is False

    run(main())


def test_a_station_that_has_none_that_match_says_unknown() -> None:
    async def main() -> None:
        depot = Shown()
        await depot.show("CP-1")
        depot.says("Unknown")
        done = await depot.order(cmd.RefreshMessages, station_id="CP-1", ids=(1,))
        assert ((done.answer or {})["complete"], depot.kept().state) == (True, MessageState.GONE)

    run(main())


def test_calls_by_hand_are_kept_as_well() -> None:
    async def main() -> None:
        depot = Shown()
        message = {"id": 5, "priority": "NormalCycle", "message": {"format": "UTF8", "content": "By hand"}}
        await depot.order(cmd.CallStation, station_id="CP-1", action="SetDisplayMessage", payload={"message": message})
        assert depot.kept(5).state is MessageState.ACCEPTED
        await depot.order(cmd.CallStation, station_id="CP-1", action="GetDisplayMessages", payload={"requestId": 900})
        depot.reports.displayed("CP-1", 900, (), more=False)
        async with asyncio.timeout(5):
            while depot.kept(5).state is not MessageState.GONE:  # noqa: ASYNC110  # over in some turns of the loop
                await asyncio.sleep(0)

    run(main())
