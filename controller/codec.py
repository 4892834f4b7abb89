"""Facts and states as bytes. Events are JSON for people and for ever; snapshots are compact and for this code only.

    Event --encode_event--> JSON text --decode_event (upcast to today's shape)--> Event

A released shape is never changed. A new one gets a new class with ``VERSION`` + 1 in ``depot.events`` and an
upcaster here, which takes the old JSON object and returns the next version's.

    CodecError
    ├── NotEncodable      a fact that would not come back from its bytes; refused before it is stored
    └── NotDecodable      bytes that are no fact (damaged, or written by a newer version)
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any

import msgspec

import depot.ageing
import depot.alarms
import depot.assets
import depot.battery_swaps
import depot.contracts
import depot.customer_information
import depot.demand_book
import depot.der
import depot.device_model
import depot.display_messages
import depot.emergency
import depot.emergency_facts
import depot.events
import depot.files
import depot.fleet
import depot.fold
import depot.limit_book
import depot.limit_facts
import depot.local_lists
import depot.network_profiles
import depot.notes
import depot.outputs
import depot.plan_policy
import depot.reference_tests
import depot.registry
import depot.reservations
import depot.security
import depot.smart_charging
import depot.state
import depot.station_tariffs
import depot.tokens
import depot.value_assumptions
import depot.values
import depot.wanted
from depot.events import EVENT_TYPES, Event
from depot.state import DepotState
from depot.values import DepotError

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("station.capability_probed", 1): lambda old: old,  # what version 2 asks more of a station was not known: None
    ("reservation.reservation_asked", 1): lambda old: old,  # 2: with ``connector_type``, which nobody could ask for
    ("connector.status_changed", 1): lambda raw: raw,  # 2: with ``detail``, which was not kept before
    ("security.certificate_issued", 1): lambda raw: raw,  # 2: with ``use``; before, all were for stations themselves
    ("token.id_token_listed", 1): lambda raw: {"token": _of_any_type(raw["token"])},
}
"""(type, version on disk) → a function to the next version."""

DIGEST_BYTES = 16


class CodecError(Exception):
    """Root of this module's errors."""


class NotEncodable(CodecError):
    """A fact that would not come back from its bytes."""


class NotDecodable(CodecError):
    """Bytes that are no fact."""


class EventCodec:
    """Translates events of the given types. ``types`` and ``upcasters`` are parameters for tests of old shapes."""

    def __init__(self, types: Mapping[str, type[Event]] = EVENT_TYPES, upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS) -> None:
        self._types = types
        self._upcasters = upcasters
        self._encoder = msgspec.json.Encoder()
        self._decoders = {name: msgspec.json.Decoder(kind) for name, kind in types.items()}

    def encode(self, event: Event) -> bytes:
        """JSON of ``event``. Raises :class:`NotEncodable` for a type that is not registered or a value without JSON."""
        if self._types.get(event.TYPE) is not type(event):
            raise NotEncodable(f"{type(event).__name__} ({event.TYPE!r}) is not in depot.events.EVENT_TYPES")
        try:
            return self._encoder.encode(event)
        except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
            raise NotEncodable(f"{event.TYPE}: {error}") from error

    def decode(self, type_: str, version: int, data: bytes | str) -> Event:
        """The fact in today's shape. Raises :class:`NotDecodable` with the reason."""
        kind = self._types.get(type_)
        if kind is None:
            raise NotDecodable(f"its type {type_!r} is unknown; was it written by a newer version?")
        if version > kind.VERSION:
            raise NotDecodable(f"its version {version} of {type_} is newer than ours ({kind.VERSION}): run the newer Chargeyard")
        try:
            if version == kind.VERSION:
                return self._decoders[type_].decode(data)
            return msgspec.convert(self._upcast(type_, version, kind.VERSION, data), kind)
        except (ValueError, TypeError, LookupError, RecursionError, msgspec.MsgspecError, DepotError) as error:
            raise NotDecodable(f"its data do not fit {type_} version {version}: {error}") from error

    def _upcast(self, type_: str, version: int, wanted: int, data: bytes | str) -> dict[str, Any]:
        raw = msgspec.json.decode(data, type=dict[str, Any])
        for v in range(version, wanted):
            step = self._upcasters.get((type_, v))
            if step is None:
                raise NotDecodable(f"there is no upcaster for {type_} version {v}")
            raw = step(raw)
        return raw


