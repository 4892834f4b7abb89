"""Views of what OCPP 2.1 adds, for tests of the pages and of the API."""

from __future__ import annotations

from fake_depot import FakeLink, sample

from controller.battery_swaps import BatteryView, SwapAskedView, SwapEventView, SwapsView
from controller.der import DerAlarmView, DerControlView, DerView, StationDerView
from controller.event_streams import StreamsView, StreamValueView, StreamView
from controller.notes import NotesView, NoteView
from controller.station_tariffs import StationTariffsView, TariffSetView, TariffsView

AT = sample().at


def der() -> StationDerView:
    """CP-03 supports the frequency, and has seen it fall."""
    droop = {"priority": 0, "overFreq": 50.2, "underFreq": 49.8, "overDroop": 5.0, "underDroop": 5.0, "responseTime": 1.0}
    control = DerControlView(
        control_id="d1", control_type="FreqDroop", is_default=False, settings=droop, because="MSETCL: frequency support",
        set_at=AT, running=True, superseded=False,
    )  # fmt: skip
    alarm = DerAlarmView(control_type="LFMustTrip", fault="UnderFrequency", ended=False, detail="", reported_at=AT)
    return StationDerView(station_id="CP-03", controls=[control], alarms=[alarm], active_alarms=1, reported_at=AT, awaited=False)


def fill(link: FakeLink) -> None:
    """Give a fake link these views."""
    link.shown[DerView] = DerView(at=AT, stations=[der()])
    battery = BatteryView(evse_id=3, serial="B-17", soc=0.12, soh=0.9, made_at=None, vendor_info="")
    asked = SwapAskedView(request_id=1, station_id="CP-03", id_token="RIDER-1", asked_at=AT, state="accepted", note="")
    event = SwapEventView(station_id="CP-03", at=AT, kind="BatteryIn", request_id=1, id_token="RIDER-1", batteries=[battery])
    link.shown[SwapsView] = SwapsView(at=AT, asked=[asked], events=[event], inside={"CP-03": [battery]})
    tariff = {"tariffId": "T1", "currency": "INR", "energy": {"prices": [{"priceKwh": 12.5}]}}
    given = TariffSetView(evse_id=0, tariff_id="T1", tariff=tariff, set_at=AT, transaction="")
    link.shown[TariffsView] = TariffsView(
        at=AT, stations=[StationTariffsView(station_id="CP-03", defaults=[given], changes=[], station_says=None)]
    )
    stream = StreamView(
        station_id="CP-03", stream_id=3, monitor_id=17, interval_s=60, values_at_once=10, pending=0, heard=1,
        values=[StreamValueView(at=AT, value="49.9")],
    )  # fmt: skip
    link.shown[StreamsView] = StreamsView(at=AT, streams=[stream])
    note = NoteView(station_id="CP-03", at=AT, kind="priority_charging", transaction="tx", said={"activated": "yes"}, reported_at=None)
    link.shown[NotesView] = NotesView(at=AT, notes=[note])
