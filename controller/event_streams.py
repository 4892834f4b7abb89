"""The room of periodic event streams (OCPP 2.1): which stations have open, and the last values of each. Values are for people; nothing
is decided by them, and they do not outlive this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.values import InvalidValue, Outcome
from ocpp_server.event_streams import Stream
from ocpp_server.version import Version


class StreamValueView(Struct, frozen=True, kw_only=True):
    """``at``: by the station's clock; null: it cannot be true."""

    at: datetime | None
    value: str


class StreamView(Struct, frozen=True, kw_only=True):
    """A stream. ``monitor_id``: of the variable monitoring that it tells, null where it is not known; ``interval_s``, ``values_at_once``
    null: the station decides; ``pending``: values that wait at the station; ``values``: the last ones, newest first."""

    station_id: str
    stream_id: int
    monitor_id: int | None
    interval_s: int | None
    values_at_once: int | None
    pending: int
    heard: int
    values: list[StreamValueView]


class StreamsView(Struct, frozen=True, kw_only=True):
    """By station and number."""

    at: datetime
    streams: list[StreamView]


class EventStreams:
    """The room. ``streams(station_id)``: those that it has open."""

    def __init__(self, yard: Yard, calls: RawCalls, streams: Callable[[str], tuple[Stream, ...]]) -> None:
        self._yard = yard
        self._calls = calls
        self._streams = streams
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.AdjustEventStream: self._adjust}
        self.views: Mapping[type[Struct], Viewer] = {StreamsView: self._show}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _adjust(self, command: cmd.AdjustEventStream, cause: ev.Envelope) -> Answered:
        if self._calls.version(command.station_id) is not Version.V21:
            raise InvalidValue(f"{command.station_id} does not speak OCPP 2.1, which event streams are of")
        wanted = {"interval": command.interval_s, "values": command.values_at_once}
        params = {name: value for name, value in wanted.items() if value is not None}
        payload = {"id": command.stream_id, "params": params}
        reply = await self._calls.send(command.station_id, "AdjustPeriodicEventStream", payload, cause)
        done = CommandStatus.DONE if reply.outcome is Outcome.ACCEPTED else CommandStatus.FAILED
        return Answered(done, in_words(reply), {"state": str(reply.payload.get("status", "")), "call": as_answer(reply)})

    async def _show(self, args: Mapping[str, str]) -> StreamsView | None:
        """``station_id``: only this one."""
        wanted = args.get("station_id", "")
        ids = [s.station_id for s in self._yard.spec.stations if wanted in ("", s.station_id)]
        if wanted and not ids:
            return None
        return StreamsView(at=self._yard.clock.now(), streams=[_shown(i, stream) for i in ids for stream in self._streams(i)])


def _shown(station_id: str, s: Stream) -> StreamView:
    return StreamView(
        station_id=station_id, stream_id=s.stream_id, monitor_id=s.monitor_id, interval_s=s.interval_s, values_at_once=s.bundle,
        pending=s.pending, heard=s.heard, values=[StreamValueView(at=v.at, value=v.value) for v in reversed(s.values)],
    )  # fmt: skip
