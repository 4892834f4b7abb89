"""The mock payment gateway as a process: ``python -m controller.app.gateway_process depot.toml``, or by itself. Test keys only,
on this machine only, with books of its own; it never takes real money."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from controller.app.beside import listening, run_process
from controller.app.clocks import clock_of
from controller.clock import ScaledClock, SystemClock
from controller.logs import set_up
from controller.settings import Settings, SettingsError
from controller.settings_text import GATEWAY_PREFIX
from controller.supervisor import notify_ready
from depot.ports import Clock
from payments import UnsafeKeys
from payments.keys import GatewayKeys, keys_from
from payments.mock_gateway import npci
from payments.mock_gateway import serve as gateway
from payments.mock_gateway.settings import PROFILES, MockSettings
from payments.process import WEBHOOK_PATH

__all__ = ["GatewayOptions", "alone", "mock_settings", "run_gateway", "serve"]

log = logging.getLogger(__name__)

PORT, WEBHOOK_PORT = 8090, 8091
DATABASE = Path("var/mock-gateway.db")
BALANCE_PAISE = 1_00_000_00
_NOTICE_S, _DECIDE_S = 30.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What the command line says; None: not said. ``webhook_url`` "": nobody is told. ``quick``: neither 24 h of notice nor
    execution windows nor "on the day of the order"."""

    port: int | None = None
    speed: float | None = None
    seed: int | None = None
    profile: str | None = None
    database: Path | None = None
    webhook_url: str | None = None
    quick: bool = False
    port_offset: int = 0


def mock_settings(settings: Settings) -> MockSettings:
    """The mock that goes with a depot. Raises :class:`~controller.settings.SettingsError`, :class:`~payments.UnsafeKeys`."""
    if settings.payments is None:
        raise SettingsError("there is no section [payments]: nobody pays in this depot")
    section, keys = settings.payments, _test_keys(keys_from(os.environ))
    return MockSettings(
        database=settings.storage.path / f"{settings.depot.id}-mock-gateway.db",
        key_id=keys.key_id,
        key_secret=keys.key_secret,
        webhook_secret=keys.webhook_secrets[0],
        webhook_url=f"http://127.0.0.1:{settings.webhook_port}{WEBHOOK_PATH}",
        notice_s=section.mock_notice_s,
        least_notice_s=section.notice_h * 3600,
        windows=section.to_terms().rules.windows,
        decide_s=section.mock_decide_s,
        balance_paise=BALANCE_PAISE,
        seed=section.mock_seed,
        misbehaviour=PROFILES[section.mock_profile][1],
    )


def alone(options: GatewayOptions) -> tuple[MockSettings, Clock, int]:
    """A mock that belongs to no depot: settings, clock, port. Its keys are those of the environment, else fresh ones in a file
    beside its books. Raises :class:`~payments.UnsafeKeys`, :class:`OSError`."""
    database = options.database or DATABASE
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = _test_keys(_own_keys(database))
    offset, speed = options.port_offset, options.speed or 1.0
    webhook = options.webhook_url
    mock = MockSettings(
        database=database,
        key_id=keys.key_id,
        key_secret=keys.key_secret,
        webhook_secret=keys.webhook_secrets[0],
        webhook_url=f"http://127.0.0.1:{WEBHOOK_PORT + offset}{WEBHOOK_PATH}" if webhook is None else webhook,
        notice_s=1.0 if options.quick else _NOTICE_S,
        least_notice_s=0.0 if options.quick else 86_400.0,
        windows=npci.ALL_DAY if options.quick else npci.NPCI_WINDOWS,
        same_day=not options.quick,
        decide_s=1.0 if options.quick else _DECIDE_S,
        balance_paise=BALANCE_PAISE,
    )
    clock = SystemClock() if speed == 1.0 else ScaledClock.starting(datetime.now(UTC), speed)
    return _changed(mock, options), clock, (options.port or PORT) + offset


def _changed(mock: MockSettings, options: GatewayOptions) -> MockSettings:
    if options.seed is not None:
        mock = replace(mock, seed=options.seed)
    if options.profile is not None:
        mock = replace(mock, misbehaviour=PROFILES[options.profile][1])
    return mock if options.database is None else replace(mock, database=options.database)


