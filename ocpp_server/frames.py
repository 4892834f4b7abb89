"""The message log of a station: its last frames, raw in a ring, read and redacted only when somebody looks.

    add() -> ring (bytes and frames capped)     recent() -> one line each     messages() -> payloads as redacted JSON

A thousand stations write a thousand frames a second and more, and nobody reads most of them: keeping one costs a tuple.
Memory is what is capped, and a station that sends large frames or many keeps its own last ones only.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from ocpp_server.redaction import redact
from ocpp_server.summaries import answer_summary, summary

KEPT_BYTES = 48 * 1024
"""What the ring of one station takes in memory, about."""
KEPT_FRAMES = 400
KEPT_TEXT = 4096
"""Characters that are kept of one frame."""
KEPT_WORDS = 64
RECENT = 100
_OVERHEAD = 200
"""Bytes that an entry takes beside its text: the tuple, its time, its message id."""
IN, OUT = "in", "out"


class Kind(StrEnum):
    """What a frame is. ``send``: a call that nobody answers (2.1). ``error``: a CALLERROR, or a CALLRESULTERROR (2.1).
    ``unusable``: it cannot be read, or nobody waits for it. ``silence``: no frame, an answer that did not come."""

    CALL = "call"
    SEND = "send"
    RESULT = "result"
    ERROR = "error"
    UNUSABLE = "unusable"
    SILENCE = "silence"


_CALLS = frozenset({Kind.CALL, Kind.SEND})


@dataclass(frozen=True, slots=True)
class Frame:
    """``direction``: ``in`` from the station, ``out`` to it. ``action`` of an answer: the call's."""

    at: datetime
    direction: str
    action: str
    summary: str


@dataclass(frozen=True, slots=True)
class Message:
    """One frame for people. ``payload``: redacted JSON; of a CALLERROR an object with errorCode, errorDescription and
    errorDetails; empty where the frame cannot be read. ``cut``: it was longer than what is kept, its end is missing.
    ``note``: what this system has to say about it."""

    at: datetime
    direction: str
    kind: Kind
    message_id: str
    action: str
    payload: str
    note: str
    cut: bool


_Entry = tuple[datetime, str, Kind, str, str, str, str]
"""at, direction, kind, message id, action, text, note: a plain tuple, which the garbage collector does not follow."""


class FrameLog:
    """See the module."""

    def __init__(self) -> None:
        self._ring: deque[_Entry] = deque()
        self._bytes = 0

    def add(self, at: datetime, direction: str, kind: Kind, message_id: str, action: str, text: str, note: str = "") -> None:
        """Keep a frame. ``text``: as it was on the wire."""
        if len(text) > KEPT_TEXT:
            text = text[: KEPT_TEXT + 1]  # one more: tells that it was cut
        if len(action) > KEPT_WORDS or len(message_id) > KEPT_WORDS:
            action, message_id = action[:KEPT_WORDS], message_id[:KEPT_WORDS]
        ring = self._ring
        ring.append((at, direction, kind, message_id, sys.intern(action), text, note))
        self._bytes += sys.getsizeof(text) + _OVERHEAD
        while self._bytes > KEPT_BYTES or len(ring) > KEPT_FRAMES:
            self._bytes -= sys.getsizeof(ring.popleft()[5]) + _OVERHEAD

    def recent(self) -> tuple[Frame, ...]:
        """The last :data:`RECENT` that say something, oldest first: an empty answer says nothing that its call did not."""
        found: list[Frame] = []
        for entry in reversed(self._ring):
            at, direction, kind, _, action, text, note = entry
            line = note or _line(kind, action, text)
            if line or kind in _CALLS or direction == IN:
                found.append(Frame(at, direction, action, line))
                if len(found) == RECENT:
                    break
        return tuple(reversed(found))

    def messages(self) -> tuple[Message, ...]:
        """All that is kept, oldest first."""
        return tuple(
            Message(at, direction, kind, message_id, action, _shown(kind, text), note, len(text) > KEPT_TEXT)
            for at, direction, kind, message_id, action, text, note in self._ring
        )


def _line(kind: Kind, action: str, text: str) -> str:
    payload = _payload(kind, text)
    if payload is None:
        return ""
    if kind is Kind.ERROR:
        return f"{payload['errorCode']}: {payload['errorDescription']}"[:300].rstrip(": ")
    return summary(action, payload) if kind in _CALLS else answer_summary(payload)


def _shown(kind: Kind, text: str) -> str:
    payload = _payload(kind, text)
    return "" if payload is None else msgspec.json.encode(payload).decode()


def _payload(kind: Kind, text: str) -> dict[str, Any] | None:
    """The payload without what nobody is to see; None where there is none that can be read: then nothing of it is shown."""
    try:
        message = msgspec.json.decode(completed(text[:KEPT_TEXT]) if len(text) > KEPT_TEXT else text)
        if not isinstance(message, list):
            return None
        place = 3 if kind in _CALLS or message[:1] in ([2], [6]) else 2
        payload = message[place:]
        if kind is Kind.ERROR:
            code, description, details = (*payload, "", "", {})[:3]
            payload = [{"errorCode": code, "errorDescription": description, "errorDetails": details}]
        return redact(payload[0]) if payload and isinstance(payload[0], dict) else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return None


def completed(text: str) -> str:
    """The longest beginning of a cut JSON text that ends after a whole value, with its brackets closed."""
    closers: list[str] = []
    safe, open_then = 0, ""
    quoted = escaped = False
    for place, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped = character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character in "[{":
            closers.append("]" if character == "[" else "}")
            safe, open_then = place + 1, "".join(reversed(closers))
        elif character in "]}":
            if closers:
                closers.pop()
            safe, open_then = place + 1, "".join(reversed(closers))
        elif character == ",":
            safe, open_then = place, "".join(reversed(closers))
    return text[:safe] + open_then
