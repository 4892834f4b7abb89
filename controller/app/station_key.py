"""``chargeyard station-key``: a new password for a charging station, and the line that the configuration needs for it."""

from __future__ import annotations

import difflib
from pathlib import Path

from rich.console import Console

from controller.secrets import load_depot_secret, new_station_key
from controller.settings import Settings
from depot.values import UnknownThing


def make_station_key(station_id: str, config: Path, console: Console, *, new: bool = False) -> int:
    """Make and show both, keep neither. A station that the configuration does not declare is refused, unless it is ``new``:
    then it will be added on the Registry page, or by an import."""
    settings = Settings.load(config)
    declared = [station.id for station in settings.station]
    if station_id not in declared and not new:
        near = difflib.get_close_matches(station_id, declared, n=1)
        hint = f"did you mean {near[0]}?" if near else f'add a [[station]] with id = "{station_id}" first, or say --new'
        raise UnknownThing(f"{config} declares no station {station_id}; {hint}")
    given = settings.depot_secret
    secret = bytes.fromhex(given.get_secret_value()) if given is not None else load_depot_secret(settings.storage.path)
    password, key_hash = new_station_key(station_id, secret)
    lines = (
        "Into the station (AuthorizationKey, or its Basic authentication password; the user is the station's id), shown only now:",
        f"    {password}",
        "Into the form of the new station, or the column key_hash of the import:"
        if station_id not in declared
        else f'Into {config}, below id = "{station_id}", then restart:',
        f'    key_hash = "{key_hash}"',
    )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0
