"""``chargeyard telematics-key``: a new key for a vehicle's telematics unit at the embedded broker."""

from __future__ import annotations

import difflib
from pathlib import Path

from rich.console import Console

from bms_bridge.contract import topic_of
from controller.app.telemetry import vehicle_account
from controller.settings import Settings
from depot.values import InvalidValue, PackKey, UnknownThing


def make_telematics_key(vehicle_id: str, config: Path, console: Console) -> int:
    """Make and show it, keep a hash. A vehicle that the configuration does not declare is refused, unless it takes others."""
    settings = Settings.load(config)
    telemetry = settings.telemetry
    if telemetry is None or telemetry.broker != "embedded":
        raise InvalidValue(f'{config} has no embedded broker: write a [telemetry] section, with broker = "embedded"')
    declared = sorted({row.vehicle for row in telemetry.pack})
    if vehicle_id not in declared and telemetry.other_chemistry is None:
        near = difflib.get_close_matches(vehicle_id, declared, n=1)
        hint = f"did you mean {near[0]}?" if near else f'add a [[telemetry.pack]] with vehicle = "{vehicle_id}" first'
        raise UnknownThing(f"{config} declares no pack of {vehicle_id}; {hint}")
    packs = [row.pack for row in telemetry.pack if row.vehicle == vehicle_id] or ["P1"]
    topics = [topic_of(settings.depot.id, PackKey(vehicle_id, pack)) for pack in packs]  # refuses an id that no topic can hold
    key = vehicle_account(settings, vehicle_id)
    lines = (
        f"Into the telematics unit of {vehicle_id}: user name {vehicle_id}, and this password, shown only now:",
        f"    {key}",
        f"Broker: {telemetry.host}:{settings.mqtt_port}. It may publish to",
        *(f"    {topic}" for topic in topics),
        "The broker knows it from now on; a key that it had before opens nothing any more.",
    )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0
