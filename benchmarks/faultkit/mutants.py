"""Mutated frames of OCPP-J: every message that a station sends, bent in every way that a broken program, a bad line or an
enemy may bend it; and stations that send them on plain sockets.

    mutant(rng, id, calls) -> (kind, text, must)   always the same for the same seed
    await bombard(herd, rng, count=…, per_s=…)  all stations by turns; what came of it

What must be answered is judged by the standard library's JSON parser (:func:`.attackers.answerable`). Frames that end a
connection by the WebSocket norm (not UTF-8, larger than allowed) are those of :mod:`.attackers`, not of this module.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.faultkit.attackers import JUNK, answerable
from benchmarks.faultkit.messages2x import messages
from benchmarks.herd import Herd, HerdStation
from benchmarks.herd2x import HerdStation21, HerdStation201

STAMP = "2026-11-21T12:00:00.000Z"
VALUE = {"value": "7000", "context": "Sample.Periodic", "measurand": "Power.Active.Import", "unit": "W", "location": "Outlet"}
HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "1"}
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Authorize", {"idTag": "ABCDEF01"}),
    ("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1.0", "chargePointSerialNumber": "S"}),
    ("DataTransfer", {"vendorId": "org.example", "messageId": "m", "data": '{"a": 1}'}),
    ("DiagnosticsStatusNotification", {"status": "Uploaded"}),
    ("FirmwareStatusNotification", {"status": "Downloading"}),
    ("Heartbeat", {}),
    ("MeterValues", {"connectorId": 1, "transactionId": 3, "meterValue": [{"timestamp": STAMP, "sampledValue": [VALUE, {"value": "1"}]}]}),
    ("StartTransaction", {"connectorId": 1, "idTag": "ABCDEF01", "meterStart": 1000, "timestamp": STAMP}),
    ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": STAMP, "info": "x"}),
    ("StopTransaction", {"transactionId": 3, "meterStop": 2000, "timestamp": STAMP, "reason": "Local", "idTag": "ABCDEF01"}),
    ("LogStatusNotification", {"status": "Uploading", "requestId": 1}),
    ("SecurityEventNotification", {"type": "FirmwareUpdated", "timestamp": STAMP}),
    ("SignCertificate", {"csr": "-----BEGIN CERTIFICATE REQUEST-----"}),
    ("SignedFirmwareStatusNotification", {"status": "Installed", "requestId": 1}),
    ("RemoteStartTransaction", {"idTag": "ABCDEF01"}),
    ("Invented", {"some": [{"thing": HASH}]}),
)
"""Every message that a 1.6 station sends (security whitepaper included), one that only we send, and one that nobody knows."""

WILD = (
    "\ud83d\ude00",
    "\u0000",
    "\u202e",
    "\uffff",
    "é" * 50,
    "ſ",
    "\\ud800",
    "１２",
    "\u2028",
    "x" * 5000,
    "';--",
    "<b>",
    "%s%n",
    "../../etc",
)
AHEAD = 20
"""Frames of one station that may wait for their answer."""
HUGE = (10**400, -(10**30), 2**31, 2**53 + 1, 1e308, -0.0, 5e-324, 10**18)
CHARACTERS = '[]{}",:\\0123456789.eE+-tfn \u20ac\u00e9\n\x01'


def mutant(rng: random.Random, message_id: str, calls: Sequence[tuple[str, dict[str, Any]]] = CALLS) -> tuple[str, str, str | None]:
    """One bent frame of one of ``calls``: what was done to it, its text, and the message id that must be answered (None: none)."""
    action, payload = rng.choice(calls)
    message: list[Any] = [2, message_id, action, json.loads(json.dumps(payload))]
    kind = rng.choice(tuple(KINDS))
    text = _encodable(KINDS[kind](rng, message))
    return kind, text, message_id if kind == "deep" else answerable(text)  # deeper than the judge's own parser reads


def _encodable(text: str) -> str:
    """Half a surrogate pair as its escape: legal JSON, and legal UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _leaf(rng: random.Random, part: Any, replace: Callable[[], Any]) -> Any:
    """The part with one random leaf (or branch) of it replaced."""
    if isinstance(part, dict) and part and rng.random() < 0.85:
        key = rng.choice(list(part))
        return {**part, key: _leaf(rng, part[key], replace)}
    if isinstance(part, list) and part and rng.random() < 0.85:
        at = rng.randrange(len(part))
        return [*part[:at], _leaf(rng, part[at], replace), *part[at + 1 :]]
    return replace()


def _with_payload(message: list[Any], payload: Any) -> str:
    return json.dumps([*message[:3], payload], ensure_ascii=False)


