"""The page *Safety* of the fake depot: calm, and with a tripped battery."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import msgspec

from controller.pack_view import Limits, PackDetail, PacksView, RuleRow, Told, TripsView
from controller.pack_viewer import cell_of
from controller.readmodel import NowView, TripBrief
from controller.safety_log import Row
from controller.safety_view import (
    Act,
    Degrees,
    PackRow,
    PackState,
    Refused,
    SafetyView,
    ShutConnector,
    TelemetryView,
    TrippedPack,
)

TEXT = "61.2 °C at sensor 0, the limit is 60 °C"


def calm(now: datetime) -> SafetyView:
    """Everything in order; one battery is warm."""
    telemetry = TelemetryView(
        configured=True,
        up=True,
        reason="",
        since=now - timedelta(hours=5),
        bus_lost=None,
        expected=17,
        heard=17,
        refused={},
        newest_refused=[],
        latches="every trip is on the disk",
        latches_ok=True,
    )
    rows = [
        PackRow(
            vehicle_id=f"E-{101 + k}",
            pack_id="P1",
            chemistry="LFP",
            state=PackState.DERATED if k == 0 else PackState.ORDER,
            share=0.6 if k == 0 else 1.0,
            tripped=False,
            text="51 °C, derated from 48 °C" if k == 0 else "",
            hottest_c=51.2 if k == 0 else 31.0 + k * 0.7,
            soc=0.4 + k * 0.03,
            age_s=1.2 + k * 0.2,
            connector=f"CP-{k + 1:02d}/1",
            state_of_safety=0.93 if k == 0 else None,
            stage=1 if k == 0 else None,
        )
        for k in range(8)
    ]
    timeline = [
        Row(at=now - timedelta(minutes=12), title="E-101/P1 may take 60% of its level", detail="51 °C, derated from 48 °C", tone="warn")
    ]
    return SafetyView(
        at=now,
        tripped=[],
        tripped_count=0,
        shut=[],
        packs=rows,
        pack_count=len(rows),
        strip=[cell_of(row) for row in rows],
        telemetry=telemetry,
        timeline=timeline,
    )


def tripped(now: datetime, *, against: str | None = "E-103/P1 is at 59.4 °C; it must be at 43 °C or less") -> SafetyView:
    """E-103 on CP-03 tripped seven minutes ago."""
    since = now - timedelta(minutes=7, seconds=48)
    curve = []
    for k in range(120):
        at = now - timedelta(seconds=1200 - k * 10)
        left_s = (since - at).total_seconds()
        rise = 36 * math.exp(-max(0.0, left_s) / 260) if left_s > -60 else 36 * math.exp((left_s + 60) / 2400)
        curve.append(Degrees(at, 26 + rise, 25.2 + rise * 0.55))
    acts = [
        Act(title="Stop of the session", detail="confirmed by the charger, 21 ms after it was told", state="done", at=since),
        Act(title="CP-03 reports no power", detail="no session runs, nothing is metered", state="done"),
        Act(title="Out of service at the charger", detail="confirmed by the charger, 38 ms after it was told", state="done", at=since),
        Act(title="Default of 0 kW: what it falls to without this controller", detail="told, no answer yet", state="open", at=since),
    ]
    pack = TrippedPack(
        vehicle_id="E-103",
        pack_id="P1",
        chemistry="LFP",
        cause="over_temperature",
        text=TEXT,
        evidence={"limit_c": "60", "hottest_c": "61.2", "sensor": "0", "sensors": "4", "soc": "0.71", "source": "mqtt", "age_s": "0"},
        since=since,
        connector="CP-03/1",
        label="CP-03",
        power_text="Power is off, and confirmed",
        acts=acts,
        curve=curve,
        trip_c=60,
        reset_c=43,
        hottest_c=59.4 if against else 41.8,
        soc=0.71,
        age_s=0.8,
        against_reset=against,
    )
    row = PackRow(
        vehicle_id="E-103",
        pack_id="P1",
        chemistry="LFP",
        state=PackState.TRIPPED,
        share=0.0,
        tripped=True,
        text=TEXT,
        hottest_c=59.4,
        soc=0.71,
        age_s=0.8,
        connector="CP-03/1",
    )
    shut = ShutConnector(
        connector="CP-03/1", label="CP-03", pack="E-103/P1", since=since, power_text="Power is off, and confirmed", confirmed=True
    )
    view = calm(now)
    telemetry = msgspec.structs.replace(
        view.telemetry,
        heard=16,
        refused={"shape": 3},
        newest_refused=[
            Refused(at=since, topic="chargeyard/v1/kothrud/vehicles/E-999/packs/P1/telemetry", text="E-999/P1 is not in the registry")
        ],
    )
    timeline = [
        Row(at=since + timedelta(seconds=1), title="CP-03/1 ended session 4711", detail="reason Remote", tone="done"),
        Row(at=since, title="CP-03/1 out of service", detail="E-103/P1 is tripped", tone="alarm"),
        Row(at=since, title="E-103/P1 tripped", detail=TEXT, tone="alarm"),
        *view.timeline,
    ]
    packs = [row, *(p for p in view.packs if p.vehicle_id != "E-103")]
    return msgspec.structs.replace(
        view,
        tripped=[pack],
        tripped_count=1,
        shut=[shut],
        packs=packs,
        telemetry=telemetry,
        timeline=timeline,
        pack_count=len(packs),
        strip=[cell_of(row) for row in packs],
    )


def packs_shown(view: SafetyView) -> PacksView:
    """The same batteries, as the API lists them."""
    return PacksView(at=view.at, packs=view.packs, count=view.pack_count)


def trips_shown(view: SafetyView) -> TripsView:
    """The same trips."""
    return TripsView(at=view.at, trips=view.tripped)


def pack_shown(view: SafetyView, vehicle: str, pack: str) -> PackDetail | None:
    """One of the view's batteries with everything; None for any other."""
    row = next((row for row in view.packs if (row.vehicle_id, row.pack_id) == (vehicle, pack)), None)
    if row is None or row.hottest_c is None:
        return None
    hottest_c = row.hottest_c
    told = Told(
        source="mqtt",
        age_s=row.age_s or 0.0,
        temperatures_c=[hottest_c, hottest_c - 0.4, None, *(hottest_c - 0.2 * k for k in range(1, 14))],
        cells_v=[3.31 + 0.004 * math.sin(k) - (0.02 if k == 88 else 0) for k in range(192)],
        cell_min_v=3.286,
        cell_max_v=3.314,
        soc=row.soc,
        soh=0.92,
        voltage_v=635.4,
        current_a=68.2,
        insulation_ohm=1_900_000,
        limit_a=210.0,
        limit_v=700.8,
        stop=row.tripped,
        alarms=["sensor_fault"],
        firmware="bms 2.4",
    )
    charger = Told(
        source="ocpp", age_s=41.0, temperatures_c=[hottest_c - 1], cells_v=[], cell_min_v=None, cell_max_v=None, soc=row.soc, soh=None,
        voltage_v=None, current_a=None, insulation_ohm=None, limit_a=None, limit_v=None, stop=False, alarms=[], firmware="",
    )  # fmt: skip
    trip = next((trip for trip in view.tripped if trip.vehicle_id == vehicle), None)
    curve = [Degrees(view.at - timedelta(seconds=10 * k), hottest_c - k / 100, hottest_c - 4) for k in range(90, -1, -1)]
    return PackDetail(
        at=view.at,
        row=row,
        expected=True,
        capacity_wh=320_000,
        cells=192,
        told=[told, charger],
        issues=["sensor 2 has no value"],
        limit_w=70_000,
        rules=[
            RuleRow(name="insulation", layer="L2", threshold="`insulation_ohm`, for 3 s", within_s=5, why_not="it never says insulation"),
            RuleRow(name="over_temperature", layer="L1", threshold="`trip_c`, once", within_s=10, why_not=""),
        ],
        limits=Limits(cold_stop_c=0, cold_full_c=10, derate_from_c=48, derate_full_c=56, trip_c=60, reset_below_c=43),
        curve=trip.curve if trip is not None else curve,
        trip=trip,
    )


def with_trip(view: NowView, count: int = 1) -> NowView:
    """*Now* while batteries are tripped."""
    trips = [
        TripBrief(
            vehicle_id=f"E-{103 + k}",
            pack_id="P1",
            connector=f"CP-{k + 3:02d}/1",
            label=f"CP-{k + 3:02d}",
            since=view.at - timedelta(minutes=7),
            text=TEXT,
            power_text="Power is off, and confirmed",
            done=True,
        )
        for k in range(count)
    ]
    return msgspec.structs.replace(view, trips=trips)
