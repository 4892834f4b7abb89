"""The lake as a process: ``python -m controller.app.lake_process depot.toml``. The core never waits for it.

Ends with 0 on SIGTERM, 2 for settings that cannot be used or libraries that are not there, 3 where another one owns the lake.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from bms_bridge.lake.derive import FRAMES, Decoder, key_of, mqtt_decoder
from bms_bridge.lake.engine import Lake, Places
from bms_bridge.lake.orders import Orders
from bms_bridge.lake.rules import Retention
from bms_bridge.lake.schema import micros
from bms_bridge.lake.server import Server
from bms_bridge.pseudonym import Pseudonyms
from controller.app.beside import run_process
from controller.app.clocks import now_us_of
from controller.lake_facts import JournalFacts
from controller.secrets import depot_secret
from controller.settings import Settings, SettingsError
from controller.supervisor import notify_ready
from depot.values import PackKey

log = logging.getLogger(__name__)

NICENESS = 10
"""Years of samples wait before a stop does."""

LIBRARIES = ("pyarrow", "duckdb")


def need_libraries() -> None:
    """Raises :class:`SettingsError` where the lake's own libraries are not installed."""
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingsError(f"the lake needs {' and '.join(missing)}: type ./chargeyard lake catalog depot.toml, which installs them")


def places_of(settings: Settings) -> Places:
    """Where this depot's lake lies."""
    lake = settings.lake
    return Places(folder=settings.storage.path, depot_id=settings.depot.id, cold=lake.archive if lake is not None else None)


def retention_of(settings: Settings) -> Retention:
    """How long what is kept."""
    lake = settings.lake
    if lake is None:
        raise SettingsError("there is no section [lake] in the settings: this depot keeps no samples")
    return Retention(
        hot_days=lake.hot_days,
        hot_mb=lake.hot_mb,
        raw_h=lake.raw_h,
        raw_mb=lake.raw_mb,
        warm_days=lake.warm_days,
        cold_days=lake.cold_days,
        least_free_mb=lake.least_free_mb,
    )


def decoders_of(settings: Settings, args: Mapping[str, Any]) -> Mapping[str, Decoder]:
    """By the source of a message; pack maps and DBCs are read anew. Raises :class:`~bms_bridge.can.CanError`."""
    rows = settings.telemetry.can if settings.telemetry is not None else ()
    lines = {PackKey(row.vehicle, row.pack): (row.map, row.dbc) for row in rows if row.protocol == "dbc"}
    if not lines:
        return {"mqtt": mqtt_decoder(settings.depot.id)}
    from bms_bridge.lake.can_frames import can_decoder

    return {"mqtt": mqtt_decoder(settings.depot.id), FRAMES: can_decoder(lines)}


def parts_of(settings: Settings, facts: JournalFacts) -> dict[str, Any]:
    """What :meth:`~bms_bridge.lake.engine.Lake.open` needs beside its places."""
    return {
        "key": key_of(depot_secret(settings)),
        "decoders": decoders_of(settings, {}),
        "retention": retention_of(settings),
        "now_us": now_us_of(settings),
        "capacity_of": facts.capacity_of,
        "redact": Pseudonyms.of_secret(depot_secret(settings)).redact,
    }


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[tuple[Lake, Orders, JournalFacts]]:
    """The lake with its only owner. Raises :class:`storage.StorageError`, :class:`SettingsError`."""
    need_libraries()
    key = key_of(depot_secret(settings))
    with contextlib.closing(JournalFacts(settings.database, settings.depot.id, micros=micros)) as facts:
        orders = Orders(
            key=key,
            decoders=lambda args: decoders_of(settings, args),
            key_file=settings.lake_key,
            capacity_of=facts.capacity_of,
            told_of=facts.told_of,
        )
        with Lake.open(places_of(settings), **parts_of(settings, facts)) as lake:
            facts.read(lake)
            yield lake, orders, facts


async def serve(settings: Settings) -> None:
    """Take and keep until SIGTERM."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    with opened(settings) as (lake, orders, facts):
        server = Server(lake, orders.table, facts=facts.read)
        async with server.serving(settings.lake_path):
            log.info("the lake keeps samples of %d packs", len(lake.entries))
            notify_ready()
            work = asyncio.create_task(server.look_after(), name="lake")
            waiting = asyncio.create_task(ended.wait(), name="end")
            await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
            for task in (work, waiting):
                task.cancel()
            await asyncio.gather(work, waiting, return_exceptions=True)
            if work.done() and not work.cancelled() and (error := work.exception()) is not None:
                raise error


if __name__ == "__main__":
    os.nice(NICENESS)
    sys.exit(run_process("lake", sys.argv[1:], lambda settings: asyncio.run(serve(settings))))
