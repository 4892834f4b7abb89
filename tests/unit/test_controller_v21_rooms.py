"""What OCPP 2.1 adds: DER controls, battery swaps, tariffs of stations, notes. Kept as stations accepted and told them, in bounds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from small_yard import NOW, ONE, run
from test_controller_stations import Depot

from controller import allowance, battery_swaps, der, notes
from controller.battery_swaps import BatterySwaps, SwapsView
from controller.codec import decode_state, encode_state
from controller.der import DerControls, DerView
from controller.notes import Notes, NotesView
from controller.station_tariffs import StationTariffRoom, TariffsView
from depot import commands as cmd
from depot.battery_swaps import Battery, Swapped
from depot.commands import CommandStatus
from depot.der import DerAlarm, DerControl, DerReport, DerSwitch, StationDer
from depot.notes import Note, NoteKind
from depot.values import Outcome, PackKey
from ocpp_server.reply import Reply
from ocpp_server.version import Version

WATT = {"priority": 0, "overFreq": 50.2, "underFreq": 49.8, "overDroop": 5.0, "underDroop": 5.0, "responseTime": 1.0}
TARIFF = {"tariffId": "T1", "currency": "INR", "energy": {"prices": [{"priceKwh": 12.5}]}}


class Told(Depot):
    """The small yard, its stations of 2.1."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken = Version.V21
        self.before = len(self.journal.facts)
        self.stations.version = lambda station_id: self.spoken if station_id.startswith("CP-") else None  # type: ignore[method-assign]
        self.der, self.swaps, self.notes = DerControls(self.yard), BatterySwaps(self.yard), Notes(self.yard)
        self.tariffs = StationTariffRoom(self.yard, self.calls, running=lambda key: "tx-1" if key == ONE else None)
        self.der.attach(self.calls)
        self.swaps.attach(self.calls)
        for room in (self.der, self.swaps, self.tariffs):
            self.orders.carriers.update(room.commands)

    def says(self, status: str = "Accepted", **more: Any) -> None:
        outcome = Outcome.ACCEPTED if status == "Accepted" else Outcome.REFUSED
        self.stations.reply = Reply(outcome, {"status": status, **more}, message_id="7", said={"status": status, **more})

    async def droop(self, **more: Any) -> cmd.CommandResult:
        wanted = {
            "control_type": "FreqDroop",
            "is_default": False,
            "settings": WATT,
            "because": "frequency support",
            "control_id": "d1",
        } | more
        return await self.order(cmd.SetDerControl, station_id="CP-1", **wanted)

    async def shown(self) -> der.StationDerView:
        view = await self.der.views[DerView]({"station_id": "CP-1"})
        assert isinstance(view, DerView)
        return view.stations[0]

    def survives(self) -> None:
        """A snapshot gives the same state."""
        assert decode_state(encode_state(self.yard.state)) == self.yard.state


# -- DER controls -----------------------------------------------------------------------------------------------------


def test_a_control_is_kept_as_the_station_accepted_it_with_the_grid_operators_reason() -> None:
    async def main() -> None:
        depot = Told()
        done = await depot.droop()
        assert (done.status, (done.answer or {})["control_id"]) == (CommandStatus.DONE, "d1")
        assert depot.stations.called[-1][1:] == (
            "SetDERControl",
            {"isDefault": False, "controlId": "d1", "controlType": "FreqDroop", "freqDroop": WATT},
        )
        [control] = (await depot.shown()).controls
        assert (control.because, control.settings, control.set_at, control.running) == ("frequency support", WATT, NOW, None)
        depot.survives()

    run(main())


@pytest.mark.parametrize("status", ["Rejected", "NotSupported", "NotFound"])
def test_a_control_that_a_station_refuses_is_not_kept(status: str) -> None:
    async def main() -> None:
        depot = Told()
        depot.says(status)
        assert (await depot.droop()).status is CommandStatus.FAILED
        assert depot.yard.state.der == {}

    run(main())


