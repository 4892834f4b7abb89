"""Registries as rows of text, in the columns of the imports. Pure. What is exported and imported again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from controller.departures_import import COLUMNS as DEPARTURE_COLUMNS
from controller.departures_import import KIND as DEPARTURES
from controller.departures_view import DeparturesView
from controller.import_reader import Known
from controller.registry_import import COLUMNS, Kind
from controller.sheets import write_csv, write_json
from depot.registry import StationSpec

Rows = Iterable[Mapping[str, str]]


def export(kind: Kind, known: Known, *, as_json: bool = False) -> bytes:
    """The registry of this kind as a file."""
    rows = rows_of(kind, known)
    columns = tuple(c for c in COLUMNS[kind] if c not in ("key_hash",) and not (kind is Kind.VEHICLES and c == "bay"))
    return write_json(kind.value, columns, rows) if as_json else write_csv(columns, rows)


def rows_of(kind: Kind, known: Known) -> list[Mapping[str, str]]:
    """The registry of this kind as cells of text."""
    return list(_ROWS[kind](known))


def export_departures(view: DeparturesView, *, as_json: bool = False) -> bytes:
    """All stays as a file."""
    zone = ZoneInfo(view.timezone)
    rows = [
        {
            "vehicle_id": row.stay.vehicle_id,
            "depart_at": row.stay.depart_at.astimezone(zone).isoformat(),
            "arrive_at": row.stay.arrive_at.astimezone(zone).isoformat(),
            "energy_kwh": _thousandth(row.stay.battery_energy_wh),
            "soc_arrival": "" if row.stay.soc_arrival is None else f"{row.stay.soc_arrival * 100:g} %",
            "connector": row.connector or "",
            "priority": str(row.stay.priority),
        }
        for row in sorted(view.rows, key=lambda row: (row.stay.depart_at, row.stay.vehicle_id))
    ]
    columns = tuple(c for c in DEPARTURE_COLUMNS if c not in ("soc_target", "bay"))
    return write_json(DEPARTURES, columns, rows) if as_json else write_csv(columns, rows)


def _vehicles(known: Known) -> Rows:
    for name, v in sorted(known.vehicles.items()):
        yield {
            "vehicle_id": name,
            "model": v.model,
            "battery_kwh": _thousandth(v.battery_wh),
            "ac_max_kw": _thousandth(v.ac_max_w),
            "dc_max_kw": _thousandth(v.dc_max_w),
            "efficiency": repr(v.efficiency),
            "pausable": _flag(v.pausable),
            "id_tags": " ".join(v.id_tags),
            "connector": "" if v.connector is None else str(v.connector),
            "discharge_kw": _thousandth(v.discharge_max_w),
            "phases": "" if v.phases is None else str(v.phases),
            "precondition_kw": _thousandth(v.precondition_w),
            "precondition_min": "" if v.precondition_min is None else str(v.precondition_min),
        }


def _packs(known: Known) -> Rows:
    for key, p in sorted(known.packs.items()):
        yield {
            "vehicle_id": key.vehicle_id,
            "pack_id": key.pack_id,
            "chemistry": p.chemistry,
            "capacity_kwh": _thousandth(p.capacity_wh),
            "cells": "" if p.cells is None else str(p.cells),
        }


def _drivers(known: Known) -> Rows:
    for name, d in sorted(known.drivers.items()):
        yield {"driver_id": name, "name": d.name, "id_tags": " ".join(d.id_tags)}


def _stations(known: Known) -> Rows:
    for station in known.stations.values():
        yield from _connectors(station)


def _connectors(station: StationSpec) -> Rows:
    for c in station.connectors:
        yield {
            "station_id": station.station_id,
            "feeder_id": station.feeder_id,
            "bay": station.bay_id,
            "connector": str(c.connector),
            "current": c.current.value,
            "rated_kw": _thousandth(c.rated_w),
            "min_kw": _thousandth(c.min_w),
            "phases": " ".join(map(str, c.phases)),
            "voltage_v": str(c.voltage_v),
            "pausable": _flag(c.pausable),
            "settle_s": f"{c.settle_s:g}",
            "discharge_kw": _thousandth(c.discharge_w),
        }


def _feeders(known: Known) -> Rows:
    for feeder in known.feeders.values():
        yield {"feeder_id": feeder.feeder_id, "rating_kw": _thousandth(feeder.rating_w), "name": feeder.name}


_ROWS = {
    Kind.VEHICLES: _vehicles,
    Kind.PACKS: _packs,
    Kind.DRIVERS: _drivers,
    Kind.STATIONS: _stations,
    Kind.FEEDERS: _feeders,
}


def _thousandth(value: int | None) -> str:
    """Integer W or Wh as kW or kWh, exactly."""
    return "" if value is None else f"{value / 1000:.3f}".rstrip("0").rstrip(".")


def _flag(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"
