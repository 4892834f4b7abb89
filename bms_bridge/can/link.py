"""A live CAN bus: its frames in bounded batches on the loop, and how the bus is.

    driver --a thread of python-can's Notifier--> _Intake (newest MOST_WAITING frames) --one call of the loop--> on_frames(batch)
                                                                                  bus silent, passive, off, lost --> on_state()

The thread only puts frames into a bounded queue and wakes the loop once, however many come: python-can's own way into a loop
queues a call for each frame without bound, which a flood would fill the memory with. Where frames come faster than they are
looked at, the oldest go, and are counted. Only the identifiers that somebody wants are asked of the driver, where it can filter.
A bus that is lost is opened again, with growing pauses, for as long as it takes. Nothing is ever sent.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from bms_bridge.can import BusRefused
from bms_bridge.can.frame import MOST_BYTES, CanFrame
from depot.ports import Clock

if TYPE_CHECKING:
    from can import BusABC, Message

log = logging.getLogger(__name__)

MOST_WAITING: Final = 8192
"""About two seconds of a full bus of 500 kbit/s."""

MOST_BATCH: Final = 512
"""So many frames are handed over in one turn of the loop; then others' work comes."""

MOST_FILTERS: Final = 256
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0
ERRORS_IN_A_ROW: Final = 20
"""So many errors without a frame between them, and the bus counts as lost. One is a damaged datagram."""

LOOK_S: Final = 0.5
_RECEIVE_S = 0.2

# linux/can/error.h: classes of an error frame, in its identifier; what the controller says, in its second byte
_CLASS_CONTROLLER, _CLASS_BUS_OFF, _CLASS_RESTARTED = 0x04, 0x40, 0x100
_PASSIVE, _ACTIVE = 0x30, 0x40


class BusState(StrEnum):
    """How a bus is. ``passive``: its controller sees so many errors that it says no more; wiring, termination or bit rate are wrong.
    ``off``: it has given up."""

    OPENING = "opening"
    HEARD = "heard"
    SILENT = "silent"
    PASSIVE = "passive"
    OFF = "off"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSettings:
    """Which bus, in python-can's words. ``silent_s``: without any frame for so long it is silent. ``options``: of the driver."""

    interface: str
    channel: str
    bitrate: int | None = None
    silent_s: float = 5.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.interface}:{self.channel}"


