"""CAN buses of a depot as its settings have them: the room, and who listens on which bus.

    [[telemetry.can]] --DBC + map, or charging line--> lines, gathered by bus --> CanRoom --> Safety

A DBC or a map that cannot be used ends the start with what to change, as every other mistake in the settings does. A DBC that many
vehicles share is read once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bms_bridge.can.bind import Binding, bind
from bms_bridge.can.dbc import Dbc
from bms_bridge.can.link import BusSettings
from bms_bridge.can.pack_map import PackMap
from bms_bridge.gbt_session import GbtListener
from bms_bridge.pseudonym import Pseudonyms
from controller.alarm_desk import AlarmDesk
from controller.can_room import Bus, CanRoom, ChargingLine, Line, PackLine
from controller.core import Core
from controller.safety import Safety
from controller.sections_can import CanSection
from controller.settings import Settings
from depot.values import ConnectorId, PackKey

log = logging.getLogger(__name__)


def add_can(core: Core, settings: Settings, safety: Safety, *, secret: bytes, alarms: AlarmDesk) -> None:
    """Let safety hear the buses; nothing where the settings have none. Raises :class:`~bms_bridge.can.CanError`."""
    sections = settings.telemetry.can if settings.telemetry is not None else ()
    if not sections:
        return
    pseudonym = Pseudonyms.of_secret(secret).of
    buses: dict[tuple[str, str, int | None], list[CanSection]] = {}
    for section in sections:
        buses.setdefault(section.bus, []).append(section)
    bound = cache(_bound)
    room = CanRoom(
        [Bus(bus_of(rows), tuple(_line(row, safety, pseudonym, bound) for row in rows)) for rows in buses.values()],
        clock=core.yard.clock,
        hear=safety.hear,
        on_frames=safety.on_frames,
    )
    alarms.sources.append(room)
    core.add(room)


def bus_of(rows: list[CanSection]) -> BusSettings:
    """One bus of the lines that share it: it is silent when the most patient one says so."""
    first = rows[0]
    return BusSettings(
        interface=first.interface,
        channel=first.channel,
        bitrate=first.bitrate,
        silent_s=max(row.silent_s for row in rows),
        options={} if first.port is None else {"port": first.port},
    )


def _line(row: CanSection, safety: Safety, pseudonym: Callable[[str], str], bound: Callable[[str, str], Binding]) -> Line:
    if row.protocol == "dbc":
        return PackLine.of(PackKey(row.vehicle, row.pack), bound(row.map, row.dbc))

    def pack_of(connector: ConnectorId) -> PackKey | None:
        """The first pack of the vehicle that is plugged in there."""
        visit = safety.yard.visit_on(connector)
        return next(iter(safety.parts.packs.of(visit.announced.vehicle_id)), None) if visit is not None else None

    return ChargingLine(ConnectorId.parse(row.connector), GbtListener(pseudonym), pack_of)


def _bound(map_name: str, dbc_name: str) -> Binding:
    found = bind(PackMap.named(map_name), Dbc.named(dbc_name), where=Path(map_name).name)
    for text in found.warnings:
        log.warning("CAN: %s", text)
    return found
