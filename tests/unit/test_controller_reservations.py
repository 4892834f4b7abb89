"""Reservations in the core: counted on by the loop, ended by time, and by whoever uses them; and lists in parts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from small_yard import NOW, ONE, run
from test_controller_stations import Depot

from controller.local_lists import LocalLists, LocalListView
from controller.reservations import ReservationDesk, ReservationsView
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.local_lists import UpdateType
from depot.reservations import ReservationState
from depot.tokens import AdditionalId, IdToken, Place
from depot.values import Outcome
from ocpp_server.configuration import ConfigurationBook
from ocpp_server.reply import Reply

UNTIL = NOW + timedelta(minutes=10)


class Kept(Depot):
    """The small yard with the rooms of what stations keep."""

    def __init__(self) -> None:
        super().__init__()
        self.book = ConfigurationBook()
        self.reservations = ReservationDesk(self.yard, self.calls)
        self.lists = LocalLists(self.yard, self.calls, lambda station_id: self.book, masters="GUARDS")
        for room in (self.reservations, self.lists):
            self.orders.carriers.update(room.commands)

    async def reserve(self, **more: Any) -> cmd.CommandResult:
        wanted = {"station_id": "CP-1", "connector": 1, "id_token": "ANNA", "expires_at": UNTIL} | more
        return await self.order(cmd.ReserveConnector, **wanted)

    def answers(self, outcome: Outcome, **payload: Any) -> None:
        self.stations.reply = Reply(outcome, payload, message_id="7", said=payload or None)

    def state(self, number: int = 1) -> ReservationState:
        return self.yard.state.reservations[number].state

    def row_startable(self) -> bool:
        rows = self.loop._rows.build(self.clock.now(), {})
        return next(row.startable for row in rows if row.key == ONE)


def test_the_loop_begins_no_session_for_somebody_else_on_a_reserved_connector() -> None:
    async def main() -> None:
        depot = Kept()
        depot.arrive(ONE, "BUS 1")
        assert depot.row_startable()
        assert (await depot.reserve()).status is CommandStatus.DONE
        assert not depot.row_startable()
        refused = await depot.order(cmd.StartCharging, connector=ONE)
        assert refused.status is CommandStatus.REFUSED
        assert "reserved for somebody else" in refused.message
        depot.clock.at = UNTIL
        assert depot.row_startable(), "its time is over, whether or not that was recorded"

    run(main())


def test_a_vehicle_may_charge_where_it_is_reserved_for_it() -> None:
    async def main() -> None:
        depot = Kept()
        depot.arrive(ONE, "BUS 1")
        await depot.reserve(id_token="bus 1")
        assert depot.row_startable()

    run(main())


def test_numbers_are_given_once_also_at_the_same_moment_and_not_where_a_person_took_one() -> None:
    async def main() -> None:
        depot = Kept()
        depot.put(ev.ReservationAsked(2, "CP-3", 1, "ZOE", "", UNTIL, own=False))
        await asyncio.gather(*(depot.reserve(station_id=f"CP-{n}") for n in (1, 2, 1)))
        assert sorted(depot.yard.state.reservations) == [1, 2, 3, 4]
        assert depot.yard.state.next_reservation_id == 5

    run(main())


def test_no_answer_may_mean_that_it_holds_and_no_connection_means_that_it_does_not() -> None:
    async def main() -> None:
        depot = Kept()
        depot.answers(Outcome.TIMEOUT)
        assert (await depot.reserve()).status is CommandStatus.FAILED
        depot.answers(Outcome.OFFLINE)
        assert (await depot.reserve()).status is CommandStatus.FAILED
        depot.answers(Outcome.REFUSED, status="Occupied")
        assert (await depot.reserve()).status is CommandStatus.FAILED
        assert [depot.state(n) for n in (1, 2, 3)] == [ReservationState.ASKED, ReservationState.REJECTED, ReservationState.OCCUPIED]
        assert depot.yard.state.reservations[2].note == "offline"

    run(main())


def test_what_cannot_be_reserved_is_refused_before_anything_is_sent() -> None:
    async def main() -> None:
        depot = Kept()
        for wrong, why in (
            ({"station_id": "CP-9"}, "not known"),
            ({"connector": 5}, "no connector 5"),
            ({"expires_at": NOW}, "later than now"),
            ({"expires_at": NOW + timedelta(days=99)}, "within 30 days"),
            ({"id_token": "x" * 21}, "at most 20 characters"),
        ):
            refused = await depot.reserve(**wrong)
            assert refused.status is CommandStatus.REFUSED
            assert why in refused.message
        assert depot.stations.called == []
        assert depot.yard.state.reservations == {}

    run(main())


def test_time_ends_them() -> None:
    async def main() -> None:
        depot = Kept()
        await depot.reserve()
        depot.clock.at = UNTIL
        task = asyncio.create_task(depot.reservations.run())
        async with asyncio.timeout(10):
            while depot.state() is not ReservationState.EXPIRED:  # noqa: ASYNC110  # the room looks once a second
                await asyncio.sleep(0.05)
        task.cancel()
        view = await depot.reservations.views[ReservationsView]({"state": "expired"})
        assert isinstance(view, ReservationsView)
        assert [row.reservation_id for row in view.reservations] == [1]

    run(main())


def test_a_list_is_sent_as_the_station_takes_it_and_stops_where_it_fails() -> None:
    async def main() -> None:
        depot = Kept()
        depot.put(*[ev.IdTokenListed(IdToken(f"T{n}")) for n in range(5)], ev.IdTokenListed(IdToken("x" * 30)))
        depot.put(ev.StationItemLimitsSet("CP-1", {"local_list": 2}))
        done = await depot.order(cmd.SendLocalList, station_id="CP-1", update=UpdateType.FULL)
        assert done.answer is not None
        assert (done.answer["version"], len(done.answer["parts"]), done.answer["left_out"]) == (3, 3, 1)
        assert len(depot.yard.state.local_lists["CP-1"].entries) == 5
        depot.put(ev.IdTokenRemoved("t0"), ev.IdTokenListed(IdToken("NEW")))
        depot.answers(Outcome.REFUSED, status="Failed")
        failed = await depot.order(cmd.SendLocalList, station_id="CP-1", update=UpdateType.DIFFERENTIAL)
        assert failed.status is CommandStatus.FAILED
        sent = depot.stations.called[-1][2]
        assert (sent["updateType"], sent["listVersion"]) == ("Differential", 4)
        assert [row["idTag"] for row in sent["localAuthorizationList"]] == ["NEW", "T0"]
        view = await depot.lists.views[LocalListView]({"station_id": "CP-1"})
        assert isinstance(view, LocalListView)
        assert (view.version, len(view.entries), view.station_version) == (3, 5, None)
        assert await depot.lists.views[LocalListView]({"station_id": "CP-9"}) is None

    run(main())


def test_a_station_is_not_told_of_tokens_that_it_could_not_decide_as_the_depot_does() -> None:
    async def main() -> None:
        depot = Kept()
        pin, place = AdditionalId("4711", "PIN"), Place("CP-1")
        tokens = [
            IdToken("BOTH", type="ISO14443"), IdToken("BOTH", type="Central"), IdToken("PIN", additional=(pin,)),
            IdToken("HERE", only_at=(place,)), IdToken("THERE", only_at=(Place("CP-2"),)), IdToken("PART", only_at=(Place("CP-1", 1),)),
            IdToken("GUARD", group="Guards"),
        ]  # fmt: skip
        depot.put(*[ev.IdTokenListed(token) for token in tokens])
        done = await depot.order(cmd.SendLocalList, station_id="CP-1", update=UpdateType.FULL)
        assert done.answer is not None
        assert done.answer["left_out"] == 5
        assert set(depot.yard.state.local_lists["CP-1"].entries) == {"both", "here"}

    run(main())


def test_after_a_restored_backup_no_list_is_believed() -> None:
    depot = Kept()
    depot.put(ev.LocalListUpdated("CP-1", 3, UpdateType.FULL, (IdToken("ANNA"),)))
    assert depot.yard.state.local_lists["CP-1"].version == 3
    depot.put(ev.BackupRestored(NOW, 5, next_transaction_id=9))
    assert depot.yard.state.local_lists == {}
