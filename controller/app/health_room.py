"""The room of packs' health in the core, as the settings have it."""

from __future__ import annotations

from collections.abc import Mapping

from controller.ageing_room import AgeingRoom
from controller.alarm_desk import AlarmDesk
from controller.core import Core
from controller.settings import Settings


def add_health(core: Core, settings: Settings, *, alarms: AlarmDesk) -> None:
    """Where no health is estimated no battery is tested either, and the fleet's ageing is what was found before."""
    planning = settings.to_planning().life
    database = settings.health_database if settings.health is not None else None
    core.add(
        AgeingRoom(
            core.yard,
            database,
            configured=planning.factors,
            priced=planning.price_per_kwh is not None and planning.weight > 0,
            replan=core.planning.request,
        )
    )
    if settings.health is None:
        core.reference_tests.refuses = "this depot estimates no health: add a section [health] to its settings (docs/battery-health.md)"
        return
    from bms_bridge.lake.hot import lake_file
    from controller.app.health_process import assumptions_of
    from controller.assumptions_room import AssumptionsRoom
    from controller.health_room import HealthRoom
    from controller.reference_judge import Judge

    core.reference_tests.unjudged = Judge(settings.health_database, core.yard.clock)

    def factors() -> Mapping[str, tuple[float, float]]:
        return core.planning.settings.life.factors

    lake = lake_file(settings.storage.path, settings.depot.id) if settings.lake is not None else None
    room = HealthRoom(settings.health_database, core.yard.clock, every_s=settings.health.every_s, factors=factors, lake=lake)
    alarms.sources.append(room)
    core.add(room)
    core.add(AssumptionsRoom(core.yard, assumptions_of(settings.health.assumptions)))
