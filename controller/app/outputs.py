"""The outputs of a depot as its settings have them: the room, and an I/O module for each address.

settings.output --> OutputSpec, Point --> Outputs, OutputModule --> Core.add(), tasks of the core
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack, closing

from controller.core import Core
from controller.output_latches import IsolationFile
from controller.output_notices import KINDS, OutputNotices
from controller.output_view import OutputsView
from controller.output_viewer import OutputViewer
from controller.outputs import OutputParts, Outputs, kinds_of
from controller.safety import Safety
from controller.sections_outputs import OutputSection
from controller.settings import Settings
from depot.outputs import WORDS, OutputKind
from grid.modbus_link import Peer, Table
from grid.output_module import Input, OutputModule, Point, Watchdog

log = logging.getLogger(__name__)


def add_outputs(core: Core, settings: Settings, *, safety: Safety, stack: ExitStack) -> tuple[Outputs | None, Sequence[OutputModule]]:
    """Let outputs take part. Returns the room, and the modules, whose ``run`` is the caller's to start; none where there are no outputs
    and nothing was ever isolated."""
    if not settings.output and not settings.isolations.exists() and not core.yard.state.outputs.isolated:
        return None, ()
    latches = stack.enter_context(closing(IsolationFile.open(settings.isolations)))
    parts = OutputParts(
        [section.to_spec() for section in settings.output],
        latches,
        core.desk.restore_default,
        core.planning.request,
        safety_looks=lambda: safety.looks,
        speed=max(1.0, settings.clock.speed),
        safety_period_s=safety.parts.look_s / max(1.0, settings.clock.speed),
        response=safety.response_of,
        cut=safety.cut,
    )
    room = Outputs(core.yard, core.loop, parts)
    notices = OutputNotices(room)
    room.views[OutputsView] = OutputViewer(room).view
    modules = modules_of(settings.output, room)
    room.attach({point: module for module in modules for point in module.sights})
    core.orders.urgent.update(room.urgent)
    core.views.board.more.append(notices.conditions)
    core.views.board.kinds |= KINDS
    safety.isolation.on_change.append(room.look)
    core.add(room)
    if settings.output:
        log.info("outputs: %s on %d modules", kinds_of(parts.outputs), len(modules))
    return room, modules


def modules_of(sections: Sequence[OutputSection], room: Outputs) -> list[OutputModule]:
    """One module for each address."""
    places: dict[tuple[str, int, int], list[OutputSection]] = {}
    for section in sections:
        places.setdefault(section.place, []).append(section)
    return [_module(place, outputs, room) for place, outputs in places.items()]


def _module(place: tuple[str, int, int], outputs: Sequence[OutputSection], room: Outputs) -> OutputModule:
    host, port, unit = place
    watchdog = outputs[0].watchdog_address
    return OutputModule(
        Peer(host=host, port=port, unit_id=unit, timeout_s=1.0),
        [_point(section) for section in outputs],
        order=room.order,
        now=room.parts.steady,
        watchdog=Watchdog(watchdog) if watchdog is not None else None,
        alive=room.alive,
        on_read=room.look,
        period_s=outputs[0].poll_s,
    )


def _point(section: OutputSection) -> Point:
    emergency = WORDS[OutputKind(section.kind)][1]
    read_back = None
    if section.proven:
        read_back = Input(Table(section.read_table), section.read_address, section.read_on_means == emergency)
    return Point(
        output_id=section.id,
        address=section.address,
        coil=section.table == "coil",
        on_value=section.on_value,
        off_value=section.off_value,
        on_is_emergency=section.de_energised != emergency,
        read_back=read_back,
    )
