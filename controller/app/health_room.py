"""The room of packs' health in the core, as the settings have it."""

from __future__ import annotations

from controller.alarm_desk import AlarmDesk
from controller.core import Core
from controller.settings import Settings


def add_health(core: Core, settings: Settings, *, alarms: AlarmDesk) -> None:
    """Nothing where no health is estimated."""
    if settings.health is None:
        return
    from controller.health_room import HealthRoom

    room = HealthRoom(settings.health_database, core.yard.clock, every_s=settings.health.every_s)
    alarms.sources.append(room)
    core.add(room)
