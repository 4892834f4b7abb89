"""Stations and feeders from files: one row per connector, the rows of a station make the station. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from controller.import_reader import Known, Preview, Reader, finish, line_of
from controller.sections import ConnectorSection, FeederSection, StationSection
from controller.sheets import CellError, Row, Sheet
from depot.registry import ConnectorSpec, FeederSpec, StationSpec


def read_feeders(sheet: Sheet, known: Known, remove_missing: bool) -> Preview:
    reader, puts, lines = Reader(sheet), [], []
    for row in sheet.rows:
        name = row.text("feeder_id")
        if not reader.once(row, name, f"feeder {name}"):
            continue
        old = known.feeders.get(name)
        if old is None:
            reader.complain(row, f"{name!r} is not in the settings file; add it there first, section [[feeder]]", "feeder_id")
            continue
        rating_w: int | None = old.rating_w
        rating_w = reader.cell(row, "rating_kw", row.thousandfold_of, rating_w)
        words = reader.cell(row, "name", row.text, old.name)
        try:
            FeederSection(id=name, rating_kw=(rating_w or 0) / 1000, name=words)
        except ValidationError as error:
            for detail in error.errors():
                reader.complain(row, str(detail["msg"]), str(detail["loc"][0]))
            continue
        new = FeederSpec(name, rating_w or 0, words or name)
        lines.append(line_of(row.number, name, old, new))
        puts.append(new)
    return finish(reader, lines, puts, known.feeders, False)


def read_stations(sheet: Sheet, known: Known, remove_missing: bool) -> Preview:
    """One row per connector; the rows of a station make the station."""
    reader = Reader(sheet)
    heads: dict[str, Row] = {}
    connectors: dict[str, list[ConnectorSpec]] = {}
    wrong: set[str] = set()
    keys: dict[str, str] = {}
    for row in sheet.rows:
        name = row.text("station_id")
        head = heads.setdefault(name, row)
        bad = len(reader.complaints)
        for column in ("feeder_id", "bay", "key_hash"):
            if row.text(column) != head.text(column):
                reader.complain(row, f"differs from row {head.number} of the same station", column)
        old = known.stations.get(name)
        connector = _connector(reader, row, old)
        if connector is not None and reader.once(row, (name, connector.connector), f"connector {name}/{connector.connector}"):
            connectors.setdefault(name, []).append(connector)
        if row.text("key_hash"):
            keys[name] = row.text("key_hash").lower()
        if len(reader.complaints) != bad:
            wrong.add(name)
    puts, lines = [], []
    for name, head in heads.items():
        if name in wrong or name not in connectors:
            continue
        old = known.stations.get(name)
        feeder = head.text("feeder_id") or (old.feeder_id if old is not None else "")
        bay = head.text("bay") if head.has("bay") else (old.bay_id if old is not None else "")
        if feeder not in known.feeders:
            reader.complain(head, f"{feeder!r} is not a feeder of this site ({', '.join(known.feeders)})", "feeder_id")
            continue
        if old is None and name not in keys:
            reader.complain(head, f"{name} is new: make its key_hash with ./chargeyard station-key --new {name}", "key_hash")
            continue
        new = StationSpec(name, feeder, tuple(sorted(connectors[name], key=lambda c: c.connector)), bay)
        lines.append(line_of(head.number, name, old, new))
        puts.append(new)
        for complaint in _section_complaints(new, keys.get(name, "")):
            reader.complain(head, complaint)
    done = finish(reader, lines, puts, known.stations, remove_missing)
    return replace(done, key_hashes=keys)


def _connector(reader: Reader, row: Row, station: StationSpec | None) -> ConnectorSpec | None:
    number = reader.cell(row, "connector", row.whole_of, None)
    if number is None:
        reader.complain(row, "write the connector's number, from 1", "connector")
        return None
    old = next((c for c in station.connectors if c.connector == number), None) if station is not None else None
    given: dict[str, Any] = {"number": number}
    current = row.text("current").upper() or (old.current.value if old is not None else "AC")
    given["current"] = current
    given["rated_kw"] = reader.cell(row, "rated_kw", row.number_of, old.rated_w / 1000 if old is not None else None)
    given["min_kw"] = reader.cell(row, "min_kw", row.number_of, old.min_w / 1000 if old is not None else None)
    given["phases"] = reader.cell(row, "phases", lambda _: _phases(row), old.phases if old is not None else ())
    voltage = reader.cell(row, "voltage_v", row.whole_of, old.voltage_v if old is not None else None)
    settle = reader.cell(row, "settle_s", row.number_of, old.settle_s if old is not None else None)
    discharge = reader.cell(row, "discharge_kw", row.number_of, old.discharge_w / 1000 if old is not None else None)
    given |= {k: v for k, v in (("voltage_v", voltage), ("settle_s", settle), ("discharge_kw", discharge)) if v is not None}
    given["pausable"] = reader.cell(row, "pausable", row.flag_of, old.pausable if old is not None else None)
    if given["rated_kw"] is None:
        reader.complain(row, "write the connector's rating in kW", "rated_kw")
        return None
    try:
        return ConnectorSection(**given).to_spec()
    except ValidationError as error:
        for detail in error.errors():
            place = str(detail["loc"][0]) if detail["loc"] else ""
            reader.complain(row, str(detail["msg"]).removeprefix("Value error, "), {"number": "connector"}.get(place, place))
        return None


def _phases(row: Row) -> tuple[int, ...]:
    """``1 2 3``, ``L1``, ``L1 L2``; empty: not known."""
    text = row.text("phases")
    joined = text if text not in ("123", "12", "23", "13") else " ".join(text)
    parts = [part.upper().removeprefix("L") for part in Row(row.number, {"phases": joined}).list_of("phases")]
    if any(part not in ("1", "2", "3") for part in parts):
        raise CellError(f"{text!r}: write the phases as 1, or 1 2 3")
    return tuple(sorted(int(part) for part in parts))


def _section_complaints(station: StationSpec, key_hash: str) -> list[str]:
    try:
        StationSection.model_validate(
            {
                "id": station.station_id, "feeder": station.feeder_id, "bay": station.bay_id, "key_hash": key_hash or "0" * 64,
                "connector": [{"number": c.connector, "rated_kw": c.rated_w / 1000} for c in station.connectors],
            }
        )  # fmt: skip
    except ValidationError as error:
        return [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
    return []
