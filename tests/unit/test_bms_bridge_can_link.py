"""Live buses: frames over a virtual bus and over real sockets, silence, faults of the controller, floods, and a bus that comes back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import can
import pytest

from bms_bridge.can import link as link_module
from bms_bridge.can.frame import CanFrame
from bms_bridge.can.link import MOST_BATCH, MOST_WAITING, BusSettings, BusState, CanLink, _Intake
from controller.clock import SystemClock

pytestmark = pytest.mark.anyio


class Heard:
    """What a link told, and ways to wait for it."""

    def __init__(self, settings: BusSettings, **more: Any) -> None:
        self.frames: list[CanFrame] = []
        self.batches: list[int] = []
        self.states: list[tuple[BusState, str]] = []
        self.changed = asyncio.Event()
        self.link = CanLink(
            settings, clock=SystemClock(), on_frames=self._came, on_state=self._told, rng=random.Random(1), **more
        )  # fmt: skip

    def _came(self, frames: Sequence[CanFrame]) -> None:
        self.batches.append(len(frames))
        self.frames += frames
        self.changed.set()

    def _told(self, state: BusState, reason: str) -> None:
        self.states.append((state, reason))
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.link.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.contextmanager
def sender(channel: str, interface: str = "virtual", **more: Any) -> Iterator[can.BusABC]:
    with can.Bus(interface=interface, channel=channel, ignore_config=True, **more) as bus:
        yield bus


def frame(number: int, data: bytes = b"\x01", *, extended: bool = False) -> can.Message:
    return can.Message(arbitration_id=number, data=data, is_extended_id=extended)


def controller_says(kinds: int, says: int = 0) -> can.Message:
    return can.Message(arbitration_id=kinds, is_error_frame=True, data=bytes([0, says, 0, 0, 0, 0, 0, 0]), is_extended_id=False)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks and pauses of a test's length."""
    for name, value in (("FIRST_PAUSE_S", 0.01), ("LONGEST_PAUSE_S", 0.02), ("LOOK_S", 0.05), ("_RECEIVE_S", 0.05)):
        monkeypatch.setattr(link_module, name, value)


async def opened(heard: Heard, bus: can.BusABC) -> None:
    """Send until the link hears: it opens its end in a thread."""
    while not heard.frames:
        bus.send(frame(0x1))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await heard.until(lambda: bool(heard.frames))
    heard.frames.clear()


async def test_frames_of_a_bus_come_in_their_order(quick: None) -> None:
    heard = Heard(BusSettings(interface="virtual", channel="order"))
    with sender("order") as bus:
        async with heard.running():
            await opened(heard, bus)
            for number in range(100):
                bus.send(frame(number, bytes([number]), extended=number % 2 == 0))
            await heard.until(lambda: len(heard.frames) >= 100)
    last = heard.frames[-100:]
    assert [(one.can_id, one.extended, one.data) for one in last] == [(n, n % 2 == 0, bytes([n])) for n in range(100)]
    assert heard.states == [(BusState.HEARD, "")]


