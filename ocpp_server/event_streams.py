"""Periodic event streams (OCPP 2.1 block N): a station tells the values of a monitored variable in bundles that nobody answers.

    OpenPeriodicEventStream --within bounds? --> Accepted     NotifyPeriodicEventStream (SEND) --> the last values
    ClosePeriodicEventStream, a boot --> gone                 AdjustPeriodicEventStream accepted --> other parameters

A stream that was not opened is opened by its first bundle: the station may have opened it in another process of ours. Pure memory.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from depot.values import Outcome
from ocpp_server.reply import Reply

MOST_STREAMS = 20
"""Of one station."""
KEPT_VALUES = 50
"""Of one stream."""
KEPT_TEXT = 200
"""Characters of one value."""
LEAST_INTERVAL_S = 1
STREAM_CALLS = frozenset({"AdjustPeriodicEventStream"})


@dataclass(frozen=True, slots=True)
class StreamValue:
    """``at``: by the station's clock, None where it cannot be true."""

    at: datetime | None
    value: str


@dataclass(frozen=True, slots=True)
class Stream:
    """``monitor_id``: of the variable monitoring that it tells; None: not known. ``interval_s``, ``bundle``: how often, and how many
    values at once, None where the station decides. ``pending``: values that wait at the station."""

    stream_id: int
    monitor_id: int | None = None
    interval_s: int | None = None
    bundle: int | None = None
    pending: int = 0
    heard: int = 0
    values: deque[StreamValue] = field(default_factory=lambda: deque(maxlen=KEPT_VALUES))


class StreamBook:
    """The streams of one station."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, Stream] = OrderedDict()

    @property
    def streams(self) -> tuple[Stream, ...]:
        return tuple(self._open.values())

    def open(self, stream: Stream) -> bool:
        """False: there are too many. The same id again is the same stream with other parameters."""
        if stream.stream_id not in self._open and len(self._open) >= MOST_STREAMS:
            return False
        self._open[stream.stream_id] = stream
        return True

    def close(self, stream_id: int) -> None:
        self._open.pop(stream_id, None)

    def forget(self) -> None:
        """The station booted."""
        self._open.clear()

    def take(self, stream_id: int, pending: int, values: list[StreamValue]) -> bool:
        """False: too many streams; the values are lost."""
        known = self._open.get(stream_id) or Stream(stream_id)
        if not self.open(replace(known, pending=pending, heard=known.heard + len(values))):
            return False
        known.values.extend(values)
        return True

    def note(self, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        """A call has ended."""
        known = self._open.get(payload.get("id", 0))
        if action in STREAM_CALLS and known is not None and reply.outcome is Outcome.ACCEPTED:
            params = payload["params"]
            self._open[known.stream_id] = replace(
                known, interval_s=params.get("interval", known.interval_s), bundle=params.get("values", known.bundle)
            )
