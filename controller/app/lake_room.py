"""The lake's room in the core as the settings have it: what is heard of batteries is handed over, beside the safety path.

MQTT link (messages), Safety (samples of other sources) --> Feed --> the lake's process
"""

from __future__ import annotations

import time

from controller.alarm_desk import AlarmDesk
from controller.core import Core
from controller.safety import Safety
from controller.settings import Settings


def add_lake(core: Core, settings: Settings, *, safety: Safety, alarms: AlarmDesk) -> None:
    """Nothing where no lake is set."""
    if settings.lake is None:
        return
    from bms_bridge.lake.feed import Feed
    from controller.lake_room import LakeRoom

    feed = Feed(settings.lake_path, monotonic=time.monotonic)
    room = LakeRoom(feed, settings.lake_path)
    safety.on_sample.append(feed.sample)
    safety.on_message.append(feed.message)
    safety.on_frames.append(feed.frames)
    alarms.sources.append(room)
    core.add(room)
