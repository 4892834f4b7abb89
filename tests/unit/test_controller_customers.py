"""Customer information: asked for with a reason, told once, forgotten soon, and nowhere else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from small_yard import run
from test_controller_stations import Depot

from controller.customer_information import KEEP, CustomerInformation, CustomerReports, CustomersView
from controller.local_lists import LocalLists
from depot import commands as cmd
from depot.commands import CommandStatus
from depot.customer_information import RequestState
from depot.local_lists import UpdateType
from depot.tokens import IdToken
from depot.values import Outcome
from ocpp_server.configuration import ConfigurationBook
from ocpp_server.redaction import redact
from ocpp_server.reply import Reply
from ocpp_server.version import Version


class Asked(Depot):
    """The small yard, its stations of 2.0.1."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken = Version.V201
        self.stations.version = lambda station_id: self.spoken if station_id.startswith("CP-") else None  # type: ignore[method-assign]
        self.reports = CustomerReports()
        self.room = CustomerInformation(self.yard, self.calls, self.reports)
        self.lists = LocalLists(self.yard, self.calls, lambda station_id: ConfigurationBook())
        for room in (self.room, self.lists):
            self.orders.carriers.update(room.commands)

    async def ask(self, **more: Any) -> cmd.CommandResult:
        wanted = {"station_id": "CP-1", "report": True, "clear": False, "id_token": "ANNA-SECRET"} | more
        return await self.order(cmd.AskCustomerInformation, **wanted)

    async def told(self, *parts: str, **more: Any) -> cmd.CommandResult:
        """Ask, and let the station tell these parts."""
        task = asyncio.create_task(self.ask(**more))
        async with asyncio.timeout(5):
            while not self.stations.called or self.stations.called[-1][1] != "CustomerInformation":  # noqa: ASYNC110  # over in some turns of the loop
                await asyncio.sleep(0)
        number = self.stations.called[-1][2]["requestId"]
        for n, part in enumerate(parts):
            self.reports.told_of_customer("CP-1", number, part, seq_no=n, more=n < len(parts) - 1)
        return await task

    async def view(self, **args: str) -> CustomersView:
        found = await self.room._show(args)
        assert isinstance(found, CustomersView)
        return found


def test_what_is_told_is_joined_shown_under_its_number_and_forgotten() -> None:
    async def main() -> None:
        depot = Asked()
        done = await depot.told("Anna ", "Rao")
        assert (done.status, (done.answer or {})["state"]) == (CommandStatus.DONE, "done")
        assert (await depot.view(request_id="1")).requests[0].data == "Anna Rao"
        assert (await depot.view()).requests[0].data is None, "a list shows no data"
        everything = repr(depot.journal.facts) + repr(depot.yard.state) + repr(list(depot.orders.recent))
        assert "Rao" not in everything
        assert "ANNA-SECRET" not in everything
        depot.clock.at += KEEP + timedelta(seconds=1)
        assert (await depot.view(request_id="1")).requests[0].data is None

    run(main())


def test_a_refusal_is_kept_in_the_stations_words() -> None:
    async def main() -> None:
        depot = Asked()
        depot.stations.reply = Reply(Outcome.REFUSED, {"status": "Invalid"}, message_id="7", said={"status": "Invalid"})
        done = await depot.ask()
        assert (done.status, (done.answer or {})["said"]) == (CommandStatus.FAILED, "Invalid")
        assert depot.yard.state.customers.requests[1].state is RequestState.REFUSED
        depot.stations.reply = Reply(Outcome.TIMEOUT)
        await depot.ask()
        assert depot.yard.state.customers.requests[2].state is RequestState.ASKED

    run(main())


def test_a_cleared_token_leaves_the_stations_list() -> None:
    async def main() -> None:
        depot = Asked()
        entries = (IdToken("ANNA-SECRET"), IdToken("OTHER"))
        await depot.order(cmd.SendLocalList, station_id="CP-1", update=UpdateType.FULL, entries=entries)
        done = await depot.ask(report=False, clear=True, id_token="anna-secret")
        assert ((done.answer or {})["state"], (done.answer or {})["local_list"]) == ("done", "Accepted")
        station, action, payload = depot.stations.called[-1]
        assert (station, action, payload["updateType"], payload["versionNumber"]) == ("CP-1", "SendLocalList", "Differential", 2)
        assert [row["idToken"]["idToken"] for row in payload["localAuthorizationList"]] == ["ANNA-SECRET"]
        assert set(depot.yard.state.local_lists["CP-1"].entries) == {"other"}

    run(main())


def test_who_is_meant_is_said_once() -> None:
    async def main() -> None:
        depot = Asked()
        for more in ({"id_token": ""}, {"identifier": "also"}, {"report": False}):
            assert (await depot.ask(**more)).status is CommandStatus.REFUSED, more
        depot.spoken = Version.V16
        assert (await depot.ask()).status is CommandStatus.REFUSED
        assert depot.stations.called == []

    run(main())


def test_the_message_log_hides_a_persons_data() -> None:
    shown = redact({"data": '{"name":"Anna"}', "seqNo": 0, "generatedAt": "2026-11-22T00:00:00Z", "requestId": 1})
    assert "Anna" not in repr(shown)
    asked = redact({"requestId": 1, "report": True, "clear": False, "customerIdentifier": "anna@example", "idToken": {"idToken": "ANNA-1"}})
    assert "anna@" not in repr(asked)
    assert "ANNA" not in repr(asked)
