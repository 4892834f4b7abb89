"""The transfer switch's contact over real sockets: the simulated switch, read by the depot's poller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from controller.clock import SystemClock
from grid.signal import ContactError, ContactSettings, ModbusContact
from simulator.supply_switch import SupplySwitch

pytestmark = pytest.mark.anyio


class Plant:
    def __init__(self) -> None:
        self.limits_w = {"site": 400_000}

    def set_limit(self, scope: str, w: int) -> None:
        self.limits_w[scope] = w


async def until(condition: Callable[[], object], *, within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # a socket's other side has no event to wait for
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("coil", [False, True])
async def test_the_contact_is_seen_to_close_and_to_open_and_its_silence_is_none(*, coil: bool) -> None:
    plant = Plant()
    async with SupplySwitch(plant, rating_w=120_000) as switch:
        contact = ModbusContact(ContactSettings(host="127.0.0.1", port=switch.port, period_s=0.1, coil=coil), clock=SystemClock())
        task = asyncio.create_task(contact.run())
        try:
            await until(lambda: contact.reading is not None)
            assert contact.reading is not None
            assert not contact.reading.closed
            switch.to_generator()
            assert plant.limits_w["site"] == 120_000
            await until(lambda: contact.reading is not None and contact.reading.closed)
            switch.broken = True
            await until(lambda: contact.failures > 0)
            old = contact.reading
            await asyncio.sleep(0.3)
            assert contact.reading == old, "what was not read is not made up"
            switch.broken = False
            switch.to_grid()
            assert plant.limits_w["site"] == 400_000
            await until(lambda: contact.reading is not None and not contact.reading.closed)
        finally:
            task.cancel()


@pytest.mark.parametrize("wrong", [{"port": 0}, {"unit_id": 256}, {"address": -1}, {"period_s": 0.0}])
def test_a_place_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ContactError):
        ContactSettings(**{"host": "10.0.0.1", **wrong})  # type: ignore[arg-type]
