"""Departures and registry of the fake depot: the vehicles of its tiles, with what the pages show of them."""

from __future__ import annotations

from datetime import timedelta

from fake_depot import FakeLink, at, sample

from controller.departures_view import DepartureRow, DeparturesView, Remedy, Span
from controller.readmodel import NowView, Tile, TileState
from controller.registry_view import (
    DriverRow,
    DriversView,
    FeederRow,
    FleetView,
    Place,
    SiteDeclarationView,
    StationRow,
    VehicleRow,
)
from depot.events import VisitAnnounced
from depot.fleet import Pack, Vehicle
from depot.registry import ConnectorSpec, Current, FeederSpec, StationSpec
from depot.values import ConnectorId, PackKey

_STANDINGS = {TileState.LATE: "late", TileState.AT_RISK: "at_risk", TileState.FAULTED: "at_risk", TileState.FINISHED: "ready"}
_WHY = {
    TileState.LATE: ("Feeder A leaves", "22 kW, what vehicles that leave earlier do not need"),
    TileState.AT_RISK: ("Site limit leaves", "25 kW, 450 kW less background and vehicles that leave earlier"),
    TileState.FAULTED: ("Charger faulted", "GroundFailure"),
    TileState.OFFLINE: ("Charger offline", "it keeps its last profile until that expires"),
    TileState.FINISHED: ("Has what was announced", ""),
    TileState.WAITING: ("Plan wants", "0 kW, plan of 01:10:00"),
}


def fill(link: FakeLink, view: NowView | None = None) -> None:
    """Let the link answer for departures and registry."""
    view = view or sample()
    link.shown[FleetView] = fleet(view)
    link.shown[DriversView] = DriversView(
        drivers=[
            DriverRow(driver_id="D-101", id_tags=["04A1B2C3"], name="Ananya Kulkarni"),
            DriverRow(driver_id="D-102", id_tags=["04FFEE01", "CARD-102"]),
        ]
    )
    link.shown[SiteDeclarationView] = declaration(view)
    link.shown[DeparturesView] = departures(view)


def fleet(view: NowView) -> FleetView:
    rows = []
    for tile in view.tiles:
        if tile.vehicle_id is None or "/" in tile.vehicle_id:  # no such vehicle can be registered
            continue
        key = ConnectorId.parse(tile.connector)
        vehicle = Vehicle(tile.vehicle_id, "Bus 12 m", 250_000, 0, 120_000, 0.92, True, (f"TAG-{tile.vehicle_id}",), key)
        packs = [Pack(PackKey(tile.vehicle_id, f"P{k}"), "LFP", 125_000, 180) for k in (1, 2)]
        rows.append(VehicleRow(vehicle=vehicle, packs=packs, where=tile.connector, leaves_at=tile.due_at))
    rows.append(VehicleRow(vehicle=Vehicle("V-08", "Van")))
    places = [
        Place(connector=t.connector, label=t.label, bay_id=f"Bay {k + 1}", current="DC", rated_w=120_000, feeder_id=t.feeder_id)
        for k, t in enumerate(view.tiles)
    ]
    return FleetView(at=view.at, timezone=view.timezone, vehicles=rows, places=places)


def declaration(view: NowView) -> SiteDeclarationView:
    stations = []
    for k, tile in enumerate(view.tiles[:6]):
        key = ConnectorId.parse(tile.connector)
        spec = StationSpec(key.station_id, tile.feeder_id, (ConnectorSpec(1, 120_000, 8_000, Current.DC, (1, 2, 3)),), f"Bay {k + 1}")
        stations.append(StationRow(station_id=key.station_id, now=spec, next=spec, connected=True, changed=False, in_file=True))
    moved = StationSpec("CP-06", "B", (ConnectorSpec(1, 22_000, 4_140, Current.AC, (1,)), ConnectorSpec(2, 22_000, 4_140)), "Bay 6")
    if len(stations) > 5:
        stations[5] = StationRow(station_id="CP-06", now=stations[5].now, next=moved, connected=True, changed=True, in_file=True)
    new = StationSpec("CP-30", "C", (ConnectorSpec(1, 60_000, 3_000, Current.DC),), "")
    stations.append(StationRow(station_id="CP-30", now=None, next=new, connected=False, changed=True, in_file=False))
    feeders = [
        FeederRow(
            feeder_id=f,
            now=FeederSpec(f, 200_000, f"Feeder {f}"),
            next=FeederSpec(f, 200_000, f"Feeder {f}"),
            file_rating_w=200_000,
            changed=False,
        )
        for f in "ABC"
    ]
    return SiteDeclarationView(
        stations=stations,
        feeders=feeders,
        pending=True,
        cautions=["CP-06 is counted on feeder B and no more on A: follow its cable"],
        notes=[],
        left_out=["station CP-40: feeder D is not in the settings file; it is not let in"],
    )


