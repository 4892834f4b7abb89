"""The detectors of a depot as its settings have them: the room, and a module for each address.

settings.hazard --> HazardSpec, Detector --> Hazards, DetectorModule --> Core.add(), tasks of the core
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from controller.core import Core
from controller.hazards import Hazards
from controller.safety import Safety
from controller.sections_hazards import HazardSection
from controller.settings import Settings
from grid.detector_module import Detector, DetectorModule
from grid.modbus_link import Peer, Table

log = logging.getLogger(__name__)

KINDS = frozenset({"hazard_found", "hazard_unwatched"})


def add_hazards(core: Core, settings: Settings, *, safety: Safety) -> tuple[Hazards | None, Sequence[DetectorModule]]:
    """Let detectors take part. Returns the room (None where there are none), and the modules, whose ``run`` is the caller's to start."""
    if not settings.hazard:
        return None, ()
    room = Hazards(safety, [section.to_spec() for section in settings.hazard])
    modules = modules_of(settings.hazard, room)
    room.attach(modules)
    core.views.board.more.append(room.conditions)
    core.views.board.kinds |= KINDS
    core.add(room)
    log.info("detectors: %d on %d modules", len(settings.hazard), len(modules))
    return room, modules


def modules_of(sections: Sequence[HazardSection], room: Hazards) -> list[DetectorModule]:
    """One module for each address, read as often as its most impatient detector asks."""
    places: dict[tuple[str, int, int], list[HazardSection]] = {}
    for section in sections:
        places.setdefault(section.place, []).append(section)
    return [
        DetectorModule(
            Peer(host=host, port=port, unit_id=unit, timeout_s=1.0),
            [
                Detector(
                    detector_id=one.id, table=Table(one.table), address=one.address, scale=one.scale, offset=one.offset, signed=one.signed
                )
                for one in found
            ],
            now=time.monotonic,
            on_read=room.look,
            period_s=min(one.poll_s for one in found),
        )
        for (host, port, unit), found in places.items()
    ]
