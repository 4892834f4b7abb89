"""Sans-I/O OCPP-J framing (OCPP-J 1.6 §4): a frame in, its meaning out; texts to send are returned, never sent.
The frames of 2.0.1 are the same but for the names of two errors; 2.1 has two more: SEND, a call that nobody answers, and
CALLRESULTERROR, by which who called refuses an answer.

    frame --receive()--> CallReceived | ResultReceived | ErrorReceived | AnswerRefused | LateAnswer | Malformed | Ignored
    call() answer() refuse() refuse_answer() -> text

Whatever arrives, :meth:`Session.receive` returns; a CALL whose message id can be read always gets an answer: either
the caller of :class:`CallReceived` gives it, or :class:`Malformed` carries the CALLERROR. The connection is never
the price of a bad frame. A frame that repeats an answered one, byte for byte, gets the same answer again.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ocpp_server.errors import ErrorCode
from ocpp_server.version import Version

CALL, CALLRESULT, CALLERROR = 2, 3, 4
CALLRESULTERROR, SEND = 5, 6
"""Of OCPP 2.1 only."""
_KINDS = {version: frozenset({CALL, CALLRESULT, CALLERROR}) for version in Version} | {
    Version.V21: frozenset({CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND})
}
MAX_ID = 255
"""Longest message id that is served. The norm says 36; longer ones are seen (``urn:uuid:``) and harmless."""
MAX_DEPTH = 32
REMEMBERED_ANSWERS = 64
REFUSABLE_ANSWERS = 16
"""Answers whose refusal is understood, of a connection."""
_OPENERS_WITHOUT_SCAN = 512
_HEAD = re.compile(r'\s*\[\s*([234])\s*,\s*(?:"((?:[^"\\]|\\.){1,255})"|(-?\d{1,18}))\s*[,\]]')

MessageId = str | int
Payload = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class CallReceived:
    """The station calls. ``repeated``: the answer to an identical earlier frame; send it, act on nothing. ``sent``: it came in
    a SEND, so neither an answer nor a refusal may leave."""

    message_id: MessageId
    action: str
    payload: Payload
    fingerprint: int
    repeated: str | None = None
    sent: bool = False


@dataclass(frozen=True, slots=True)
class ResultReceived:
    """The answer to our pending call. ``payload`` None: it answered, but unreadably: outcome unknown."""

    message_id: str
    payload: Payload | None


@dataclass(frozen=True, slots=True)
class ErrorReceived:
    """The station answered our pending call with a CALLERROR."""

    message_id: str
    code: str
    description: str
    details: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnswerRefused:
    """The station cannot use the answer that we gave to its ``action`` (CALLRESULTERROR)."""

    message_id: MessageId
    action: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """The answer to a call of ours that was given up: its outcome stays unknown, but the station is alive."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A broken CALL. ``reply``: the CALLERROR to send."""

    reply: str
    why: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to answer: unreadable id, unknown message type, an answer that nobody waits for."""

    why: str


Incoming = CallReceived | ResultReceived | ErrorReceived | AnswerRefused | LateAnswer | Malformed | Ignored


class Session:
    """The framing state of one connection: our pending calls and the answers we gave."""

    def __init__(self, version: Version = Version.V16) -> None:
        self._version = version
        self._kinds = _KINDS[version]
        self._calls = 0
        self._pending: set[str] = set()
        self._given_up: deque[str] = deque(maxlen=16)
        self._answers: OrderedDict[MessageId, tuple[int, str]] = OrderedDict()
        self._given: deque[tuple[MessageId, str]] = deque(maxlen=REFUSABLE_ANSWERS if CALLRESULTERROR in self._kinds else 0)
        """Message id and action of the answers that we gave last."""

    def call(self, action: str, payload: Payload) -> tuple[str, str]:
        """Message id and text of a CALL; it stays pending until answered or :meth:`forget`."""
        self._calls += 1
        message_id = str(self._calls)
        self._pending.add(message_id)
        return message_id, _text([CALL, message_id, action, payload])

    def forget(self, message_id: str) -> None:
        """Stop waiting: an answer that comes later is a :class:`LateAnswer`."""
        self._pending.discard(message_id)
        self._given_up.append(message_id)

    def answer(self, call: CallReceived, payload: Payload, *, remember: bool = True) -> str:
        """Text of the CALLRESULT. ``remember`` False where the same answer would be wrong later (time of day)."""
        text = _text([CALLRESULT, call.message_id, payload])
        self._given.append((call.message_id, call.action))
        if remember:
            self._answers[call.message_id] = (call.fingerprint, text)
            self._answers.move_to_end(call.message_id)
            if len(self._answers) > REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)
        return text

    def refuse(self, call: CallReceived, code: ErrorCode, description: str) -> str:
        """Text of the CALLERROR. Not remembered: what went wrong may go right when the station tries again."""
        return self._error(call.message_id, code, description)

    def refuse_answer(self, message_id: str, code: ErrorCode, description: str) -> str | None:
        """Text of the CALLRESULTERROR to an answer that cannot be used; None: the version has none."""
        return self._error(message_id, code, description, kind=CALLRESULTERROR) if CALLRESULTERROR in self._kinds else None

    def answered(self, call: CallReceived) -> str | None:
        """The answer already given to an identical frame (it may have been given while this one was queued)."""
        known = self._answers.get(call.message_id)
        return known[1] if known is not None and known[0] == call.fingerprint else None

    def receive(self, frame: str | bytes) -> Incoming:
        """What the frame means. Never raises."""
        try:
            text = frame if isinstance(frame, str) else frame.decode("utf-8")
            if text.count("[") + text.count("{") > _OPENERS_WITHOUT_SCAN and _depth(text) > MAX_DEPTH:
                return self._broken(text, f"nested deeper than {MAX_DEPTH}")
            message = _decode(text)
        except UnicodeError:
            readable = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
            return self._broken(readable, "not valid UTF-8")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self._broken(text, "not valid JSON")
        if not isinstance(message, list) or not message:
            return Ignored("not an OCPP-J message: a JSON array is expected")
        kind = message[0]
        if type(kind) is not int or kind not in self._kinds:
            return Ignored("unknown message type")  # OCPP-J 1.6 §4.1.3: SHALL ignore
        message_id = message[1] if len(message) > 1 else None
        if kind == CALL:
            return self._call(message, message_id, text)
        if kind == SEND:
            return _send(message, message_id)
        if kind == CALLRESULTERROR:
            return self._answer_refused(message, message_id)
        return self._response(kind, message, message_id)

    def _call(self, message: list[Any], message_id: object, text: str) -> Incoming:
        if not _readable(message_id):
            return Ignored("CALL without a readable message id")
        assert isinstance(message_id, str | int)
        if len(message) != 4:
            return self._malformed(message_id, f"a CALL has 4 elements, this one {len(message)}")
        action, payload = message[2], message[3]
        if type(action) is not str or not action:
            return self._malformed(message_id, "the action must be a string")
        if type(payload) is not dict:
            return self._malformed(message_id, "the payload must be an object")
        call = CallReceived(message_id, action, payload, hash(text))
        repeated = self.answered(call)
        return call if repeated is None else CallReceived(message_id, action, payload, call.fingerprint, repeated)

    def _response(self, kind: int, message: list[Any], message_id: object) -> Incoming:
        if type(message_id) is int:
            message_id = str(message_id)
        if not isinstance(message_id, str) or message_id not in self._pending:
            if isinstance(message_id, str) and message_id in self._given_up:
                self._given_up.remove(message_id)
                return LateAnswer(message_id)
            return Ignored("an answer that nobody waits for")
        self._pending.discard(message_id)
        if kind == CALLERROR:
            code, description = _code_and_description(message)
            details = message[4] if len(message) > 4 and isinstance(message[4], dict) else {}
            return ErrorReceived(message_id, code, description, details)
        payload = message[2] if len(message) == 3 else None
        return ResultReceived(message_id, payload if isinstance(payload, dict) else None)

    def _answer_refused(self, message: list[Any], message_id: object) -> Incoming:
        for place, (given, action) in enumerate(self._given):
            if type(given) is type(message_id) and given == message_id:
                del self._given[place]
                return AnswerRefused(given, action, *_code_and_description(message))
        return Ignored("it refuses an answer that was not given lately")

    def _broken(self, text: str, why: str) -> Incoming:
        """A frame that is no JSON; its head may still say whose it is."""
        head = _HEAD.match(text)
        if head is None:
            return Ignored(why)
        kind, message_id = int(head[1]), _unescaped(head[2]) if head[2] is not None else int(head[3])
        if message_id is None:
            return Ignored(why)
        if kind == CALL:
            return self._malformed(message_id, why)
        if str(message_id) in self._pending:
            self._pending.discard(str(message_id))
            return ResultReceived(str(message_id), None)
        return Ignored(why)

    def _malformed(self, message_id: MessageId, why: str) -> Malformed:
        return Malformed(self._error(message_id, ErrorCode.FORMATION_VIOLATION, why), why)

    def _error(self, message_id: MessageId, code: ErrorCode, description: str, *, kind: int = CALLERROR) -> str:
        return _text([kind, message_id, code.spelled(self._version), description[:255], {}])


def _send(message: list[Any], message_id: object) -> Incoming:
    """A SEND; one that is broken is nobody's to answer."""
    if not _readable(message_id) or len(message) != 4 or type(message[2]) is not str or not message[2] or type(message[3]) is not dict:
        return Ignored("a SEND has a message id, an action and a payload")
    assert isinstance(message_id, str | int)
    return CallReceived(message_id, message[2], message[3], 0, sent=True)


def _code_and_description(message: list[Any]) -> tuple[str, str]:
    """Of a CALLERROR or a CALLRESULTERROR; empty where it has none that can be read."""
    code, description = (part[:255] if isinstance(part, str) else "" for part in (*message[2:4], "", "")[:2])
    return code, description


def _readable(message_id: object) -> bool:
    return (isinstance(message_id, str) and 0 < len(message_id) <= MAX_ID) or (type(message_id) is int and abs(message_id) < 10**18)


def _unescaped(quoted: str) -> str | None:
    """What stands between two quotes; None where one of its escapes is none that JSON knows."""
    if "\\" not in quoted:
        return quoted
    try:
        return str(_decode(f'"{quoted}"'))
    except msgspec.MsgspecError:
        return None


def _text(message: list[Any]) -> str:
    return _encode(message).decode()


def _depth(text: str) -> int:
    """Deepest nesting of brackets outside strings; an upper bound is enough, so escapes are read simply."""
    deepest = depth = 0
    quoted = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped = character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif character in "]}":
            depth -= 1
    return deepest
