"""Whether a reference test could be judged: what the health job's book says of a vehicle's packs."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from small_yard import StillClock

from bms_bridge import estimates as room
from bms_bridge.estimates.book import Book, PackEntry
from controller.reference_judge import Judge
from depot.values import PackKey
from storage import Store

MISSING = "its capacity when new is not known: enter it in the registry"


def entry(vehicle: str, pack: str, ah: float | None) -> PackEntry:
    return PackEntry(PackKey(vehicle, pack), 1, "NMC", ah, 96 if ah else None, 1, "" if ah else MISSING)


@pytest.mark.parametrize(
    ("vehicle", "why"),
    [("E-1", ""), ("E-2", MISSING), ("E-3", "nothing was heard of a battery of E-3 yet"), ("E-4", "")],
)
def test_one_pack_that_can_be_judged_is_enough(tmp_path: Path, vehicle: str, why: str) -> None:
    path = tmp_path / "health.db"
    with contextlib.closing(Store.open(path)) as store:
        store.migrate([room])
        for one in (entry("E-1", "P1", 240.0), entry("E-2", "P1", None), entry("E-4", "P1", None), entry("E-4", "P2", 240.0)):
            Book(store).put(one, [], now_us=1)
    found = asyncio.run(Judge(path, StillClock())(vehicle))
    assert found.startswith(why)
    assert bool(found) == bool(why)


def test_before_the_health_process_has_begun_nothing_can_be_judged(tmp_path: Path) -> None:
    path = tmp_path / "health.db"
    assert "has not begun yet" in asyncio.run(Judge(path, StillClock())("E-1"))
    Store.open(path).close()
    assert "has not begun yet" in asyncio.run(Judge(path, StillClock())("E-1"))
