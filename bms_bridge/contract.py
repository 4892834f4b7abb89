"""What a vehicle says of a pack on the wire: topic and payload, version by version (docs/telemetry.md).

    chargeyard/v1/{depot_id}/vehicles/{vehicle_id}/packs/{pack_id}/telemetry     {"schema": "pack_telemetry/2", …}
                                                                                 or the packed form (bms_bridge.edge.wire)

Parsing is strict: a payload that is not exactly of its schema is refused whole, with a reason that its sender can act on.
What is refused is counted and the newest of it kept. Whether numbers are believable is :mod:`bms_bridge.validation`'s.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

from bms_bridge import InvalidTelemetry
from bms_bridge.edge import WireError, wire
from depot.values import PackKey

SCHEMA_1: Final = "pack_telemetry/1"
SCHEMA: Final = "pack_telemetry/2"
MOST_BYTES: Final = wire.MOST_BYTES
MOST_SENSORS: Final = 64
MOST_CELLS: Final = 1_024
MOST_ALARMS: Final = 32
MOST_FIRMWARE: Final = 48
KEPT_REJECTIONS: Final = 200
VALUE_EVERY: Final = timedelta(minutes=1)
_MOST_VALUES = 10_000
_EXCERPT_BYTES = 256

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOPIC = re.compile(rf"chargeyard/v1/(?P<depot>{_ID.pattern})/vehicles/(?P<vehicle>{_ID.pattern})/packs/(?P<pack>{_ID.pattern})/telemetry")

AlarmCode = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,47}\Z")]
FirmwareText = Annotated[str, msgspec.Meta(pattern=rf"\A[ -~]{{0,{MOST_FIRMWARE}}}\Z")]
BootNumber = Annotated[int, msgspec.Meta(ge=0, le=wire.MOST_BOOT)]
SequenceNumber = Annotated[int, msgspec.Meta(ge=0, le=wire.MOST_SEQUENCE)]


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
    the same way; ``balancing_a``: what balancing takes from each cell now (A, 0: nothing).
    ``insulation_ohm``: between the traction circuit and the chassis. ``limit_a``, ``limit_v``: the most that the
    battery management system allows for charging now; ``stop``: it demands that charging ends. ``alarms``: flags that are
    raised now. ``firmware``: of the unit that speaks. ``sequence``: its own count of samples over all its starts, growing (see
    :func:`numbered`). ``retained``: the broker or the unit had kept it; it says how things were. ``uncertainty_c``: how much
    hotter the pack may be than it says.
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
    balancing_a: tuple[float | None, ...] = ()
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


@dataclass(frozen=True, slots=True)
class Message:
    """What came in one message: ``samples`` of one pack, in its unit's order, at least one. ``dropped``: so many more the unit
    had to give up for want of room. ``packed``: it came in the compact form."""

    samples: tuple[PackSample, ...]
    dropped: int = 0
    packed: bool = False


class RejectReason(StrEnum):
    """Why a message was refused whole; ``value``: one value of it was left out."""

    TOPIC = "topic"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    NOT_PACKED = "not_packed"
    UNKNOWN_SCHEMA = "unknown_schema"
    SHAPE = "shape"
    UNKNOWN_PACK = "unknown_pack"
    TOO_OLD = "too_old"
    NOT_ALLOWED = "not_allowed"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refused message, or a value that was left out. ``text`` says what to change; ``excerpt`` is the beginning of what came, made
    printable. ``pack``, ``source``: as far as they are known; ``field``: the value's name."""

    reason: RejectReason
    text: str
    topic: str
    excerpt: str
    received_at: datetime
    pack: PackKey | None = None
    source: Source | None = None
    field: str = ""


