"""Packs' health as a process: ``python -m controller.app.health_process depot.toml``. It reads the lake, and nobody waits for it.

Ends with 0 on SIGTERM, 2 for settings that cannot be used, 3 where another one owns the book.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bms_bridge import BmsError
from bms_bridge import estimates as room
from bms_bridge.estimates.book import Book
from bms_bridge.estimates.facts import Described, Knowledge, Registered, TestWindow
from bms_bridge.estimates.job import Job
from bms_bridge.estimates.prospecting import Prospects
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.estimates.taught import Teaching
from bms_bridge.health import ModelRefused, soh
from bms_bridge.health.model_file import read_model
from bms_bridge.lake.hot import Hot
from bms_bridge.lake.schema import micros
from bms_bridge.life.remaining import PURPOSE, LifeModel, from_file
from bms_bridge.second_life import AssumptionsRefused
from bms_bridge.second_life.assumptions import Assumptions, read_assumptions, shipped
from controller.app.beside import run_process
from controller.app.clocks import now_us_of
from controller.app.lake_process import places_of
from controller.assumptions_room import in_force
from controller.fleet_ageing import FleetAgeing
from controller.lake_facts import JournalFacts
from controller.new_resistances import NewResistances
from controller.sections_health import HealthPackSection, HealthSection
from controller.settings import Settings, SettingsError
from controller.supervisor import notify_ready
from depot.values import PackKey
from storage import Lease, StorageError, Store

log = logging.getLogger(__name__)

NICENESS = 15
"""Estimates wait before everything else does."""

LAKE_S = 5.0
LOOK_S = 86_400.0
"""Between two looks for anomalies (docs/anomalies.md)."""

LOOK_AGAIN_S = 3600.0
"""… where nothing could be told, as in a depot whose lake is new."""


def knowledge_of(settings: Settings) -> Knowledge:
    """What the settings say of packs. Raises :class:`SettingsError` without a section [health]."""
    health = settings.health
    if health is None:
        raise SettingsError("there is no section [health] in the settings: this depot estimates no health")
    return Knowledge(
        packs={PackKey(row.vehicle, row.pack): _described(row) for row in health.pack},
        curves={row.chemistry: row.to_curve() for row in health.curve},
        current_gain=health.current_error,
        lives=_lives(health.life_model),
        teaching=_teaching(health),
        assumptions=assumptions_of(health.assumptions),
    )


def _described(row: HealthPackSection) -> Described:
    since_s = None if row.in_service is None else row.in_service.timestamp()
    return Described(row.to_layout(), row.nominal_ah, row.cycles_before, since_s, row.needed_kwh, row.inspected, row.resistance_new_ohm)


def _teaching(health: HealthSection) -> Teaching | None:
    if health.soh_model is None:
        return None
    try:
        models = soh.from_file(read_model(health.soh_model, soh.PURPOSE))
    except ModelRefused as error:
        raise SettingsError(f"health.soh_model: {error}") from None
    for row in health.window:
        if row.kind not in models:
            raise SettingsError(f"health.window: the model knows no kind {row.kind!r}; it knows {', '.join(sorted(models))}")
        if row.batch and row.batch not in models[row.kind].batches:
            known = ", ".join(models[row.kind].batches[:20])
            raise SettingsError(f"health.window: the batch {row.batch!r} was not taught for {row.kind}; these were: {known}")
    return Teaching(models, {row.chemistry: row.to_window() for row in health.window})


def assumptions_of(path: Path | None) -> Assumptions:
    """What ships, with what a file changes. Raises :class:`SettingsError`."""
    try:
        return shipped() if path is None else read_assumptions(path)
    except AssumptionsRefused as error:
        raise SettingsError(f"health.assumptions: {error}") from None


def _lives(path: Path | None) -> dict[str, LifeModel]:
    if path is None:
        return {}
    try:
        return from_file(read_model(path, PURPOSE))
    except ModelRefused as error:
        raise SettingsError(f"health.life_model: {error}") from None


def registered_by(settings: Settings, facts: JournalFacts, pack: PackKey) -> Registered:
    """What registry and, where it is silent, the settings' telemetry say of a pack."""
    found = facts.pack_of(pack)
    telemetry = settings.telemetry
    row = next((r for r in telemetry.pack if (r.vehicle, r.pack) == (pack.vehicle_id, pack.pack_id)), None) if telemetry else None
    chemistry = found.chemistry if found is not None else row.chemistry if row is not None else (telemetry and telemetry.other_chemistry)
    capacity_wh = found.capacity_wh if found is not None else None
    cells = found.cells if found is not None else None
    if row is not None:
        capacity_wh = capacity_wh or (round(row.capacity_kwh * 1000) if row.capacity_kwh is not None else None)
        cells = cells or row.cells
    return Registered(chemistry or "unknown", capacity_wh, cells)