def departures(view: NowView) -> DeparturesView:
    rows = [row for tile in view.tiles if (row := _row(tile, view)) is not None]
    stay = VisitAnnounced("timetable/V-08/x", "V-08", at(2, 30), at(9), 30_000, 50_000)
    rows.append(
        DepartureRow(
            visit_id=stay.visit_id,
            stay=stay,
            registered=True,
            model="Van",
            connector=None,
            label="",
            present=False,
            standing="on_time",
            ready_at=at(4),
            margin_min=300,
            missing_wh=0,
            remaining_wh=33_000,
            needed_wh=33_000,
            delivered_wh=0,
            power_w=None,
            soc=None,
            soc_target=None,
            why="Comes 02:30",
            detail="no charger is chosen",
            planned=[Span(at(3), at(4))],
        )
    )
    order = {"late": 0, "at_risk": 1}
    rows.sort(key=lambda row: (order.get(row.standing, 2), row.stay.depart_at))
    count = {name: sum(row.standing == name for row in rows) for name in ("late", "at_risk")}
    return DeparturesView(
        at=view.at,
        timezone=view.timezone,
        rows=rows,
        total=len(rows),
        on_time=len(rows) - sum(count.values()),
        at_risk=count["at_risk"],
        late=count["late"],
    )


def _row(tile: Tile, view: NowView) -> DepartureRow | None:
    if tile.vehicle_id is None or tile.due_at is None:
        return None
    standing = _STANDINGS.get(tile.state, "on_time")
    missing_wh = round(((tile.soc_target or 0.8) - (tile.soc or 0.5)) * 250_000 / 0.92) if standing != "ready" else 0
    stay = VisitAnnounced(
        f"visit {tile.vehicle_id}",
        tile.vehicle_id,
        at(20),
        tile.due_at,
        120_000,
        120_000,
        connector=ConnectorId.parse(tile.connector),
        battery_wh=250_000,
    )
    why, detail = _WHY.get(tile.state, ("Vehicle can take", f"{(tile.power_w or 0) / 1000:.0f} kW, {tile.vehicle_id}, 30.1 kWh to go"))
    remedies = []
    if standing in ("late", "at_risk"):
        remedies = [
            Remedy("Serve it before the others", "less for E-107, E-105", "change", stay.visit_id, {"priority": "1"}),
            Remedy("Plug it in at CP-08, which is free", "a move; up to 120 kW there", "change", stay.visit_id, {"connector": "CP-08/1"}),
            Remedy("Leave 04:58", "13 min later", "change", stay.visit_id, {"depart_at": "2026-11-21 04:58"}),
        ]
    start = view.at if (tile.power_w or 0) > 0 else view.at + timedelta(hours=1, minutes=18)
    ready = tile.ready_at if standing != "ready" else view.at
    return DepartureRow(
        visit_id=stay.visit_id,
        stay=stay,
        registered=True,
        model="Bus 12 m",
        connector=tile.connector,
        label=tile.label,
        present=True,
        standing=standing,
        ready_at=ready,
        margin_min=tile.margin_min,
        missing_wh=9_000 if standing == "late" else 0,
        remaining_wh=missing_wh,
        needed_wh=130_000,
        delivered_wh=60_000,
        power_w=tile.power_w,
        soc=tile.soc,
        soc_target=tile.soc_target,
        why=why,
        detail=detail,
        remedies=remedies,
        planned=[Span(start, max(start, ready))] if ready is not None and standing != "ready" else [],
    )
