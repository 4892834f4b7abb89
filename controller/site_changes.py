"""Stations and feeders as people changed them beside the settings file. Pure.

    settings.to_spec() + declared stations and feeders (facts)  --overlay-->  Site: the spec of the core's next start

The file stays the base and the ceiling (decision 10): a feeder's rating can only be tightened here, a feeder can only be
added in the file, and where the file's word on a station has changed since a person changed it here, the file holds.
What does not fit any more is left out, with a sentence; it never stops a start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import msgspec
from pydantic import ValidationError

from controller.sections import FeederSection, StationSection
from depot.commands import ChangeSite
from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec
from depot.state import StationChange
from depot.values import InvalidValue

MAX_STATIONS = 2000


@dataclass(frozen=True, slots=True)
class Site:
    """``key_hashes``: of stations that only people declared. ``left_out``: what could not be applied, and why."""

    spec: DepotSpec
    key_hashes: Mapping[str, str]
    left_out: tuple[str, ...] = ()


def fingerprint(station: StationSpec | None) -> str:
    """What the file says of a station, in 32 hex digits; "" where it says nothing."""
    if station is None:
        return ""
    said = msgspec.to_builtins(station)
    for connector in said["connectors"]:
        if not connector["discharge_w"]:
            del connector["discharge_w"]  # the fingerprints of files that never named it stay as they were
    return blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()


def overlay(base: DepotSpec, stations: Mapping[str, StationChange], feeders: Mapping[str, FeederSpec]) -> Site:
    """``base`` with the changes that still fit."""
    left_out: list[str] = []
    known = {feeder.feeder_id for feeder in base.feeders}
    left_out += [f"feeder {name}: the settings file has it no more" for name in feeders if name not in known]
    of_file = {station.station_id: station for station in base.stations}
    chosen: list[StationSpec] = []
    keys: dict[str, str] = {}
    for station in base.stations:
        change = stations.get(station.station_id)
        why = "" if change is None else _misfit(change, station, known)
        if change is None or why:
            chosen.append(station)
            left_out += [f"station {station.station_id}: {why}; the settings file holds"] if why else []
        elif change.station is not None:
            chosen.append(change.station)
    for station_id, change in stations.items():
        if station_id in of_file or change.station is None:
            continue
        why = _misfit(change, None, known)
        if why:
            left_out.append(f"station {station_id}: {why}; it is not let in")
        else:
            chosen.append(change.station)
            keys[station_id] = change.key_hash
    spec = replace(base, feeders=tuple(_tightened(f, feeders.get(f.feeder_id)) for f in base.feeders), stations=tuple(chosen))
    return Site(spec, keys, tuple(left_out))


def _misfit(change: StationChange, of_file: StationSpec | None, feeders: set[str]) -> str:
    """Why a change can't be applied; "" when it can."""
    if change.over != fingerprint(of_file):
        return "the settings file has changed since"
    if change.station is not None and change.station.feeder_id not in feeders:
        return f"feeder {change.station.feeder_id} is not in the settings file"
    if of_file is None and not change.key_hash:
        return "it has no password"
    return ""


def _tightened(feeder: FeederSpec, declared: FeederSpec | None) -> FeederSpec:
    if declared is None:
        return feeder
    return FeederSpec(feeder.feeder_id, min(feeder.rating_w, declared.rating_w), declared.name or feeder.name)


def check(base: DepotSpec, stations: Mapping[str, StationChange], feeders: Mapping[str, FeederSpec], change: ChangeSite) -> Site:
    """The site after ``change`` on top of what was changed before. Raises :class:`InvalidValue` with all complaints."""
    complaints: list[str] = []
    of_file = {station.station_id: station for station in base.stations}
    feeders_of_file = {feeder.feeder_id: feeder for feeder in base.feeders}
    after = {k: v for k, v in stations.items() if k not in change.withdraw_stations}
    for station in change.stations:
        key_hash = change.key_hashes.get(station.station_id) or (
            stations[station.station_id].key_hash if station.station_id in stations else ""
        )
        complaints += _station_complaints(station, key_hash, feeders_of_file, new=station.station_id not in of_file)
        over = fingerprint(of_file.get(station.station_id))
        after[station.station_id] = StationChange(station, over, "" if station.station_id in of_file else key_hash)
    for station_id in change.retire_stations:
        if station_id in of_file:
            after[station_id] = StationChange(None, fingerprint(of_file[station_id]))
        elif after.pop(station_id, None) is None:
            complaints.append(f"station {station_id}: there is none to retire")
    declared = {k: v for k, v in feeders.items() if k not in change.withdraw_feeders}
    for feeder in change.feeders:
        complaints += _feeder_complaints(feeder, feeders_of_file.get(feeder.feeder_id))
        declared[feeder.feeder_id] = feeder
    if len(of_file.keys() | after.keys()) > MAX_STATIONS:
        complaints.append(f"a depot has at most {MAX_STATIONS} stations")
    if complaints:
        raise InvalidValue("; ".join(complaints))
    return overlay(base, after, declared)