async def test_frames_come_over_real_sockets(quick: None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    options = {"port": port, "hop_limit": 0}
    heard = Heard(BusSettings(interface="udp_multicast", channel="239.74.163.2", options=options))
    try:
        with sender("239.74.163.2", "udp_multicast", **options) as bus:
            bus.send(frame(1))
    except (OSError, can.CanError):
        pytest.xfail("this machine has no way for multicast")  # a machine without a network: the link itself is tested above
    with sender("239.74.163.2", "udp_multicast", **options) as bus:
        async with heard.running():
            await opened(heard, bus)
            bus.send(frame(0x18FF1234, b"\xde\xad", extended=True))
            await heard.until(lambda: any(one.can_id == 0x18FF1234 for one in heard.frames))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
                for junk in (b"", b"\xff" * 500, b"no message"):
                    stranger.sendto(junk, ("239.74.163.2", port))
            bus.send(frame(0x7FF))
            await heard.until(lambda: any(one.can_id == 0x7FF for one in heard.frames))
    assert BusState.LOST not in [state for state, _ in heard.states]


async def test_a_silent_bus_is_told_and_heard_again(quick: None) -> None:
    heard = Heard(BusSettings(interface="virtual", channel="silent", silent_s=0.2))
    with sender("silent") as bus:
        async with heard.running():
            await opened(heard, bus)
            await heard.until(lambda: heard.link.state is BusState.SILENT)
            bus.send(frame(2))
            await heard.until(lambda: heard.link.state is BusState.HEARD)
    assert (BusState.SILENT, "no frame for 0.2 s") in heard.states


async def test_what_the_controller_says_of_itself_is_told(quick: None) -> None:
    heard = Heard(BusSettings(interface="virtual", channel="faults"))
    with sender("faults") as bus:
        async with heard.running():
            await opened(heard, bus)
            for message, state in (
                (controller_says(0x04, 0x20), BusState.PASSIVE),
                (controller_says(0x40), BusState.OFF),
            ):
                bus.send(message)
                await heard.until(lambda state=state: heard.link.state is state)  # type: ignore[misc]  # a default binds the loop's value
            bus.send(controller_says(0x100))
            bus.send(frame(3))
            await heard.until(lambda: heard.link.state is BusState.HEARD)
            bus.send(controller_says(0x04, 0x10))
            await heard.until(lambda: heard.link.state is BusState.PASSIVE)
            bus.send(controller_says(0x04, 0x40))
            bus.send(frame(3))
            await heard.until(lambda: heard.link.state is BusState.HEARD)
    assert all(one.can_id in (1, 3) for one in heard.frames)


async def test_only_wanted_identifiers_are_asked_of_the_driver(quick: None) -> None:
    heard = Heard(BusSettings(interface="virtual", channel="filter"), wanted=[(0x1, False), (0x18FF0001, True)])
    with sender("filter") as bus:
        async with heard.running():
            await opened(heard, bus)
            for message in (frame(0x2), frame(0x18FF0001, extended=True), frame(0x1)):
                bus.send(message)
            await heard.until(lambda: any(one.can_id == 0x1 for one in heard.frames) and len(heard.frames) >= 2)
    assert {one.can_id for one in heard.frames} == {0x1, 0x18FF0001}


async def test_a_bus_that_cannot_be_opened_is_tried_again(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = can.Bus, []

    def stubborn(**settings: Any) -> can.BusABC:
        tries.append(settings)
        if len(tries) < 3:
            raise can.CanInitializationError("no such device\nmore")
        return real(**settings)

    monkeypatch.setattr(can, "Bus", stubborn)
    heard = Heard(BusSettings(interface="virtual", channel="late", bitrate=250_000))
    with contextlib.ExitStack() as stack:
        bus = stack.enter_context(real_sender(real, "late"))
        async with heard.running():
            await opened(heard, bus)
    assert heard.states[0] == (BusState.LOST, "virtual:late cannot be opened: no such device")
    assert heard.states[-1][0] is BusState.HEARD
    assert tries[0]["ignore_config"] is True
    assert tries[0]["bitrate"] == 250_000


@contextlib.contextmanager
def real_sender(open_bus: Callable[..., can.BusABC], channel: str) -> Iterator[can.BusABC]:
    with open_bus(interface="virtual", channel=channel, ignore_config=True) as bus:
        yield bus


async def test_a_bus_that_breaks_is_opened_again(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = threading.Event()
    opens: list[can.BusABC] = []
    real = can.Bus

    def fragile(**settings: Any) -> can.BusABC:
        bus = real(**settings)
        receive = bus.recv

        def recv(timeout: float | None = None) -> can.Message | None:
            if broken.is_set() and opens[0] is bus:
                raise can.CanOperationError("the device has gone")
            return receive(timeout)

        bus.recv = recv  # type: ignore[method-assign]  # a device that is pulled out
        opens.append(bus)
        return bus

    monkeypatch.setattr(can, "Bus", fragile)
    monkeypatch.setattr(link_module, "_RECEIVE_S", 0.01)
    heard = Heard(BusSettings(interface="virtual", channel="fragile"))
    with real_sender(real, "fragile") as bus:
        async with heard.running():
            await opened(heard, bus)
            broken.set()
            await heard.until(lambda: heard.link.state is BusState.LOST)
            await opened(heard, bus)
    assert (BusState.LOST, "the device has gone") in heard.states
    assert heard.states[-1][0] is BusState.HEARD
    assert len(opens) == 2


async def test_a_flood_is_bounded_in_memory_and_leaves_turns_of_the_loop_to_others() -> None:
    heard = Heard(BusSettings(interface="virtual", channel="flood"))
    intake = _Intake(asyncio.get_running_loop(), heard.link._drain)
    total = 3 * MOST_WAITING
    for number in range(total):  # the loop does not come by while all of this comes: only the newest may wait
        intake(frame(number & 0x7FF, number.to_bytes(4, "big")))
    turns = 0
    while len(heard.frames) < MOST_WAITING:
        await asyncio.sleep(0)
        turns += 1
    assert [int.from_bytes(one.data, "big") for one in heard.frames] == list(range(total - MOST_WAITING, total))
    assert heard.link.overrun == total - MOST_WAITING
    assert max(heard.batches) <= MOST_BATCH
    assert turns >= MOST_WAITING // MOST_BATCH


async def test_a_mistake_of_who_listens_ends_the_task_of_the_link(quick: None) -> None:
    heard = Heard(BusSettings(interface="virtual", channel="mistake"))

    def fails(frames: Sequence[CanFrame]) -> None:
        raise RuntimeError("a mistake of ours")

    heard.link._on_frames = fails
    with sender("mistake") as bus:
        task = asyncio.create_task(heard.link.run())
        async with asyncio.timeout(10):
            while not task.done():
                bus.send(frame(1))
                await asyncio.wait([task], timeout=0.05)
        with pytest.raises(RuntimeError, match="a mistake of ours"):
            task.result()
