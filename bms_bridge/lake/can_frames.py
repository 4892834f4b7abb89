"""Frames of packs' own CAN buses become samples once more, by the maps and DBCs as they are now.

Frames --Gatherer (map + DBC)--> PackSample         as in the core's room: at most one for each look at the bus
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bms_bridge.can.bind import Binding, bind
from bms_bridge.can.dbc import Dbc
from bms_bridge.can.gather import Gatherer
from bms_bridge.can.pack_map import PackMap
from bms_bridge.contract import PackSample
from bms_bridge.lake.derive import Decoder
from bms_bridge.lake.wire import Frames
from depot.values import PackKey


def can_decoder(lines: Mapping[PackKey, tuple[str, str]]) -> Decoder:
    """``lines``: (map, DBC) of each pack that is heard on its own bus. Raises :class:`~bms_bridge.can.CanError`."""
    bound: dict[tuple[str, str], Binding] = {}
    for names in lines.values():
        if names not in bound:
            bound[names] = bind(PackMap.named(names[0]), Dbc.named(names[1]), where=Path(names[0]).name)
    gatherers = {pack: Gatherer(bound[names]) for pack, names in lines.items()}
    origins = {pack: f"map {named(names[0])}, dbc {named(names[1])}" for pack, names in lines.items()}

    def decoded(item: Frames) -> tuple[list[PackSample], str, str]:
        pack = PackKey(item.vehicle_id, item.pack_id)
        gatherer = gatherers.get(pack)
        if gatherer is None:
            return [], "", ""
        for frame in item.frames:
            gatherer.hear(frame, frame.at_s)
        if not gatherer.due(item.now_s):
            return [], "", ""
        return [gatherer.take(pack, item.now_s, received_at=item.received_at)], "", origins[pack]

    return decoded


def named(name: str) -> str:
    """A data file with the beginning of its hash; one that comes with the program by its name alone."""
    path = Path(name)
    return f"{path.name}@{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}" if path.is_file() else path.name