class CanLink:
    """One bus; its owner runs :meth:`run` as a task. Both callbacks are called on the loop and must return at once; an exception of
    ``on_frames`` ends :meth:`run`.

    ``on_frames``: a batch, oldest first; its time is the monotonic one at which it was handed over. ``on_state(state, reason)``: at
    each change. ``wanted``: (identifier, extended) of what is asked of the driver; empty: all. ``received``, ``overrun``: frames,
    and those that were lost because nobody looked at them in time.
    """

    def __init__(
        self,
        settings: BusSettings,
        *,
        clock: Clock,
        on_frames: Callable[[Sequence[CanFrame]], None],
        on_state: Callable[[BusState, str], None],
        wanted: Sequence[tuple[int, bool]] = (),
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings
        self.state = BusState.OPENING
        self.reason = ""
        self.received = 0
        self.overrun = 0
        self._clock = clock
        self._on_frames = on_frames
        self._on_state = on_state
        self._wanted = tuple(wanted)
        self._rng = rng or random.Random()  # noqa: S311  # jitter, not a secret
        self._heard_s = 0.0
        self._trouble = BusState.HEARD

    async def run(self) -> None:
        """Open, listen, open again; for ever, until cancelled."""
        failures = 0
        while True:
            reason = await self._listen()
            failures = 0 if self.state is not BusState.LOST else failures
            self._tell(BusState.LOST, reason)
            failures += 1
            await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures, 8)) * self._rng.uniform(0.5, 1.0))

    async def _listen(self) -> str:
        """Until the bus is lost; why it is."""
        import can

        loop = asyncio.get_running_loop()
        intake = _Intake(loop, self._drain)
        try:
            bus = await asyncio.to_thread(self._opened)
        except BusRefused as error:
            return str(error)
        notifier = None
        try:
            notifier = can.Notifier(bus, [intake], timeout=_RECEIVE_S)
            self._heard_s = self._clock.monotonic()
            self._trouble = BusState.HEARD
            while not intake.lost.is_set():
                self._look()
                try:
                    async with asyncio.timeout(LOOK_S):
                        await intake.lost.wait()
                except TimeoutError:
                    continue
            if intake.failure is not None:
                raise intake.failure
            return intake.reason
        finally:
            await asyncio.shield(asyncio.to_thread(_closed, notifier, bus))

    def _opened(self) -> BusABC:
        """In a thread: some drivers wait for their device. Raises :class:`~bms_bridge.can.BusRefused`."""
        import can

        settings = self.settings
        more: dict[str, Any] = dict(settings.options)
        if settings.bitrate is not None:
            more["bitrate"] = settings.bitrate
        if 0 < len(self._wanted) <= MOST_FILTERS:
            more["can_filters"] = [
                {"can_id": number, "can_mask": 0x1FFFFFFF if extended else 0x7FF, "extended": extended} for number, extended in self._wanted
            ]
        channel: int | str = int(settings.channel) if settings.channel.isdecimal() else settings.channel
        try:
            # without ignore_config a file in somebody's home could turn this into another bus
            return can.Bus(interface=settings.interface, channel=channel, ignore_config=True, **more)
        except Exception as error:  # noqa: BLE001  # drivers raise what they like; all of it means that there is no bus
            words = (str(error).splitlines() or [""])[0][:160] or type(error).__name__
            raise BusRefused(f"{settings} cannot be opened: {words}") from None

    def _drain(self, intake: _Intake) -> None:
        """On the loop: what has come, in bounded batches."""
        batch: list[CanFrame] = []
        now_s = self._clock.monotonic()
        more, overrun = intake.take(MOST_BATCH)
        self.overrun += overrun
        for message in more:
            if message.is_error_frame:
                self._controller_says(message)
            elif not message.is_remote_frame and len(message.data) <= MOST_BYTES:
                batch.append(CanFrame(now_s, message.arbitration_id, message.is_extended_id, bytes(message.data)))
        if batch:
            self.received += len(batch)
            self._heard_s = now_s
            if self._trouble is BusState.OFF:
                self._trouble = BusState.HEARD  # who gave up hears nothing
            if self.state is not self._trouble:
                self._tell(self._trouble, "")
            self._on_frames(batch)

    def _controller_says(self, message: Message) -> None:
        """An error frame: how the controller is."""
        kinds, says = message.arbitration_id, message.data[1] if len(message.data) > 1 else 0
        if kinds & _CLASS_BUS_OFF:
            self._trouble = BusState.OFF
        elif kinds & _CLASS_RESTARTED or (kinds & _CLASS_CONTROLLER and says & _ACTIVE):
            self._trouble = BusState.HEARD
        elif kinds & _CLASS_CONTROLLER and says & _PASSIVE:
            self._trouble = BusState.PASSIVE

    def _look(self) -> None:
        if self._trouble in (BusState.OFF, BusState.PASSIVE):
            self._tell(self._trouble, "check wiring, termination and bit rate")
        elif self._clock.monotonic() - self._heard_s > self.settings.silent_s:
            self._tell(BusState.SILENT, f"no frame for {self.settings.silent_s:g} s")

    def _tell(self, state: BusState, reason: str) -> None:
        if state is self.state and (reason == self.reason or state is not BusState.LOST):
            return
        self.state, self.reason = state, reason
        if state is BusState.HEARD:
            log.info("CAN %s: heard", self.settings)
        else:
            log.warning("CAN %s: %s%s", self.settings, state, f" ({reason})" if reason else "")
        self._on_state(state, reason)


class _Intake:
    """What the reading thread calls. Bounded; the loop is woken once, not once a frame."""

    def __init__(self, loop: asyncio.AbstractEventLoop, drain: Callable[[_Intake], None]) -> None:
        self.lost = asyncio.Event()
        self.reason = ""
        self.failure: Exception | None = None
        self._loop = loop
        self._drain = drain
        self._waiting: deque[Message] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._woken = False
        self._overrun = 0
        self._errors = 0

    def __call__(self, message: Message) -> None:
        """In the thread: a frame came."""
        self._errors = 0
        with self._lock:
            self._overrun += len(self._waiting) == MOST_WAITING
            self._waiting.append(message)
            if self._woken:
                return
            self._woken = True
        self._wake(self._run)

    def on_error(self, error: Exception) -> None:
        """In the thread: reading failed. It is tried again by the notifier at once, so this takes its time."""
        self._errors += 1
        if self._errors >= ERRORS_IN_A_ROW:
            self.reason = (str(error).splitlines() or [""])[0][:160] or type(error).__name__
            self._wake(self.lost.set)
        time.sleep(_RECEIVE_S / 4)

    def take(self, most: int) -> tuple[list[Message], int]:
        """At most ``most`` frames, oldest first, and how many were lost before them."""
        with self._lock:
            found = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            overrun, self._overrun = self._overrun, 0
            self._woken = bool(self._waiting)
        return found, overrun

    def _run(self) -> None:
        try:
            self._drain(self)
        except Exception as error:  # noqa: BLE001  # handed to the task of the link, which ends by it
            self.failure = error
            self.lost.set()
            return
        with self._lock:
            more = self._woken
        if more:
            self._loop.call_soon(self._run)

    def _wake(self, what: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:  # the loop has ended
            return


def _closed(notifier: Any, bus: BusABC) -> None:
    """In a thread: stopping waits for the reader's last try."""
    try:
        if notifier is not None:
            notifier.stop(timeout=2.0)
        bus.shutdown()
    except Exception as error:  # noqa: BLE001  # a driver whose device has gone; there is nothing left to close
        log.info("CAN bus closed with an error: %s", error)
