"""How this room stores time: milliseconds since 1970, UTC. The gateway speaks Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def to_ms(at: datetime) -> int:
    """Whole milliseconds, rounded down."""
    return (at - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """Aware UTC."""
    return _EPOCH + ms * _MS


def maybe_from_ms(ms: int | None) -> datetime | None:
    """The same for a column that may be empty."""
    return None if ms is None else from_ms(ms)


def from_s(seconds: int) -> datetime:
    """Aware UTC from the gateway's seconds."""
    return from_ms(seconds * 1000)


def to_s(at: datetime) -> int:
    """The gateway's seconds, rounded up, so that "not before" stays true."""
    return -(-to_ms(at) // 1000)