def test_settings_that_break_the_schema_leave_nothing_and_go_nowhere() -> None:
    async def main() -> None:
        depot = Told()
        done = await depot.droop(settings={"priority": "high"})
        assert done.status is CommandStatus.REFUSED
        assert depot.stations.called == []
        assert depot.der._because == {}

    run(main())


def test_a_station_of_another_version_has_no_der_control() -> None:
    async def main() -> None:
        depot = Told()
        depot.spoken = Version.V201
        assert "does not speak OCPP 2.1" in (await depot.droop()).message
        assert depot.stations.called == []

    run(main())


def test_a_control_in_another_ones_place_and_its_end() -> None:
    async def main() -> None:
        depot = Told()
        await depot.droop()
        depot.says(supersededIds=["d1"])
        await depot.droop(control_id="d2")
        assert [(c.control_id, c.superseded) for c in (await depot.shown()).controls] == [("d1", True), ("d2", False)]
        await depot.der.switched("CP-1", DerSwitch("d2", True, ("d1",), NOW))
        assert (await depot.shown()).controls[-1].running is True
        await depot.der.switched("CP-1", DerSwitch("d2", False, (), NOW))
        await depot.der.switched("CP-1", DerSwitch("unknown", True, (), NOW))
        assert [(c.control_id, c.running) for c in (await depot.shown()).controls] == [("d1", False), ("d2", False)]
        depot.says()
        await depot.order(cmd.ClearDerControls, station_id="CP-1", control_id="d2")
        assert [c.control_id for c in (await depot.shown()).controls] == ["d1"]
        await depot.order(cmd.ClearDerControls, station_id="CP-1", is_default=True)
        assert [c.control_id for c in (await depot.shown()).controls] == ["d1"], "it is no default"

    run(main())


def test_a_report_counts_when_it_is_whole() -> None:
    async def main() -> None:
        depot = Told()
        await depot.droop()
        done = await depot.order(cmd.ReadDerControls, station_id="CP-1")
        number = (done.answer or {})["request_id"]
        assert depot.stations.called[-1][1:] == ("GetDERControl", {"requestId": number})
        own = DerControl("own", "EnterService", is_default=True, settings={"priority": 1})
        await depot.der.reported("CP-1", DerReport(number, (own,), last=False))
        await depot.der.reported("CP-2", DerReport(number, (), last=True))
        await depot.der.reported("CP-1", DerReport(number + 1, (), last=True))
        view = await depot.shown()
        assert (view.awaited, view.reported_at, [c.control_id for c in view.controls]) == (True, None, ["d1"])
        await depot.der.reported("CP-1", DerReport(number, (DerControl("d1", "FreqDroop", False, WATT),), last=True))
        view = await depot.shown()
        assert (view.awaited, view.reported_at) == (False, NOW)
        assert [(c.control_id, c.because) for c in view.controls] == [("own", ""), ("d1", "frequency support")]
        depot.survives()

    run(main())


def test_a_report_that_never_ends_is_dropped() -> None:
    async def main() -> None:
        depot = Told()
        done = await depot.order(cmd.ReadDerControls, station_id="CP-1")
        number = (done.answer or {})["request_id"]
        many = tuple(DerControl(f"c{n}", "FreqDroop", False, WATT) for n in range(der.MOST_CONTROLS + 1))
        await depot.der.reported("CP-1", DerReport(number, many, last=False))
        await depot.der.reported("CP-1", DerReport(number, (), last=True))
        assert depot.yard.state.der == {}
        done = await depot.order(cmd.ReadDerControls, station_id="CP-1")
        depot.clock.at = NOW + der.REPORT_WITHIN
        await depot.der.reported("CP-1", DerReport((done.answer or {})["request_id"], (), last=True))
        assert depot.yard.state.der == {}

    run(main())