def _test_keys(keys: GatewayKeys) -> GatewayKeys:
    if keys.live:
        raise UnsafeKeys("a mock gateway takes test keys only (rzp_test_…): these are live keys")
    return keys


def keys_file(database: Path) -> Path:
    """Where a mock without keys in the environment keeps its own."""
    return database.with_suffix(".env")


def _own_keys(database: Path) -> GatewayKeys:
    """Of the environment; else of the file beside the books, which is made if need be, for this user alone."""
    if any(os.environ.get(f"{GATEWAY_PREFIX}{name}") for name in ("KEY_ID", "KEY_SECRET", "WEBHOOK_SECRET")):
        return keys_from(os.environ)
    file = keys_file(database)
    if not file.exists():
        fresh = {"KEY_ID": f"rzp_test_{secrets.token_hex(7)}", "KEY_SECRET": secrets.token_hex(16), "WEBHOOK_SECRET": secrets.token_hex(16)}
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.writelines(f"export {GATEWAY_PREFIX}{name}={value}\n" for name, value in fresh.items())
    lines = [line.removeprefix("export ").partition("=") for line in file.read_text(encoding="utf-8").splitlines() if "=" in line]
    return keys_from({name.strip(): value.strip() for name, _, value in lines})


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM."""
    mock = mock_settings(settings)
    settings.storage.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    await _serve(mock, clock_of(settings), settings.mock_gateway_port)


async def _serve(mock: MockSettings, clock: Clock, port: int) -> None:
    sock = listening("127.0.0.1", port)
    log.info("mock gateway: no money moves. API and the driver's app at http://127.0.0.1:%d/app", sock.getsockname()[1])
    await gateway.run(mock, clock=clock, sock=sock, ready=notify_ready)


def run_gateway(config: Path | None, options: GatewayOptions, console: Console) -> int:
    """``./chargeyard gateway [CONFIG]``. Raises :class:`~controller.settings.SettingsError`, :class:`~payments.UnsafeKeys`."""
    if config is not None:
        told = [name for name in ("port", "speed", "webhook_url") if getattr(options, name) is not None]
        if told or options.quick:
            option = (told or ["quick"])[0].replace("_", "-")
            raise SettingsError(f"--{option} is for a gateway without a depot's file: with one, ports, clock and notice are the file's")
        if options.port_offset:
            os.environ["CHARGEYARD_PORT_OFFSET"] = str(options.port_offset)
        settings = Settings.load(config)
        set_up("gateway", level=settings.logging.level, json_lines=settings.logging.json_lines)
        mock, clock, port = _changed(mock_settings(settings), options), clock_of(settings), settings.mock_gateway_port
        mock.database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    else:
        set_up("gateway")
        mock, clock, port = alone(options)
    _tell(console, mock, port, keys_file(mock.database) if config is None else None, options.speed)
    asyncio.run(_serve(mock, clock, port))
    return 0


def _tell(console: Console, mock: MockSettings, port: int, keys: Path | None, speed: float | None) -> None:
    """What a person has to know now."""
    url = f"http://127.0.0.1:{port}"
    profile = next((name for name, (_, how) in PROFILES.items() if how == mock.misbehaviour), "own")
    windows = ", ".join(f"{start:%H:%M}-{end:%H:%M}" for start, end in mock.windows) or "always"
    lines = [
        "Mock payment gateway: [bold]no real money[/]. Ctrl-C ends it.",
        f"  the API                 {url}/v1",
        f"  the driver's UPI app    {url}/app",
        f"  clock, faults, webhooks {url}/app/lab (for programs: {url}/control)",
        f"  webhooks go to          {mock.webhook_url or 'nobody'}",
        f"  its books               {mock.database}",
        f"  notice {mock.least_notice_s / 3600:g} h, debits {windows}, profile {profile}, seed {mock.seed}"
        + (f", {speed:g} times as fast as the world" if speed not in (None, 1.0) else ""),
    ]
    if keys is not None and keys.exists():
        lines.append(f"  its keys                {keys} (for the depot's environment: . {keys})")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    sys.exit(run_process("gateway", sys.argv[1:], lambda settings: asyncio.run(serve(settings))))
