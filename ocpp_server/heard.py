"""What every version's messages have in common once they are read: connectors, times, samples, the answer to a boot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from depot.events import Registration
from depot.files import Topic, TransferReport
from depot.ports import ChargerEvents
from depot.readings import MeterReading
from depot.values import ConnectorId
from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.meter_values import Sample
from ocpp_server.schemas import Payload, parse
from ocpp_server.session import CallReceived
from ocpp_server.skew import parse_time
from ocpp_server.station import Station
from ocpp_server.version import Version

HELD_UP_S = 2.0
"""A live sample that comes so much later than its clock says was held up on its way, or the clock was set back; the latter
shows in the next ones."""


LOCATIONS_MOST = 10
"""Addresses of one publication that are kept."""


def parsed(station: Station, call: CallReceived, version: Version) -> Payload:
    """The payload as its schema wants it; repairs are counted. Raises :class:`PayloadViolation`."""
    found = parse(call.action, call.payload, version)
    for repair in found.repairs:
        station.violations[repair] += 1
    return found.payload


def check_admitted(station: Station, call: CallReceived, events: ChargerEvents) -> None:
    """Refuse what a station says that a person has rejected: it may boot, to hear so. Raises :class:`PayloadViolation`."""
    if call.action != "BootNotification" and events.registration(station.station_id) is Registration.REJECTED:
        raise PayloadViolation(ErrorCode.SECURITY_ERROR, f"{station.station_id} is rejected by this depot; a person must accept it first")


def declared(station: Station, number: int) -> ConnectorId:
    """The connector, if the depot's configuration has it; else :class:`PayloadViolation`, counted."""
    if number not in station.connectors:
        station.violations["undeclared_connector"] += 1
        raise PayloadViolation(
            ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
            f"connector {number} of {station.station_id} is not declared in the depot's configuration",
        )
    return ConnectorId(station.station_id, number)


def transfer_report(station: Station, topic: Topic, req: Payload) -> TransferReport:
    """Firmware-, Diagnostics-, LogStatusNotification in the depot's words. A number that none of ours can be is no number."""
    number = req.get("requestId")
    known = number if type(number) is int and number > 0 else None
    locations = tuple(req["location"])[:LOCATIONS_MOST] if topic is Topic.PUBLICATION and "location" in req else ()
    return TransferReport(station.station_id, topic, req["status"], known, locations)


def believed_time(station: Station, text: object, *, required: bool = True) -> datetime | None:
    """A station's timestamp; None, and counted, for one that cannot be true."""
    at = parse_time(text)
    if at is None and (required or text is not None):
        station.violations["distrusted_time"] += 1
    return at


def readings(
    station: Station,
    connector: ConnectorId,
    samples: Sequence[Sample],
    *,
    transaction_id: int | None,
    now: datetime,
    replay_age_s: float,
    offline: bool = False,
) -> Iterator[MeterReading]:
    """Samples of one connector as readings; what its guard does not believe is left out. ``offline``: the station says
    that they were taken while it was cut off, so they tell nothing about its clock and never drive control."""
    for sample in samples:
        reading = _reading(station, connector, sample, transaction_id, now, replay_age_s, offline=offline)
        if reading is not None:
            yield reading


def _reading(
    station: Station,
    connector: ConnectorId,
    sample: Sample,
    transaction_id: int | None,
    now: datetime,
    replay_age_s: float,
    *,
    offline: bool,
) -> MeterReading | None:
    clock, guard = station.clock, station.guards[connector.connector]
    replayed, at, waited_s = offline, now, 0.0
    if sample.reported_at is not None:
        if not offline:
            # what we asked for is no replay, but it may have waited behind a call that the depot has not answered yet
            held_up = clock.observed and HELD_UP_S < clock.age_s(sample.reported_at, now) <= replay_age_s
            clock.observe(sample.reported_at, now, live=sample.context == "Trigger" and not held_up)
        replayed = replayed or clock.age_s(sample.reported_at, now) > replay_age_s
        at = min(now, sample.reported_at - clock.skew)
        waited_s = (now - at).total_seconds()
    rejected = station.violations
    power_w = guard.power_w(sample.power_w)
    if power_w is not None:
        station.reluctance.told()
    energy_wh = guard.energy_wh(sample.energy_wh, power_w, at)
    soc = _within(sample.soc, 0.0, 1.0)
    temperature = _within(sample.pack_temp_c, -60.0, 150.0)
    current = _within(sample.current_a, -10_000.0, 10_000.0)
    voltage = _within(sample.voltage_v, 0.0, 2_000.0)
    pairs = ((soc, sample.soc), (temperature, sample.pack_temp_c), (current, sample.current_a), (voltage, sample.voltage_v))
    rejected["out_of_range"] += sum(kept is None and given is not None for kept, given in pairs)
    if power_w is None and energy_wh is None and all(kept is None for kept, _ in pairs):
        return None
    return MeterReading(
        connector, now, sample.reported_at, power_w, energy_wh, soc, temperature, current, voltage, transaction_id, replayed, waited_s,
        guard.exported_wh(sample.exported_wh),
    )  # fmt: skip


def _within(value: float | None, least: float, most: float) -> float | None:
    return value if value is not None and least <= value <= most else None