def windows_of(facts: JournalFacts, pack: PackKey) -> list[TestWindow]:
    """When reference tests of a pack's vehicle ran."""
    return [
        TestWindow(test.began_at.timestamp(), None if test.ended_at is None else test.ended_at.timestamp(), test.done)
        for test in facts.tests_of(pack.vehicle_id)
    ]


class Opened(NamedTuple):
    """What the one process that owns the book works with."""

    job: Job
    prospects: Prospects
    ageing: FleetAgeing
    shelf: Shelf


@contextlib.contextmanager
def opened(settings: Settings, known: Knowledge, hot: Hot) -> Iterator[Opened]:
    """The job, the prospects and the fleet's ageing with their book; the book's only owner.

    Raises :class:`storage.StorageError`, :class:`SettingsError`."""
    settings.storage.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        Lease.take(settings.health_database),
        contextlib.closing(Store.open(settings.health_database)) as store,
        contextlib.closing(JournalFacts(settings.database, settings.depot.id, micros=micros)) as facts,
    ):
        store.migrate([room])

        def registered(pack: PackKey) -> Registered:
            return registered_by(settings, facts, pack)

        def read_registry() -> None:
            try:
                facts.read_registry()
                facts.read_tests()
                facts.read_assumptions()
            except (StorageError, OperationalError) as error:  # the core is only just making its journal
                log.debug("the registry cannot be read now: %s", error)

        now_us = now_us_of(settings)

        def assumptions() -> Assumptions:
            return in_force(known.assumptions, facts.assumptions)[0]

        def tests(pack: PackKey) -> list[TestWindow]:
            return windows_of(facts, pack)

        book, shelf = Book(store), Shelf(store)
        new = NewResistances(settings.passport.sheets, settings.passports)
        yield Opened(
            Job(hot, book, known, registered=registered, now_us=now_us, before=read_registry, shelf=shelf, tests=tests),
            Prospects(
                hot,
                book,
                shelf,
                known,
                registered=registered,
                now_us=now_us,
                monotonic_s=time.monotonic,
                new_resistance=new.of,
                assumptions=assumptions,
            ),
            FleetAgeing(book, shelf, now_us=now_us),
            shelf,
        )


@contextlib.contextmanager
def lake_of(settings: Settings) -> Iterator[Hot | None]:
    """The lake's database, read only; None while it is only just being made. Raises :class:`storage.StorageError`."""
    path = places_of(settings).database
    if not path.exists():
        yield None
        return
    with contextlib.closing(Store.open(path, read_only=True)) as store:
        with store.reading() as connection:
            made = connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'lake_meta'")).scalar()
        yield Hot(store) if made else None


async def serve(settings: Settings) -> None:
    """Look at the lake again and again until SIGTERM."""
    known = knowledge_of(settings)
    assert settings.health is not None
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    notify_ready()
    with contextlib.ExitStack() as stack:
        hot: Hot | None = None
        while hot is None and not ended.is_set():
            part = contextlib.ExitStack()
            hot = part.enter_context(lake_of(settings))
            if hot is None:
                part.close()
                await _wait(ended, LAKE_S)
            else:
                stack.push(part)
        if hot is None:
            return
        job, prospects, ageing, shelf = stack.enter_context(opened(settings, known, hot))
        now_us, again_us = now_us_of(settings), 0
        while not ended.is_set():
            if now_us() >= again_us:
                looked = await asyncio.to_thread(_look, settings, shelf)
                again_us = now_us() + round(1e6 * (LOOK_S if looked else LOOK_AGAIN_S))
            try:
                new = await asyncio.to_thread(job.catch_up)
                if new:
                    log.info("%d charges were judged", new)
                await asyncio.to_thread(prospects.look)
                if settings.health.calibrate:
                    await asyncio.to_thread(_age, ageing)
            except StorageError as error:
                log.warning("health waits: %s", error)
            await _wait(ended, settings.health.every_s / settings.clock.speed)


def _age(ageing: FleetAgeing) -> None:
    """How the fleet ages beside the table. A history that cannot be fitted stops nothing else."""
    try:
        ageing.look()
    except (BmsError, ValueError, FloatingPointError):
        log.exception("how the fleet ages could not be reckoned; it is tried again at the next look")


def _look(settings: Settings, shelf: Shelf) -> bool:
    """What is unusual in packs, for alerts and work orders, and what their cells lose, for grades; whether it could be told. Nothing of it
    stops the estimates."""
    from controller.app.battery_anomalies_cli import look

    try:
        found = look(settings)
        log.info("%d alerts of packs hold now", found.holding)
        shelf.put_losses({PackKey(*pack.split("/", 1)): loss for pack, loss in found.losses.items()}, now_us=now_us_of(settings)())
    except (BmsError, StorageError, SettingsError, OperationalError) as error:
        log.info("no look at anomalies: %s", error)
        return False
    return True


async def _wait(ended: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)


if __name__ == "__main__":
    os.nice(NICENESS)
    sys.exit(run_process("health", sys.argv[1:], lambda settings: asyncio.run(serve(settings))))
