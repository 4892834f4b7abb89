"""Wrong Modbus frames and wrong limits for the limit server, and whether a stream of them gets stuck.

    mutants(random, 10_000, trusted_w=…, contract_w=…) --attack(port, …)--> Outcome

What a mutant asks must never raise the limit above ``trusted_w``: either no server can take it for a command, or its limit
is one that a depot cannot have (1000 times too high, words swapped, a float, NaN, a negative number). Frames that happen to
say something that is allowed and higher are left out (:func:`lawful_raise`): nobody could tell them from a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

FIRST, ENABLED, REVERTS, LIMIT, REVERSION, FAILSAFE, LAST = 40188, 40188, 40189, 40190, 40192, 40206, 40210
CMD_SEQ = 40204
PROBE = struct.pack(">HHHBBHH", 0x5AFE, 0, 6, 1, 3, 40000, 2)
PROBED = struct.pack(">HHHBBB", 0x5AFE, 0, 7, 1, 3, 4) + b"SunS"
STUCK_S = 8.0
"""After so long without an answer or an end a connection is stuck: longer than the server lets a frame take."""

HASTE_S = 0.25
"""So long it is waited before zeros are sent after a mutant that may be the beginning of a longer frame."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """Bytes to send, and what they are."""

    kind: str
    data: bytes


@dataclass(slots=True)
class Outcome:
    """What became of them. ``stuck``: neither an answer nor an end."""

    sent: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    closed: int = 0
    stuck: list[Mutant] = field(default_factory=list)


def frame(pdu: bytes, *, unit: int = 1, transaction: int = 1, protocol: int = 0, length: int | None = None) -> bytes:
    """A frame; ``length`` lies where it is given."""
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1 if length is None else length, unit) + pdu


def block(words32: dict[int, int], seq: int, *, beat: int, enabled: int = 1) -> bytes:
    """One FC16 of the 17 registers from WLimEna to CmdSeq. ``words32``: LIMIT and REVERSION, W."""
    words = [enabled, 1]
    for value in (words32.get(LIMIT, 0xFFFFFFFF), words32.get(REVERSION, 0xFFFFFFFF), 0, 0):
        words += [value >> 16 & 0xFFFF, value & 0xFFFF]
    words += [0, 1, beat >> 16 & 0xFFFF, beat & 0xFFFF, 0, 42, seq]
    return struct.pack(">BHHB17H", 16, FIRST, 17, 34, *words)


def wrong_values(value_w: int) -> dict[str, int]:
    """A limit as masters get it wrong, in 32 bits."""
    as_float = struct.unpack(">I", struct.pack(">f", float(value_w)))[0]
    return {
        "x1000": min(value_w * 1000, 0xFFFF_FFFE),
        "swapped words": (value_w & 0xFFFF) << 16 | value_w >> 16,
        "swapped bytes": int.from_bytes(value_w.to_bytes(4, "big"), "little"),
        "float": as_float,
        "float, words swapped": (as_float & 0xFFFF) << 16 | as_float >> 16,
        "NaN": 0x7FC0_0000,
        "negative": (-value_w) & 0xFFFF_FFFF,
        "not implemented": 0xFFFF_FFFF,
        "not implemented, signed": 0x8000_0000,
        "most": 0xFFFF_FFFE,
    }


def writes_of(data: bytes) -> Iterator[tuple[int, list[int]]]:
    """What the well-formed write at the beginning of ``data`` writes: address and words."""
    if len(data) < 8:
        return
    _, protocol, length, _, function = struct.unpack_from(">HHHBB", data)
    body = data[8 : 6 + length]
    if protocol or len(data) < 6 + length:
        return
    with contextlib.suppress(struct.error):
        if function == 6:
            address, word = struct.unpack(">HH", body)
            yield address, [word]
        elif function in (16, 23):
            address, count, size = struct.unpack_from(">HHB", body, 4 if function == 23 else 0)
            words = body[9 if function == 23 else 5 :]
            if size == 2 * count == len(words):
                yield address, list(struct.unpack(f">{count}H", words))


def lawful_raise(data: bytes, *, trusted_w: int, contract_w: int) -> bool:
    """Whether one of the frames in ``data`` says something that may raise the limit by right, now or with a later one. Frames are
    looked for at every byte: a stream of mutants may be out of step."""
    for start in range(len(data)):
        for address, words in writes_of(data[start:]):
            at = {address + n: word for n, word in enumerate(words)}
            if at.get(ENABLED) == 0 or at.get(REVERTS) == 0:
                return True
            for point in (LIMIT, REVERSION, FAILSAFE):
                if point in at and point + 1 in at and trusted_w < (at[point] << 16 | at[point + 1]) <= 2 * contract_w:
                    return True
    return False


def mutants(rng: random.Random, count: int, *, trusted_w: int, contract_w: int) -> Iterator[Mutant]:
    """``count`` mutants. Half of them are wrong limits in well-formed commands, half are wrong frames."""
    seq, done = 0, 0
    while done < count:
        seq = seq % 65_000 + 1
        mutant = _value(rng, seq, trusted_w) if rng.random() < 0.5 else _wire(rng, seq, trusted_w)
        if not lawful_raise(mutant.data, trusted_w=trusted_w, contract_w=contract_w):
            done += 1
            yield mutant


def _value(rng: random.Random, seq: int, trusted_w: int) -> Mutant:
    name, value = rng.choice(list(wrong_values(rng.randrange(trusted_w // 4, trusted_w)).items()))
    point = rng.choice((LIMIT, LIMIT, LIMIT, REVERSION, FAILSAFE))
    beat = rng.getrandbits(32)
    if point == FAILSAFE:
        words = struct.pack(">BHHBHH", 16, FAILSAFE, 2, 4, value >> 16, value & 0xFFFF)
        return Mutant(f"fail-safe {name}", frame(words) + frame(struct.pack(">BHH", 6, CMD_SEQ, seq)))
    whole = {LIMIT: trusted_w, REVERSION: trusted_w // 2} | {point: value}
    if rng.random() < 0.3:  # staged, then committed
        words = struct.pack(">BHHBHH", 16, point, 2, 4, value >> 16, value & 0xFFFF)
        return Mutant(f"staged {name}", frame(words) + frame(struct.pack(">BHH", 6, CMD_SEQ, seq)))
    return Mutant(name, frame(block(whole, seq, beat=beat)))


def _wire(rng: random.Random, seq: int, trusted_w: int) -> Mutant:
    good = frame(block({LIMIT: trusted_w, REVERSION: trusted_w // 2}, seq, beat=rng.getrandbits(32)), transaction=rng.getrandbits(16))
    kind = rng.choice(("flipped", "cut", "longer", "noise", "length", "protocol", "function", "unit", "half", "read-only", "spliced"))
    match kind:
        case "flipped":
            data = bytearray(good)
            for _ in range(rng.randint(1, 6)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return Mutant(kind, bytes(data))
        case "cut":
            return Mutant(kind, good[: rng.randrange(1, len(good))])
        case "longer":
            return Mutant(kind, good + rng.randbytes(rng.randrange(1, 40)))
        case "noise":
            return Mutant(kind, rng.randbytes(rng.randrange(1, 300)))
        case "length":
            return Mutant(kind, frame(good[7:], length=rng.choice((0, 1, 2, 3, 20, 254, 255, 256, 0xFFFF))))
        case "protocol":
            return Mutant(kind, frame(good[7:], protocol=rng.randrange(1, 65_536)))
        case "function":
            return Mutant(kind, frame(bytes((rng.choice((0, 1, 2, 4, 5, 8, 15, 20, 22, 24, 43, 0x83, 0x90, 0xFF)),)) + good[8:]))
        case "unit":
            return Mutant(kind, frame(good[7:], unit=rng.choice((0, 2, 17, 100, 247, 254))))
        case "half":
            address = rng.choice((LIMIT, LIMIT + 1, REVERSION, REVERSION + 1, FAILSAFE, FAILSAFE + 1))
            return Mutant(kind, frame(struct.pack(">BHH", 6, address, rng.getrandbits(16))))
        case "read-only":
            return Mutant(kind, frame(struct.pack(">BHHBH", 16, rng.randrange(LAST + 2, 40252), 1, 2, rng.getrandbits(16))))
        case _:
            cut = rng.randrange(1, len(good))
            return Mutant(kind, good[:cut] + good[rng.randrange(len(good)) :])


async def attack(port: int, sent: Iterator[Mutant], *, source: str = "127.0.0.1") -> Outcome:
    """Send them one by one on a connection that is made anew when it ends; each is followed by a probe, which must be
    answered or find the connection closed."""
    found = Outcome()
    link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for mutant in sent:
        if link is None:
            link = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        found.sent[mutant.kind] += 1
        if not await _survives(*link, mutant, found):
            link[1].transport.abort()
            link = None
    if link is not None:
        link[1].transport.abort()
    return found


async def _survives(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mutant: Mutant, found: Outcome) -> bool:
    """Send one and its probe; whether the connection goes on. Notes what came of it."""
    came, pushed = bytearray(), False
    try:
        writer.write(mutant.data + PROBE)
        while not came.endswith(PROBED):
            try:
                async with asyncio.timeout(STUCK_S if pushed else HASTE_S):
                    data = await reader.read(4096)
            except TimeoutError:
                if pushed:
                    raise
                writer.write(bytes(300))  # zeros end whatever frame is waited for, and are no Modbus
                pushed = True
                continue
            if not data:
                found.closed += 1
                return False
            came += data
    except TimeoutError:
        found.stuck.append(mutant)
        return False
    except OSError:
        found.closed += 1
        return False
    finally:
        if len(came) >= 9 and came[7] & 0x80:
            found.refused[came[8]] += 1
    found.answered += 1
    return not pushed