def _type_swapped(rng: random.Random, message: list[Any]) -> str:
    return _with_payload(message, _leaf(rng, message[3], lambda: rng.choice(JUNK)))


def _huge(rng: random.Random, message: list[Any]) -> str:
    return _with_payload(message, _leaf(rng, message[3], lambda: rng.choice(HUGE)))


def _wild(rng: random.Random, message: list[Any]) -> str:
    return _with_payload(message, _leaf(rng, message[3], lambda: rng.choice(WILD)))


def _key_changed(rng: random.Random, message: list[Any]) -> str:
    keys = list(message[3])
    match rng.randrange(3):
        case 0 if keys:
            del message[3][rng.choice(keys)]
        case 1 if keys:
            key = rng.choice(keys)
            message[3][rng.choice((key.upper(), key + " ", key[:-1]))] = message[3].pop(key)
        case _:
            message[3][rng.choice(WILD)] = rng.choice(JUNK)
    return json.dumps(message, ensure_ascii=False)


def _key_doubled(rng: random.Random, message: list[Any]) -> str:
    inner = json.dumps(message[3])[1:-1]
    return f'[2,"{message[1]}","{message[2]}",{{{inner}{"," if inner else ""}{inner}}}]'


def _characters(rng: random.Random, message: list[Any]) -> str:
    text = json.dumps(message)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(CHARACTERS) + text[at + rng.randint(0, 1) :]
    return text


def _bits(rng: random.Random, message: list[Any]) -> str:
    raw = bytearray(json.dumps(message).encode())
    for _ in range(rng.randint(1, 3)):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(7)  # the eighth would make another encoding of it
    return raw.decode()


def _truncated(rng: random.Random, message: list[Any]) -> str:
    text = json.dumps(message)
    return text[: rng.randrange(len(text))]


def _spliced(rng: random.Random, message: list[Any]) -> str:
    text = json.dumps(message)
    a, b = sorted((rng.randrange(len(text)), rng.randrange(len(text))))
    return text[:b] + text[a:]


def _deep(rng: random.Random, message: list[Any]) -> str:
    depth = rng.choice((33, 200, 900, 5000))
    opener, closer = rng.choice((("[", "]"), ('{"a":', "}")))
    inside = opener * depth + "1" + (closer * depth if rng.random() < 0.7 else "")
    return f'[2,"{message[1]}","{message[2]}",{{"vendorId":"v","data":{inside}}}]'


def _arity(rng: random.Random, message: list[Any]) -> str:
    return json.dumps(message[: rng.randint(0, 4)] + [rng.choice(JUNK) for _ in range(rng.randint(0, 3))])


def _message_type(rng: random.Random, message: list[Any]) -> str:
    return json.dumps([rng.choice((0, 1, 3, 4, 5, 6, 7, -2, "2", 2.0, None, [2], 10**30)), *message[1:]])


def _id(rng: random.Random, message: list[Any]) -> str:
    return json.dumps([2, rng.choice((*JUNK, *HUGE, "x" * 255, "x" * 256, message[1])), *message[2:]], ensure_ascii=False)


def _action(rng: random.Random, message: list[Any]) -> str:
    return json.dumps([*message[:2], rng.choice((*JUNK, *WILD, message[2].lower(), rng.choice(CALLS)[0])), message[3]], ensure_ascii=False)


def _long(rng: random.Random, message: list[Any]) -> str:
    return _with_payload(message, _leaf(rng, message[3], lambda: "y" * rng.choice((300, 20_000, 100_000))))


def _many(rng: random.Random, message: list[Any]) -> str:
    values = [{"timestamp": STAMP, "sampledValue": [VALUE] * rng.choice((1, 20))}] * rng.choice((1, 30))
    place = rng.choice((0, 1, 2, -1, 10**9))
    return json.dumps([2, message[1], "MeterValues", {rng.choice(("connectorId", "evseId")): place, "meterValue": values}])


def _not_json(rng: random.Random, message: list[Any]) -> str:
    return rng.choice(("", " ", "null", "true", "[]", "{}", "[2]", "\ufeff" + json.dumps(message), json.dumps(message) + "x", "NaN", '"'))


def _unbent(rng: random.Random, message: list[Any]) -> str:
    return json.dumps(message)


KINDS: dict[str, Callable[[random.Random, list[Any]], str]] = {
    "unbent": _unbent,
    "type swapped": _type_swapped,
    "huge number": _huge,
    "wild text": _wild,
    "key changed": _key_changed,
    "key doubled": _key_doubled,
    "characters": _characters,
    "bits": _bits,
    "truncated": _truncated,
    "spliced": _spliced,
    "deep": _deep,
    "arity": _arity,
    "message type": _message_type,
    "message id": _id,
    "action": _action,
    "long": _long,
    "many values": _many,
    "not JSON": _not_json,
}