class RejectionLog:
    """Counts all refused messages by reason and keeps the newest :data:`KEPT_REJECTIONS`; of values that were left out one a
    minute for each pack and field. ``keep``: told of each that is kept, to put it on a disk; must return at once."""

    def __init__(self) -> None:
        self.counts: Counter[RejectReason] = Counter()
        self.newest: deque[Rejection] = deque(maxlen=KEPT_REJECTIONS)
        self.keep: Callable[[Rejection], None] = lambda _: None
        self._values: dict[tuple[PackKey | None, str], datetime] = {}

    def add(self, rejection: Rejection) -> None:
        self.counts[rejection.reason] += 1
        if rejection.reason is RejectReason.VALUE and not self._due(rejection):
            return
        self.newest.append(rejection)
        self.keep(rejection)

    def _due(self, rejection: Rejection) -> bool:
        key = (rejection.pack, rejection.field)
        last = self._values.get(key)
        if last is not None and abs(rejection.received_at - last) < VALUE_EVERY:
            return False
        if len(self._values) >= _MOST_VALUES:
            self._values.clear()
        self._values[key] = rejection.received_at
        return True


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


class TelemetryV2(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``pack_telemetry/2`` as it stands on the wire."""

    schema: Literal["pack_telemetry/2"]
    reported_at: Annotated[datetime, msgspec.Meta(tz=True)]
    temperatures_c: Annotated[list[float | None], msgspec.Meta(max_length=MOST_SENSORS)]
    cells_v: Annotated[list[float | None], msgspec.Meta(max_length=MOST_CELLS)] = []
    balancing_a: Annotated[list[float | None], msgspec.Meta(max_length=MOST_CELLS)] = []
    soc: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    cell_min_v: float | None = None
    cell_max_v: float | None = None
    insulation_ohm: float | None = None
    limit_a: float | None = None
    limit_v: float | None = None
    stop: bool = False
    soh: float | None = None
    alarms: Annotated[list[AlarmCode], msgspec.Meta(max_length=MOST_ALARMS)] = []
    firmware: FirmwareText = ""
    boot: BootNumber | None = None
    sequence: SequenceNumber | None = None
    history: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError: a count without the start that it belongs to would begin anew with each of them."""
        if (self.boot is None) != (self.sequence is None):
            raise ValueError("boot and sequence belong together")


_head = msgspec.json.Decoder(_Head)
_v1 = msgspec.json.Decoder(TelemetryV1)
_v2 = msgspec.json.Decoder(TelemetryV2)


def numbered(boot: int, sequence: int) -> int:
    """The count of a unit over all its starts: greater than any before, less than 2^63."""
    return boot << 31 | sequence


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


def addressed(depot_id: str, topic: str) -> PackKey | None:
    """Whose telemetry goes to ``topic``; None where it is no such topic of this depot."""
    match = _TOPIC.fullmatch(topic)
    return None if match is None or match["depot"] != depot_id else PackKey(match["vehicle"], match["pack"])


def parse(depot_id: str, topic: str, payload: bytes, *, received_at: datetime, retained: bool = False) -> PackSample | Rejection:
    """The newest sample in a message, or why it is refused. Raises nothing, whatever came."""
    found = read(depot_id, topic, payload, received_at=received_at, retained=retained)
    return found if isinstance(found, Rejection) else found.samples[-1]


def read(depot_id: str, topic: str, payload: bytes, *, received_at: datetime, retained: bool = False) -> Message | Rejection:
    """All samples in a message, or why it is refused. Raises nothing, whatever came."""
    pack = addressed(depot_id, topic)
    if pack is None:
        text = f"the topic must be {topics_of_all(depot_id)}, with the vehicle's and the pack's id"
        return Rejection(RejectReason.TOPIC, text, topic[:_EXCERPT_BYTES], _excerpt(payload), received_at)
    found = message_of(pack, payload, source=Source.MQTT, received_at=received_at, retained=retained)
    if isinstance(found, Message):
        return found
    reason, text = found
    return Rejection(reason, text, topic[:_EXCERPT_BYTES], _excerpt(payload), received_at)


def message_of(
    pack: PackKey, payload: bytes, *, source: Source, received_at: datetime, retained: bool = False
) -> Message | tuple[RejectReason, str]:
    """All samples of ``pack`` in a payload of any known version, by whatever way it came; or why it is refused, in words that its
    sender can act on. Raises nothing, whatever came."""
    if len(payload) > MOST_BYTES:
        return RejectReason.TOO_LARGE, f"{len(payload)} bytes; a message has at most {MOST_BYTES}"
    if wire.is_packed(payload):
        try:
            return _unpacked(pack, wire.decode(payload), source, received_at, retained)
        except WireError as error:
            return RejectReason.NOT_PACKED, f"not a packed message: {error}"
    try:
        schema = _head.decode(payload).schema
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return RejectReason.NOT_JSON, f"no JSON object with a schema: {error}"
    if schema not in (SCHEMA_1, SCHEMA):
        return RejectReason.UNKNOWN_SCHEMA, f"schema {schema[:40]!r} is not known; send {SCHEMA}"
    try:
        if schema == SCHEMA_1:
            return Message((_sample_1(pack, _v1.decode(payload), source, received_at, retained),))
        return Message((_sample_2(pack, _v2.decode(payload), source, received_at, retained),))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
        return RejectReason.SHAPE, f"not a {schema}: {error}"


def _sample_1(pack: PackKey, said: TelemetryV1, source: Source, received_at: datetime, retained: bool) -> PackSample:
    return PackSample(
        pack=pack,
        source=source,
        received_at=received_at,
        reported_at=said.reported_at.astimezone(UTC),
        temperatures_c=tuple(said.temperatures_c),
        soc=said.soc,
        current_a=said.current_a,
        voltage_v=said.voltage_v,
        cell_min_v=said.cell_min_v,
        cell_max_v=said.cell_max_v,
        alarms=tuple(dict.fromkeys(said.alarms)),
        retained=retained,
    )


def _sample_2(pack: PackKey, said: TelemetryV2, source: Source, received_at: datetime, retained: bool) -> PackSample:
    return PackSample(
        pack=pack,
        source=source,
        received_at=received_at,
        reported_at=said.reported_at.astimezone(UTC),
        temperatures_c=tuple(said.temperatures_c),
        soc=said.soc,
        current_a=said.current_a,
        voltage_v=said.voltage_v,
        cell_min_v=said.cell_min_v,
        cell_max_v=said.cell_max_v,
        cells_v=tuple(said.cells_v),
        balancing_a=tuple(said.balancing_a),
        insulation_ohm=said.insulation_ohm,
        limit_a=said.limit_a,
        limit_v=said.limit_v,
        stop=said.stop,
        soh=said.soh,
        alarms=tuple(dict.fromkeys(said.alarms)),
        firmware=said.firmware,
        sequence=None if said.boot is None or said.sequence is None else numbered(said.boot, said.sequence),
        retained=retained or said.history,
    )


def _unpacked(pack: PackKey, block: wire.Block, source: Source, received_at: datetime, retained: bool) -> Message:
    samples = tuple(
        PackSample(
            pack=pack,
            source=source,
            received_at=received_at,
            reported_at=datetime.fromtimestamp(said.at_ms / 1000, UTC),
            temperatures_c=said.temperatures_c,
            soc=said.soc,
            current_a=said.current_a,
            voltage_v=said.voltage_v,
            cell_min_v=said.cell_min_v,
            cell_max_v=said.cell_max_v,
            cells_v=said.cells_v,
            balancing_a=said.balancing_a,
            insulation_ohm=said.insulation_ohm,
            limit_a=said.limit_a,
            limit_v=said.limit_v,
            stop=said.stop,
            soh=said.soh,
            alarms=said.alarms,
            firmware=block.firmware,
            sequence=numbered(block.boot, sequence),
            retained=retained or block.history,
        )
        for sequence, said in block.readings()
    )
    return Message(samples, block.dropped, packed=True)


def _excerpt(payload: bytes) -> str:
    return payload[:_EXCERPT_BYTES].decode("utf-8", "backslashreplace")
