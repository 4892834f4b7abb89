"""The core's garbage: a full look when memory has grown, or after a while, and not before."""

from __future__ import annotations

import asyncio
import gc

import pytest

from controller.app import garbage


@pytest.mark.parametrize(("grows", "every_s", "collected"), [(1, 1e9, False), (garbage.GROWN_BYTES, 1e9, True), (0, 0.0, True)])
def test_everything_is_looked_through_when_memory_has_grown_or_after_a_while(
    grows: int, every_s: float, collected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, held = 0, iter([100, *[100 + grows] * 10_000])

    def collect() -> int:
        nonlocal looks
        looks += 1
        return 0

    monkeypatch.setattr(garbage, "_resident", lambda: next(held))
    monkeypatch.setattr(garbage, "LOOK_S", 0.0)
    monkeypatch.setattr(garbage, "EVERY_S", every_s)
    monkeypatch.setattr(gc, "collect", collect)

    async def main() -> None:
        task = asyncio.create_task(garbage.collect_rarely())
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert (looks > 0) == collected


def test_what_is_loaded_is_not_looked_through_again() -> None:
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        garbage.settle()
        assert gc.get_freeze_count() > frozen
        assert gc.get_threshold()[2] == garbage.NEVER
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
