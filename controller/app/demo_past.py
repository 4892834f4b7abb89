"""The demo's lake as a process: it makes the batteries' simulated past first, then keeps what comes, as any lake does.

    python -m controller.app.demo_past demo.toml SEED

    simulator's units --messages of 84 nights--> a lake aside --moved into its place, whole--> the lake's process
    the depot's own   --Arrivals: kept in a file meanwhile, then given to it in their order---'

The past comes into the lake as its messages would have come over MQTT: decoded, checked, judged, folded into the records of the packs'
lives. Whoever reads the lake finds all of it or none. Exit codes: those of the lake's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence

import msgspec
from rich.console import Console

from bms_bridge.contract import Source, topic_of
from bms_bridge.lake import LakeError, wire
from bms_bridge.lake.engine import Lake, Places
from bms_bridge.lake.schema import micros
from controller.app import lake_process
from controller.app.beside import run_process
from controller.app.demo_arrivals import Arrivals
from controller.app.demo_batteries import PAST_DAYS, wears
from controller.app.demo_rims import chemistry_of
from controller.lake_facts import JournalFacts
from controller.settings import Settings
from simulator.battery_past import Told, nights
from simulator.cells import MAKES
from simulator.day import Day
from simulator.demo_day import demo_day
from simulator.link import wire_time

log = logging.getLogger(__name__)

AT_ONCE = 1_000
"""Messages in a batch."""

ASIDE = "past"
ARRIVED = "past-arrived"
ROUNDS = 3
BOOT = "simulated past"

Tell = Callable[[int, int], None]
"""(nights done, of)."""


def make_past(settings: Settings, day: Day, seed: int, *, days: int = PAST_DAYS, tell: Tell = lambda done, of: None) -> int:
    """Put the nights before ``day`` into a lake that is not there yet, whole or not at all. How many messages; 0: there is a lake
    already. Raises :class:`~bms_bridge.lake.LakeError`, :class:`storage.StorageError`, OSError."""
    places = lake_process.places_of(settings)
    if places.database.exists():
        return 0
    aside = Places(folder=places.folder / ASIDE, depot_id=places.depot_id)
    shutil.rmtree(aside.folder, ignore_errors=True)  # a process that was ended half-way began it
    found = {stay.vehicle_id: stay.battery_wh for stay in day.stays}
    makes = {vehicle: MAKES[chemistry_of(vehicle)] for vehicle in found}
    count = 0
    with contextlib.closing(JournalFacts(settings.database, settings.depot.id, micros=micros)) as facts:
        parts = lake_process.parts_of(settings, facts) | {"capacity_of": lambda pack: found.get(pack.vehicle_id)}
        with Lake.open(aside, **parts) as lake:
            number = 0
            for ago, said in nights(day, wears(day, seed), makes, days=days, seed=seed):
                for begin in range(0, len(said), AT_ONCE):
                    number += 1
                    _give(lake, settings.depot.id, number, said[begin : begin + AT_ONCE])
                count += len(said)
                tell(days - ago + 1, days)
    for part in (aside.root, aside.lives, aside.database):  # the database last: by it others see that there is a lake
        if part.exists():
            part.replace(places.folder / part.name)
    shutil.rmtree(aside.folder, ignore_errors=True)
    return count


def _give(lake: Lake, depot_id: str, number: int, said: Sequence[Told]) -> None:
    items: list[wire.Item] = [
        wire.Message(
            str(Source.MQTT),
            topic_of(depot_id, one.pack),
            msgspec.json.encode(one.said | {"reported_at": wire_time(one.at)}),
            one.at,
        )
        for one in said
    ]
    batch = wire.Batch(BOOT, number, items)
    ack = lake.take(batch, wire.encode(batch))
    if ack.number != number:
        raise LakeError(f"the simulated past could not be kept: {ack.text or ack.state}")


def _past_then_lake(settings: Settings, seed: int, console: Console) -> None:
    lake_process.need_libraries()
    assert settings.clock.epoch is not None
    day = demo_day(start=settings.clock.epoch, seed=seed)
    began_s, quarters = time.monotonic(), {PAST_DAYS // 4: "a quarter", PAST_DAYS // 2: "half", PAST_DAYS * 3 // 4: "three quarters"}

    def tell(done: int, of: int) -> None:
        if done in quarters:
            console.print(f"  ► Batteries: {quarters[done]} of their simulated past is made.", soft_wrap=True, markup=False)

    with Arrivals(settings.lake_path, settings.storage.path / ARRIVED) as arrivals:
        if make_past(settings, day, seed, tell=tell):
            made = f"{PAST_DAYS} simulated days are in the lake after {time.monotonic() - began_s:.0f} s"
            console.print(f"  ► Batteries: {made}; the page Batteries fills as they are judged.", soft_wrap=True, markup=False)
        give_arrived(settings, arrivals)
    asyncio.run(lake_process.serve(settings))


def give_arrived(settings: Settings, arrivals: Arrivals) -> int:
    """Put what came meanwhile into the lake, and let nobody in any more; how many batches. Raises as :func:`make_past`."""
    with lake_process.opened(settings) as (lake, _, _):
        count = sum(arrivals.give(lake) for _ in range(ROUNDS))  # while more may come
        arrivals.close()
        count += arrivals.give(lake)
    arrivals.forget()
    return count


if __name__ == "__main__":
    os.nice(lake_process.NICENESS)
    sys.exit(run_process("lake", sys.argv[1:], lambda settings: _past_then_lake(settings, int(sys.argv[2]), Console())))