def _station_complaints(station: StationSpec, key_hash: str, feeders: Mapping[str, FeederSpec], *, new: bool) -> list[str]:
    who = f"station {station.station_id[:48]}"
    out: list[str] = []
    if station.feeder_id not in feeders:
        out.append(f"{who}: feeder {station.feeder_id!r} is not in the settings file (it has {', '.join(sorted(feeders))})")
    if new and not key_hash:
        out.append(f"{who} is new and needs key_hash: make one with ./chargeyard station-key --new {station.station_id}")
    connectors = [
        {
            "number": c.connector, "rated_kw": c.rated_w / 1000, "min_kw": c.min_w / 1000, "current": c.current.value,
            "phases": c.phases, "voltage_v": c.voltage_v, "pausable": c.pausable, "settle_s": c.settle_s,
            "discharge_kw": c.discharge_w / 1000,
        }
        for c in station.connectors
    ]  # fmt: skip
    try:
        StationSection.model_validate(
            {
                "id": station.station_id,
                "feeder": station.feeder_id,
                "bay": station.bay_id,
                "key_hash": key_hash or "0" * 64,
                "connector": connectors,
            }
        )
    except ValidationError as error:
        out += [f"{who}: {'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
    return out


def _feeder_complaints(feeder: FeederSpec, of_file: FeederSpec | None) -> list[str]:
    who = f"feeder {feeder.feeder_id[:64]}"
    if of_file is None:
        return [f"{who} is not in the settings file: its rating is a limit that nothing lifts, so add it there, section [[feeder]]"]
    try:
        FeederSection(id=feeder.feeder_id, rating_kw=feeder.rating_w / 1000, name=feeder.name)
    except ValidationError as error:
        return [f"{who}: {e['msg']}" for e in error.errors()]
    if feeder.rating_w > of_file.rating_w:
        most, wanted = of_file.rating_w / 1000, feeder.rating_w / 1000
        return [f"{who}: {wanted:g} kW is more than the {most:g} kW of the settings file; only the file can say that"]
    return []


def cautions(before: DepotSpec, after: DepotSpec) -> list[str]:
    """In which respects ``after`` makes the limiter count less than ``before`` did: what a person must be sure of."""
    out: list[str] = []
    later = {station.station_id: station for station in after.stations}
    for station in before.stations:
        new = later.get(station.station_id)
        if new is None:
            out.append(f"{station.station_id} is not counted any more: be sure that it is disconnected from the supply")
            continue
        if new.feeder_id != station.feeder_id:
            out.append(f"{station.station_id} is counted on feeder {new.feeder_id} and no more on {station.feeder_id}: follow its cable")
        connectors = {c.connector: c for c in new.connectors}
        for old in station.connectors:
            out += _connector_cautions(f"{station.station_id}/{old.connector}", old, connectors.get(old.connector))
    return out


def _connector_cautions(who: str, old: ConnectorSpec, new: ConnectorSpec | None) -> list[str]:
    if new is None:
        return [f"{who} is not counted any more: be sure that it cannot be used"]
    out = []
    if new.rated_w < old.rated_w:
        out.append(
            f"{who} is taken to draw at most {new.rated_w / 1000:g} kW instead of {old.rated_w / 1000:g} kW: compare with its name plate"
        )
    if set(old.phases or (1, 2, 3)) - set(new.phases or (1, 2, 3)):
        out.append(f"{who} is counted on phase {_phases(new)} instead of {_phases(old)}: measure, do not trust the label")
    if new.settle_s < old.settle_s:
        out.append(f"{who} is given {new.settle_s:g} s instead of {old.settle_s:g} s to come down")
    if new.pausable and not old.pausable:
        out.append(f"{who} is taken to survive 0 W: sessions that do not will need a person to plug them in again")
    return out


def _phases(connector: ConnectorSpec) -> str:
    return ", ".join(map(str, connector.phases)) or "1, 2, 3 (not known)"
