"""The room of packs' health in the core, as the settings have it."""

from __future__ import annotations

from controller.alarm_desk import AlarmDesk
from controller.core import Core
from controller.settings import Settings


def add_health(core: Core, settings: Settings, *, alarms: AlarmDesk) -> None:
    """Nothing where no health is estimated; then no battery is tested either."""
    if settings.health is None:
        core.reference_tests.refuses = "this depot estimates no health: add a section [health] to its settings (docs/battery-health.md)"
        return
    from controller.health_room import HealthRoom
    from controller.reference_judge import Judge

    core.reference_tests.unjudged = Judge(settings.health_database, core.yard.clock)
    room = HealthRoom(settings.health_database, core.yard.clock, every_s=settings.health.every_s)
    alarms.sources.append(room)
    core.add(room)