class Bent(HerdStation):
    """A station that sends bent frames, and answers half of what it is asked with a bent payload. ``waits``: how many of its frames
    are not answered yet; ``calls``: what it bends."""

    calls: Sequence[tuple[str, dict[str, Any]]] = CALLS

    def __init__(self, herd: Herd, station_id: str, key: str) -> None:
        super().__init__(herd, station_id, key)
        self.heard: Counter[str] = Counter()
        self.wanted: Counter[str] = Counter()
        self.waits = 0
        self.rng = random.Random(station_id)

    def throw(self, text: str, must: str | None) -> None:
        """Send a frame whose message id ``must`` be answered."""
        if must is not None:
            self.wanted[must] += 1
            self.waits += 1
        super().send(text)

    @property
    def unanswered(self) -> int:
        return (self.wanted - self.heard).total()

    def _frame(self, opcode: int, body: bytes) -> None:
        if opcode == 1 and body[1:2] in (b"3", b"4"):
            answer = json.loads(body)
            message_id = str(answer[1])
            self.heard[message_id] += 1
            self.waits -= self.heard[message_id] <= self.wanted[message_id]
            if (waiting := self._waiting.pop(str(answer[1]).encode(), None)) is not None:
                waiting[1](time.monotonic() - waiting[0], body)
            return
        super()._frame(opcode, body)

    def send(self, text: str) -> None:
        if text.startswith("[3, ") and self.rng.random() < 0.5:
            answer = json.loads(text)
            text = json.dumps([*answer[:2], _leaf(self.rng, answer[2], lambda: self.rng.choice((*JUNK, *HUGE, *WILD)))])
        super().send(text)


class Mutant(Bent):
    """One of 1.6."""


class Mutant201(Bent, HerdStation201):
    """One of 2.0.1."""

    calls = messages("2.0.1")


class Mutant21(Bent, HerdStation21):
    """One of 2.1."""

    calls = messages("2.1")


MUTANTS: dict[str, type[Bent]] = {"1.6": Mutant, "2.0.1": Mutant201, "2.1": Mutant21}


@dataclass(slots=True)
class Bombarded:
    """What came of it. ``closed``: connections that ended, with their codes and reasons. ``missing``: some frames that were not
    answered."""

    sent: int = 0
    must: int = 0
    unanswered: int = 0
    closed: list[tuple[str, str]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)

    def row(self) -> dict[str, object]:
        return {
            "n": self.sent,
            "must_answer": self.must,
            "unanswered": self.unanswered,
            "lost_connections": len(self.closed),
            "closed_with": sorted({why for _, why in self.closed}),
        }


async def bombard(herd: Herd, rng: random.Random, *, count: int, per_s: float, name: str, patience_s: float = 15.0) -> Bombarded:
    """``count`` bent frames from the herd's stations by turns, ``per_s`` together; one in twenty comes twice. A station of which
    ``AHEAD`` frames wait for their answer waits as well, for ``patience_s`` at most: this is no test of speed, and what is sent
    faster than it can be read keeps its answers to the core's own calls waiting behind it."""
    found, stations = Bombarded(), [s for s in herd.stations if isinstance(s, Bent)]
    began, lost = time.monotonic(), len(herd.closed)
    texts: dict[str, str] = {}
    while found.sent < count:
        station = stations[found.sent % len(stations)]
        over = time.monotonic() + patience_s
        while station.waits >= AHEAD and not station.closed and time.monotonic() < over:  # noqa: ASYNC110  # counted, not signalled
            await asyncio.sleep(0.01)
        kind, text, must = mutant(rng, f"{name}-{found.sent}", station.calls)
        for _ in range(2 if rng.random() < 0.05 else 1):
            station.throw(text, must)
            texts[must or ""] = f"{station.station_id} {kind}: {text[:300]}"
            found.must += must is not None
            found.kinds[kind] += 1
            found.sent += 1
        ahead_s = found.sent / per_s - (time.monotonic() - began)
        if ahead_s > 0 or found.sent % 50 == 0:
            await asyncio.sleep(max(0.0, ahead_s))
    over = time.monotonic() + patience_s
    while any(s.unanswered for s in stations) and time.monotonic() < over:  # noqa: ASYNC110  # counted, not signalled
        await asyncio.sleep(0.05)
    found.unanswered = sum(s.unanswered for s in stations)
    found.closed = herd.closed[lost:]
    found.missing = [texts.get(message_id, message_id) for s in stations for message_id in (s.wanted - s.heard)][:5]
    return found
