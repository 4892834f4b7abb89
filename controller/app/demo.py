"""``./chargeyard demo``: a whole depot on this machine. 24 simulated stations speak OCPP over real sockets with the
real controller, from evening to morning in about ten minutes on the scaled clock.

    supervisor --> core (OCPP, Modbus, planner child), broker --> web --> mock gateway, payments, drivers' pages
               \\-> world: stations, vehicles with telematics, meter, timetable, the utility's RTU, a driver who pays

    lake, health --read--> 84 simulated days of the same batteries, made while the night goes on (controller.app.demo_past)

A second vehicle waits at a charger for whoever watches to be its driver: by the page of that charger's QR code, and the mock's UPI app.
Everything lives in a temporary folder that goes when the demo ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from controller.app import demo_batteries
from controller.app.demo_rims import VISITOR_BAY, gateway_environment, sections, unit_keys
from controller.app.people import open_people
from controller.app.run import children
from controller.clock import SystemClock
from controller.drive_keys import drive_key
from controller.logs import set_up
from controller.secrets import load_depot_secret, new_station_key
from controller.settings import Settings
from controller.supervisor import ChildSpec, Supervisor
from depot.registry import ConnectorSpec, DepotSpec
from depot.values import Role
from simulator.demo_day import NIGHT_H, demo_day, evening
from web.driver_links import PlaceLinks
from web.users import Users

MINUTES = 10.0
START_S = 6.0
"""Real seconds until the night begins: by then core, web and stations are up."""

METER_PORT = 5021
METER_MAP = "eastron-sdm630"
PLAIN_METER = 'address = 52\ntable = "input"\ntype = "float32"'
"""Of a meter that is asked for its power alone."""

OCPP_PORT = 9000
WEB_PORT = 8080
USER = "demo"
TARIFF = "telangana-ht-ix-ev"
PERSONAS_SEED_TEXT = "every kind of misbehaving station is among them"


def demo_command(*, minutes: float = MINUTES, seed: int = 1, port_offset: int = 0, keep: Path | None = None) -> int:
    """Run the demo until Ctrl-C. ``minutes``: real minutes for the night. ``keep``: a folder that stays (trace, database)."""
    console = Console()
    set_up("demo", level="warning")
    speed = NIGHT_H * 60.0 / minutes
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chargeyard-demo-")))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        start = evening(datetime.now(UTC) - timedelta(hours=12))
        day = demo_day(start=start, seed=seed)
        missing = demo_batteries.missing()
        past = (
            f"their history needs {' and '.join(missing)}: start the demo again with a network, which installs them."
            if missing
            else f"{demo_batteries.PAST_DAYS} days of simulated charges are being made; the page fills within minutes."
        )
        config, keys = write_depot(
            folder,
            spec=day.spec,
            start=start,
            speed=speed,
            port_offset=port_offset,
            meter=f'map = "{METER_MAP}"',
            more=[*sections(), *([] if missing else demo_batteries.sections(day, seed))],
        )
        os.environ |= gateway_environment()  # for the children; nothing of them stands in a file
        settings = Settings.load(config)
        units = folder / "units.json"
        write_private(units, json.dumps(unit_keys(settings, day.stays)))
        password = secrets.token_urlsafe(12)
        with contextlib.closing(open_people(settings)) as store:
            Users(store, SystemClock(), settings.depot.id).add(USER, Role.MANAGER, password)
        world = ChildSpec(
            name="world",
            argv=(sys.executable, "-m", "controller.app.demo_world", str(config), str(keys), str(units), str(seed)),
            reports_ready=True,
            essential=False,
            once=True,
        )
        address = f"http://127.0.0.1:{WEB_PORT + port_offset}"
        visitor = PlaceLinks(settings.drive_url, drive_key(settings)).address(VISITOR_BAY.station_id, VISITOR_BAY.connector)

        def ready(name: str) -> None:
            if name == "web":
                console.print(
                    f"\n  Open [bold]{address}[/]\n  Sign in as [bold]{USER}[/] with the password [bold]{password}[/]", soft_wrap=True
                )
                console.print(f"  24 stations, evening to morning in about {minutes:.0f} minutes; {PERSONAS_SEED_TEXT}.")
                console.print(
                    f"  A driver's phone at {VISITOR_BAY.station_id}, as its QR code opens it (any name and phone number will do):\n"
                    f"    [bold]{visitor}[/]\n"
                    f"  The UPI app of that phone, where any PIN approves: [bold]http://127.0.0.1:{settings.mock_gateway_port}/app[/]\n"
                    f"  Stations speak OCPP 1.6J, 2.0.1 or 2.1 at ws://127.0.0.1:{OCPP_PORT + port_offset}/ocpp/…\n"
                    f"  Clock × {speed:.0f}. Ctrl-C ends it.\n"
                )
                console.print(f"  Batteries: {past}\n", soft_wrap=True)

        console.print("Starting the depot …")
        tree = [_past_first(child, config, seed) if child.name == "lake" else child for child in children(config)]
        code = Supervisor([*tree, world], on_ready=ready).run()
        console.print("The depot is closed; nothing is left behind." if keep is None else f"The depot is closed; its data are in {folder}.")
        return code


def _past_first(lake: ChildSpec, config: Path, seed: int) -> ChildSpec:
    """The lake's process, which begins with the batteries' simulated past."""
    return replace(lake, argv=(sys.executable, "-m", "controller.app.demo_past", str(config), str(seed)))


def write_depot(
    folder: Path, *, spec: DepotSpec, start: datetime, speed: float, port_offset: int, meter: str = PLAIN_METER, more: Sequence[str] = ()
) -> tuple[Path, Path]:
    """A depot's configuration and its stations' passwords, as files in ``folder`` that only we can read. ``meter``: how it is
    read. ``more``: lines of further sections."""
    secret = load_depot_secret(folder)
    passwords: dict[str, str] = {}
    lines = [
        f"port_offset = {port_offset}",
        "[depot]",
        f'id = "{spec.depot_id}"',
        f'name = "{spec.name}"',
        f'timezone = "{spec.timezone}"',
        f"contract_kw = {spec.contract_w / 1000}",
        f"failsafe_kw = {spec.failsafe_w / 1000}",
        f"worst_background_kw = {spec.worst_background_w / 1000}",
        f"background_profile_kw = {[w / 1000 for w in spec.background_profile_w]}",
        f'tariff = "{TARIFF}"',
    ]
    for feeder in spec.feeders:
        lines += ["[[feeder]]", f'id = "{feeder.feeder_id}"', f"rating_kw = {feeder.rating_w / 1000}", f'name = "{feeder.name}"']
    for station in spec.stations:
        passwords[station.station_id], digest = new_station_key(station.station_id, secret)
        lines += [
            "[[station]]",
            f'id = "{station.station_id}"',
            f'feeder = "{station.feeder_id}"',
            f'bay = "{station.bay_id}"',
            f'key_hash = "{digest}"',
        ]
        lines += [line for connector in station.connectors for line in _connector(connector)]
    lines += [
        f"[ocpp]\nport = {OCPP_PORT}\nheartbeat_s = 300",
        f"[web]\nport = {WEB_PORT}",
        f'[meter]\nhost = "127.0.0.1"\nport = {METER_PORT + port_offset}\n{meter}',
        "[planner]\ncadence_s = 900\ndeadline_s = 8",
        f'[storage]\npath = "{folder}"',
        '[logging]\nlevel = "error"',
        f"[clock]\nspeed = {speed}\nepoch = {start.isoformat()}\nepoch_wall = {time.time() + START_S}",
        *more,
    ]
    config, keys = folder / "demo.toml", folder / "stations.json"
    write_private(config, "\n".join(lines) + "\n")
    write_private(keys, json.dumps(passwords))
    return config, keys


def _connector(connector: ConnectorSpec) -> list[str]:
    out = [
        "[[station.connector]]",
        f"number = {connector.connector}",
        f"rated_kw = {connector.rated_w / 1000}",
        f"min_kw = {connector.min_w / 1000}",
        f'current = "{connector.current}"',
        f"voltage_v = {connector.voltage_v}",
        f"settle_s = {connector.settle_s}",
    ]
    if connector.discharge_w:
        out.append(f"discharge_kw = {connector.discharge_w / 1000}")
    if connector.phases:
        out.append(f"phases = {list(connector.phases)}")
    if connector.pausable is not None:
        out.append(f"pausable = {str(connector.pausable).lower()}")
    return out


def write_private(path: Path, text: str) -> None:
    """A new file that its owner alone can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