def _of_any_type(token: dict[str, Any]) -> dict[str, Any]:
    """Version 1 wrote a card's type where nobody had said one, and did not look at it: the token counts whatever its type."""
    return {**token, "type": "" if token.get("type") == "ISO14443" else token.get("type", "")}


def iso(at: datetime) -> str:
    """``2026-03-29T18:30:00.000Z``: UTC, milliseconds (cut, not rounded), sorts as it reads."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_ms(at: datetime) -> datetime:
    """``at`` in UTC, as precise as it is stored. Refuses a time without a zone."""
    if at.tzinfo is None:
        raise NotEncodable(f"{at.isoformat()} has no time zone; the journal keeps aware UTC times")
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


class Ids:
    """UUIDv7 (RFC 9562 §5.7) over the injected time: sortable by age. ``seed``: repeatable ones, for virtual runs."""

    def __init__(self, seed: int | None = None) -> None:
        self._bits: Callable[[int], int] = secrets.randbits if seed is None else Random(seed).getrandbits  # noqa: S311  # not secrets

    def uuid7(self, at: datetime) -> str:
        """A new id that carries ``at`` in milliseconds."""
        value = (int(at.timestamp() * 1000) & (1 << 48) - 1) << 80 | 7 << 76 | self._bits(12) << 64 | 2 << 62 | self._bits(62)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def chain_digest(before: bytes, columns: Sequence[str | int | None]) -> bytes:
    """The chain's next value: over the value before, and every column of the row as it is stored."""
    return blake2b(before + msgspec.json.encode(columns), digest_size=DIGEST_BYTES).digest()


def state_digest(shape: str, seq: int, events_digest: bytes, state: bytes) -> bytes:
    """What a snapshot must carry to be believed."""
    return blake2b(f"{shape}/{seq}/".encode() + events_digest + state, digest_size=DIGEST_BYTES).digest()


def encode_state(state: DepotState) -> bytes:
    """A snapshot's bytes (MessagePack: its maps may have connectors as keys)."""
    return msgspec.msgpack.encode(state)


def decode_state(data: bytes) -> DepotState:
    """The state of a snapshot. Raises :class:`NotDecodable`."""
    try:
        return msgspec.msgpack.decode(data, type=DepotState)
    except (ValueError, TypeError, msgspec.MsgspecError, DepotError) as error:
        raise NotDecodable(f"its state does not fit: {error}") from error


@cache
def state_shape() -> str:
    """Names the code that folds. A snapshot that other code has folded is not used: folding is repeated instead."""
    digest = blake2b(digest_size=8)
    for module in (
        depot.values, depot.ageing, depot.alarms, depot.assets, depot.battery_swaps, depot.contracts, depot.customer_information, depot.der,
        depot.device_model,
        depot.display_messages, depot.emergency, depot.emergency_facts,
        depot.files, depot.fleet, depot.demand_book, depot.limit_book, depot.limit_facts, depot.local_lists,
        depot.network_profiles, depot.notes, depot.outputs, depot.plan_policy,
        depot.reference_tests,
        depot.registry, depot.reservations, depot.security, depot.smart_charging, depot.station_tariffs, depot.tokens,
        depot.value_assumptions, depot.wanted,
        depot.state,
    ):  # fmt: skip
        assert module.__file__ is not None
        digest.update(Path(module.__file__).read_bytes())
    folders = [*depot.events.__path__, *depot.fold.__path__]
    for path in sorted(path for folder in folders for path in Path(folder).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