def test_alarms_of_the_grid_are_kept_until_they_end_and_a_flood_of_them_is_counted() -> None:
    async def main() -> None:
        depot = Told()
        low = DerAlarm("LFMustTrip", "UnderFrequency", False, "", NOW)
        await depot.der.alarmed("CP-1", low)
        assert (await depot.shown()).active_alarms == 1
        await depot.der.alarmed("CP-1", DerAlarm("LFMustTrip", "UnderFrequency", True, "", NOW))
        assert (await depot.shown()).active_alarms == 0
        for _ in range(2 * der.LISTED_MOST):
            await depot.der.alarmed("CP-1", low)
        assert len(depot.journal.facts) - depot.before == der.LISTED_MOST
        depot.clock.at = NOW + allowance.WINDOW
        await depot.der.alarmed("CP-1", low)
        assert depot.journal.facts[-1].data.unlisted == der.LISTED_MOST + 2

    run(main())


def test_what_is_remembered_of_controls_is_bounded() -> None:
    known = StationDer()
    for number in range(500):
        known = known.with_control(DerControl(f"c{number}", "FreqDroop", False))
        known = known.alarmed(DerAlarm("FreqDroop", "", False, str(number), NOW))
    assert (len(known.controls), len(known.alarms), known.alarms[-1].detail) == (200, 50, "499")
    told = known.told([DerControl("c499", "VoltWatt", False, {"a": 1}), DerControl("new", "FreqDroop", True)], NOW, whole=False)
    assert told.controls["c499"].kind == "VoltWatt"
    assert told.reported_at is None


# -- battery swaps ----------------------------------------------------------------------------------------------------


def test_a_swap_is_asked_for_and_told() -> None:
    async def main() -> None:
        depot = Told()
        done = await depot.order(cmd.RequestBatterySwap, station_id="CP-1", id_token="RIDER-1")
        assert (done.status, (done.answer or {})["state"]) == (CommandStatus.DONE, "accepted")
        assert depot.stations.called[-1][1:] == (
            "RequestBatterySwap",
            {"requestId": 1, "idToken": {"idToken": "RIDER-1", "type": "Central"}},
        )
        empty, full = Battery(3, "OLD", 0.12, 0.9), Battery(5, "NEW", 0.98, 0.95)
        await depot.swaps.swapped("CP-1", Swapped("BatteryIn", 1, "RIDER-1", (empty, full)))
        await depot.swaps.swapped("CP-1", Swapped("BatteryOut", 1, "RIDER-1", (full,)))
        view = await depot.swaps.views[SwapsView]({})
        assert isinstance(view, SwapsView)
        assert [(e.kind, [b.serial for b in e.batteries]) for e in view.events] == [("BatteryOut", ["NEW"]), ("BatteryIn", ["OLD", "NEW"])]
        assert {station: [b.serial for b in inside] for station, inside in view.inside.items()} == {"CP-1": ["OLD"]}
        depot.says("Rejected", statusInfo={"reasonCode": "NoBatteryAvailable"})
        done = await depot.order(cmd.RequestBatterySwap, station_id="CP-1", id_token="RIDER-2")
        assert done.status is CommandStatus.FAILED
        assert [(a.request_id, a.state, a.note) for a in depot.yard.state.swaps.asked] == [
            (1, "accepted", ""),
            (2, "rejected", "NoBatteryAvailable"),
        ]
        depot.survives()

    run(main())


def test_a_swap_that_nobody_counted_room_for_never_leaves() -> None:
    async def main() -> None:
        depot = Told()
        depot.yard.isolated[ONE] = PackKey("E-101", "P1")
        done = await depot.order(cmd.RequestBatterySwap, station_id="CP-1", id_token="RIDER-1")
        assert done.status is CommandStatus.REFUSED
        assert depot.stations.called == []
        assert depot.yard.state.swaps.asked[-1].state == "rejected"

    run(main())


def test_a_station_that_swaps_like_mad_fills_no_disk() -> None:
    async def main() -> None:
        depot = Told()
        for _ in range(battery_swaps.LISTED_MOST + 50):
            await depot.swaps.swapped("CP-1", Swapped("BatteryIn", 1, "R", (Battery(1, "B", None, None),)))
        assert len(depot.journal.facts) - depot.before == battery_swaps.LISTED_MOST

    run(main())


