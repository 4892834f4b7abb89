"""What a vehicle says of a pack on the wire: topic and JSON payload, version by version (docs/telemetry.md).

    chargeyard/v1/{depot_id}/vehicles/{vehicle_id}/packs/{pack_id}/telemetry     {"schema": "pack_telemetry/1", …}

Parsing is strict: a payload that is not exactly of its schema is refused whole, with a reason that its sender can act on.
What is refused is counted and the newest of it kept. Whether numbers are believable is :mod:`bms_bridge.validation`'s.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

from bms_bridge import InvalidTelemetry
from depot.values import PackKey

SCHEMA: Final = "pack_telemetry/1"
MOST_BYTES: Final = 16_384
MOST_SENSORS: Final = 64
MOST_ALARMS: Final = 32
KEPT_REJECTIONS: Final = 200
_EXCERPT_BYTES = 256

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOPIC = re.compile(rf"chargeyard/v1/(?P<depot>{_ID.pattern})/vehicles/(?P<vehicle>{_ID.pattern})/packs/(?P<pack>{_ID.pattern})/telemetry")

AlarmCode = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,47}\Z")]


class Source(StrEnum):
    """Where a sample comes from: the vehicle's own unit by one way or another, what a charger was told by it (``ocpp``), what
    was overheard on the charging line (``gbt``), or a drill's synthetic pack."""

    MQTT = "mqtt"
    CAN = "can"
    HTTP = "http"
    GBT = "gbt"
    OCPP = "ocpp"
    DRILL = "drill"


OWN_UNIT: Final = frozenset({Source.MQTT, Source.CAN, Source.HTTP, Source.DRILL})
"""The pack's own unit speaks, sensor by sensor: only of these the sensors are counted and their rise is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSample:
    """What was said of one pack at one moment, in °C, fractions, V and A (charging positive); None: not said.

    ``temperatures_c``: by sensor, always in the same order; None: the sensor says that it has no value. ``cells_v``: by cell,
    the same way. ``insulation_ohm``: between the traction circuit and the chassis. ``limit_a``, ``limit_v``: the most that the
    battery management system allows for charging now; ``stop``: it demands that charging ends. ``alarms``: flags that are
    raised now. ``firmware``: of the unit that speaks. ``sequence``: its own count of samples. ``retained``: the broker had kept
    it; it may be old. ``uncertainty_c``: how much hotter the pack may be than it says.
    """

    pack: PackKey
    source: Source
    received_at: datetime
    reported_at: datetime | None
    temperatures_c: tuple[float | None, ...] = ()
    soc: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    cell_min_v: float | None = None
    cell_max_v: float | None = None
    cells_v: tuple[float | None, ...] = ()
    insulation_ohm: float | None = None
    limit_a: float | None = None
    limit_v: float | None = None
    stop: bool = False
    soh: float | None = None
    alarms: tuple[str, ...] = ()
    firmware: str = ""
    sequence: int | None = None
    retained: bool = False
    uncertainty_c: float = 0.0


class RejectReason(StrEnum):
    """Why a message was refused whole."""

    TOPIC = "topic"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    UNKNOWN_SCHEMA = "unknown_schema"
    SHAPE = "shape"
    UNKNOWN_PACK = "unknown_pack"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refused message. ``text`` says what to change; ``excerpt`` is the beginning of what came, made printable."""

    reason: RejectReason
    text: str
    topic: str
    excerpt: str
    received_at: datetime


class RejectionLog:
    """Counts all refused messages by reason and keeps the newest :data:`KEPT_REJECTIONS`."""

    def __init__(self) -> None:
        self.counts: Counter[RejectReason] = Counter()
        self.newest: deque[Rejection] = deque(maxlen=KEPT_REJECTIONS)

    def add(self, rejection: Rejection) -> None:
        self.counts[rejection.reason] += 1
        self.newest.append(rejection)


class _Head(msgspec.Struct):
    schema: str = ""


class TelemetryV1(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``pack_telemetry/1`` as it stands on the wire."""

    schema: Literal["pack_telemetry/1"]
    reported_at: Annotated[datetime, msgspec.Meta(tz=True)]
    temperatures_c: Annotated[list[float | None], msgspec.Meta(max_length=MOST_SENSORS)]
    soc: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    cell_min_v: float | None = None
    cell_max_v: float | None = None
    alarms: Annotated[list[AlarmCode], msgspec.Meta(max_length=MOST_ALARMS)] = []


_head = msgspec.json.Decoder(_Head)
_v1 = msgspec.json.Decoder(TelemetryV1)


def topic_of(depot_id: str, pack: PackKey) -> str:
    """Where the pack's telemetry goes. Raises :class:`~bms_bridge.InvalidTelemetry` for an id that no topic can hold."""
    for name in (depot_id, *pack):
        if not _ID.fullmatch(name):
            raise InvalidTelemetry(
                f"{name!r} cannot be part of a topic: use letters, digits, '.', '_' and '-', at most 64, a letter or digit first"
            )
    return f"chargeyard/v1/{depot_id}/vehicles/{pack.vehicle_id}/packs/{pack.pack_id}/telemetry"


def topics_of_all(depot_id: str) -> str:
    """The filter that a depot's controller subscribes to."""
    if not _ID.fullmatch(depot_id):
        raise InvalidTelemetry(f"depot id {depot_id!r} cannot be part of a topic")
    return f"chargeyard/v1/{depot_id}/vehicles/+/packs/+/telemetry"


def parse(depot_id: str, topic: str, payload: bytes, *, received_at: datetime, retained: bool = False) -> PackSample | Rejection:
    """The sample in a message, or why it is refused. Raises nothing, whatever came."""

    def refused(reason: RejectReason, text: str) -> Rejection:
        excerpt = payload[:_EXCERPT_BYTES].decode("utf-8", "backslashreplace")
        return Rejection(reason, text, topic[:_EXCERPT_BYTES], excerpt, received_at)

    match = _TOPIC.fullmatch(topic)
    if match is None or match["depot"] != depot_id:
        return refused(RejectReason.TOPIC, f"the topic must be {topics_of_all(depot_id)}, with the vehicle's and the pack's id")
    if len(payload) > MOST_BYTES:
        return refused(RejectReason.TOO_LARGE, f"{len(payload)} bytes; a sample has at most {MOST_BYTES}")
    try:
        schema = _head.decode(payload).schema
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return refused(RejectReason.NOT_JSON, f"no JSON object with a schema: {error}")
    if schema != SCHEMA:
        return refused(RejectReason.UNKNOWN_SCHEMA, f"schema {schema[:40]!r} is not known; send {SCHEMA}")
    try:
        wire = _v1.decode(payload)
        reported_at = wire.reported_at.astimezone(UTC)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
        return refused(RejectReason.SHAPE, f"not a {SCHEMA}: {error}")
    return PackSample(
        pack=PackKey(match["vehicle"], match["pack"]),
        source=Source.MQTT,
        received_at=received_at,
        reported_at=reported_at,
        temperatures_c=tuple(wire.temperatures_c),
        soc=wire.soc,
        current_a=wire.current_a,
        voltage_v=wire.voltage_v,
        cell_min_v=wire.cell_min_v,
        cell_max_v=wire.cell_max_v,
        alarms=tuple(dict.fromkeys(wire.alarms)),
        retained=retained,
    )
