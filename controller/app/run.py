"""``./chargeyard run CONFIG``: a real depot. Supervises core and web, what serves files to stations, where drivers pay the process
that moves their money (and its mock gateway), and where somebody is to be told of alarms the notifier; the core owns its planner."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from controller.logs import set_up
from controller.settings import Settings
from controller.supervisor import ChildSpec, Supervisor
from controller.systemd import ServiceManager

log = logging.getLogger(__name__)


def children(config: Path, *, port_offset: int = 0) -> list[ChildSpec]:
    """Core first; the web waits until the core listens. Beside them what nobody waits for: an embedded broker, and the
    processes that move money."""
    env = {"CHARGEYARD_PORT_OFFSET": str(port_offset)} if port_offset else {}
    python = (sys.executable, "-m")
    tree = [
        ChildSpec(name="core", argv=(*python, "controller.app.core_process", str(config)), env=env, spare=True),
        ChildSpec(name="web", argv=(*python, "controller.app.web_process", str(config)), env=env, preload=True),
    ]
    settings = Settings.load(config)
    if port_offset:
        settings = settings.model_copy(update={"port_offset": port_offset})
    broker = _broker(settings, python)
    tree = [tree[0], broker, *tree[1:]] if broker is not None else tree
    names = (
        *_money(settings),
        *(("drive",) if settings.drive is not None else ()),
        *(("notifier",) if settings.notify is not None else ()),
        *(("files",) if settings.files.serve else ()),
        *(("lake",) if settings.lake is not None else ()),
        *(("health",) if settings.health is not None else ()),
    )
    return [*tree, *(_beside(name, config, env, python) for name in names)]


def _money(settings: Settings) -> tuple[str, ...]:
    """The processes around payments that this depot needs."""
    if settings.payments is None:
        return ()
    return ("gateway", "payments") if settings.payments.mock else ("payments",)


def _beside(name: str, config: Path, env: dict[str, str], python: tuple[str, ...]) -> ChildSpec:
    return ChildSpec(name=name, argv=(*python, f"controller.app.{name}_process", str(config)), env=env, essential=False)


def _broker(settings: Settings, python: tuple[str, ...]) -> ChildSpec | None:
    """The embedded broker's process; None where there is none. It must come after the core, which makes its accounts."""
    telemetry = settings.telemetry
    if telemetry is None or telemetry.broker != "embedded":
        return None
    where = ("--accounts", str(settings.mqtt_accounts), "--host", telemetry.host, "--port", str(settings.mqtt_port))
    tls = ("--tls-cert", str(telemetry.tls_cert), "--tls-key", str(telemetry.tls_key)) if telemetry.tls_cert is not None else ()
    return ChildSpec(name="broker", argv=(*python, "controller.app.broker_process", *where, *tls), reports_ready=False, essential=False)


def run_command(config: Path, port_offset: int = 0, *, on_ready: Callable[[str], None] | None = None) -> int:
    """Check the settings, then run until a signal. Exit codes as the conventions have them."""
    settings = Settings.load(config)
    set_up("run", level=settings.logging.level, json_lines=settings.logging.json_lines)
    if settings.notify is not None:
        from controller.app.notifier_process import channels_of

        channels_of(settings)  # a missing secret is said now, not when the first alarm goes out
    offset = port_offset or settings.port_offset

    def told(name: str) -> None:
        if name == "web":
            log.info("%s is running: http://%s:%d", settings.depot.name or settings.depot.id, settings.web.host, settings.web.port + offset)
        if on_ready is not None:
            on_ready(name)

    return Supervisor(children(config, port_offset=port_offset), on_ready=told, manager=ServiceManager.from_environment()).run()
