"""The charger's clock, which is never trusted: how far it is off, and whether a message is live or replayed.

A replayed message (offline queue) and a clock that is slow look alike in one message. They differ in several: a slow
clock keeps its distance while time passes, a queue is emptied in a burst. So a distance counts as skew once three
observations agree on it over some seconds of our time, or at once where the message cannot be a replay (the answer
to our own trigger). Until then, and after each Boot or Heartbeat answer that resets the charger's clock, it is 0.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

OLDEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Before it, a charger's clock was never set (1970, reference no. 10)."""
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
AGREE_S = 10.0
SPAN_S = 10.0
OBSERVATIONS = 3


def parse_time(text: object) -> datetime | None:
    """A charger's timestamp as aware UTC; None for what is no time or cannot be true. Without a zone: read as UTC."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if OLDEST <= at < LATEST else None


def wire_time(at: datetime) -> str:
    """UTC with milliseconds and ``Z``: what every charger reads (reference no. 10)."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ChargerClock:
    """Skew of one station's clock: ``its time = our time + skew``."""

    def __init__(self) -> None:
        self.skew = timedelta()
        self.observed = False
        """Whether the skew was seen, and is not only taken to be none."""
        self._seen: deque[tuple[datetime, datetime]] = deque(maxlen=OBSERVATIONS)

    def set_by_us(self) -> None:
        """It booted and was told the time: earlier observations are void."""
        self.skew, self.observed = timedelta(), False
        self._seen.clear()

    def observe(self, reported_at: datetime, received_at: datetime, *, live: bool = False) -> None:
        """A message's two times. ``live``: it answers our own request, so it cannot come from a queue."""
        if live:
            self.skew, self.observed = reported_at - received_at, True
            self._seen.clear()
            return
        if self._seen and received_at <= self._seen[-1][0]:
            return
        self._seen.append((reported_at, received_at))
        if len(self._seen) < OBSERVATIONS or (self._seen[-1][1] - self._seen[0][1]).total_seconds() < SPAN_S:
            return
        distances = [reported - received for reported, received in self._seen]
        if (max(distances) - min(distances)).total_seconds() <= AGREE_S:
            self.observed = True
            self.skew = max(distances)  # the least delayed message tells the clock best

    def age_s(self, reported_at: datetime, received_at: datetime) -> float:
        """Age of the message by our clock, seconds; negative: from the future."""
        return (received_at - (reported_at - self.skew)).total_seconds()