# -- tariffs ----------------------------------------------------------------------------------------------------------


def test_a_tariff_is_kept_as_the_station_accepted_it() -> None:
    async def main() -> None:
        depot = Told()
        done = await depot.order(cmd.SetStationTariff, station_id="CP-1", tariff=TARIFF, evse_id=1)
        assert (done.status, depot.stations.called[-1][1:]) == (CommandStatus.DONE, ("SetDefaultTariff", {"evseId": 1, "tariff": TARIFF}))
        await depot.order(cmd.SetStationTariff, station_id="CP-1", tariff={**TARIFF, "tariffId": "T2"})
        view = await depot.tariffs.views[TariffsView]({})
        assert isinstance(view, TariffsView)
        assert [(t.evse_id, t.tariff_id) for t in view.stations[0].defaults] == [(0, "T2")], "one for all takes the place of each"
        depot.says("TooManyElements")
        assert (await depot.order(cmd.SetStationTariff, station_id="CP-1", tariff=TARIFF)).status is CommandStatus.FAILED
        assert depot.yard.state.station_tariffs["CP-1"].defaults[0].tariff_id == "T2"
        depot.survives()

    run(main())


def test_the_tariff_of_the_transaction_on_an_evse_is_changed() -> None:
    async def main() -> None:
        depot = Told()
        await depot.order(cmd.ChangeTransactionTariff, station_id="CP-1", evse_id=1, tariff=TARIFF)
        assert depot.stations.called[-1][1:] == ("ChangeTransactionTariff", {"transactionId": "tx-1", "tariff": TARIFF})
        [change] = depot.yard.state.station_tariffs["CP-1"].changes
        assert (change.evse_id, change.transaction, change.tariff) == (1, "tx-1", TARIFF)
        done = await depot.order(cmd.ChangeTransactionTariff, station_id="CP-2", evse_id=1, tariff=TARIFF)
        assert "no transaction is known" in done.message

    run(main())


@pytest.mark.parametrize(("rows", "left"), [([{"tariffId": "T1", "status": "Accepted"}], []), ([{"status": "Accepted"}], []),
                                            ([{"tariffId": "T1", "status": "NoTariff"}], ["T1"])])  # fmt: skip
def test_tariffs_are_gone_as_the_station_says(rows: list[dict[str, str]], left: list[str]) -> None:
    async def main() -> None:
        depot = Told()
        await depot.order(cmd.SetStationTariff, station_id="CP-1", tariff=TARIFF)
        depot.stations.reply = Reply(Outcome.ACCEPTED, {"clearTariffsResult": rows}, message_id="9", said={"clearTariffsResult": rows})
        done = await depot.order(cmd.ClearStationTariffs, station_id="CP-1")
        assert done.status is (CommandStatus.FAILED if left else CommandStatus.DONE)
        assert [t.tariff_id for t in depot.yard.state.station_tariffs["CP-1"].defaults.values()] == left

    run(main())


# -- notes ------------------------------------------------------------------------------------------------------------


def test_notes_are_kept_for_people_in_bounds() -> None:
    async def main() -> None:
        depot = Told()
        for number in range(notes.LISTED_MOST + 10):
            await depot.notes.noted("CP-1", Note(NoteKind.PRIORITY, f"tx-{number}", {"activated": "yes"}))
        await depot.notes.noted("CP-2", Note(NoteKind.SETTLEMENT, "tx-1", {"amount": "120.5"}, NOW - timedelta(minutes=1)))
        assert len(depot.journal.facts) - depot.before == notes.LISTED_MOST + 1
        view = await depot.notes.views[NotesView]({"kind": "settlement"})
        assert isinstance(view, NotesView)
        assert [(n.station_id, n.said) for n in view.notes] == [("CP-2", {"amount": "120.5"})]
        depot.survives()

    run(main())
