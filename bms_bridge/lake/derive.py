"""A batch becomes rows: decoded, checked and judged by the code that judges them in the core. Pure but for its memory.

    Batch --decode--> PackSample --validation.check--> Checked --> Row (pseudonym, quality, lineage)

The same deriver serves the ingest and a replay; what it remembers of each pack lets it find sensors that are stuck or late.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from bms_bridge.contract import PackSample, Rejection, Source, read
from bms_bridge.lake.schema import Quality, Row, micros, narrowed
from bms_bridge.lake.wire import Batch, Frames, Item, Message, Told, encode
from bms_bridge.validation import Checked, Memory, check
from depot.values import PackKey

ITEM_BITS: Final = 12
BATCH_BITS: Final = 24
MOST_SAMPLES: Final = 1 << ITEM_BITS
"""Of one message; what a message holds beyond that is left out."""

PACKED: Final = "pack_telemetry/packed"
FRAMES: Final = "can"
"""The decoder of frames, among those of messages by source."""

_MOST_ALARMS_TEXT = 1_000


class _Head(msgspec.Struct):
    schema: str = ""


_head = msgspec.json.Decoder(_Head)

Decoder = Callable[[Any], "tuple[list[PackSample], str, str]"]
"""The samples of a message, its schema, and by what it was decoded (map and DBC with hashes, or "")."""


def first_id(batch: int) -> int:
    """The smallest row id of a batch."""
    return batch << BATCH_BITS


def batch_of(row_id: int) -> int:
    """The batch of a row."""
    return row_id >> BATCH_BITS


def key_of(secret: bytes) -> bytes:
    """The key of the pseudonyms of a depot with this secret."""
    return hmac.new(secret, b"lake pseudonyms", hashlib.sha256).digest()


def pseudonym(key: bytes, pack: PackKey) -> str:
    """What the pack is called in the lake: the same for ever, and nobody without the key can say which pack it is."""
    return "p" + hmac.new(key, f"{pack.vehicle_id}\0{pack.pack_id}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:20]


def mqtt_decoder(depot_id: str) -> Decoder:
    """Decodes what came over MQTT (docs/telemetry.md)."""

    def decoded(message: Message) -> tuple[list[PackSample], str, str]:
        found = read(depot_id, message.topic, message.payload, received_at=message.received_at, retained=message.retained)
        if isinstance(found, Rejection):
            return [], "", ""
        schema = PACKED if found.packed else _head.decode(message.payload).schema
        return [found.samples[place] for place in message.places if place < len(found.samples)], schema, ""

    return decoded


class Deriver:
    """Makes rows. ``decoders``: by the source of messages. ``capacity_of``: Wh of a pack as registered, None: unknown. ``redact``: a
    text without numbers of vehicles (:mod:`bms_bridge.pseudonym`)."""

    def __init__(
        self,
        key: bytes,
        decoders: Mapping[str, Decoder],
        capacity_of: Callable[[PackKey], int | None] = lambda _: None,
        redact: Callable[[str], str] = str,
    ) -> None:
        self.undecoded = 0
        """Messages out of which no sample came."""
        self._key = key
        self._decoders = decoders
        self._capacity_of = capacity_of
        self.redact = redact
        self._memories: dict[tuple[PackKey, Source], Memory] = {}
        self._names: dict[PackKey, str] = {}

    def name_of(self, pack: PackKey) -> str:
        """The pack's pseudonym."""
        name = self._names.get(pack)
        if name is None:
            name = self._names[pack] = pseudonym(self._key, pack)
        return name

    def rows(self, batch: Batch, number: int) -> Iterator[tuple[PackKey, Row]]:
        """The rows of a batch that the lake counts as ``number``, each with its pack."""
        for index, item in enumerate(batch.items):
            if not isinstance(item, Told):
                samples, schema, origin = self._decoded(item)
                self.undecoded += not samples and isinstance(item, Message)
            else:
                samples, schema, origin = [item.sample], "", item.origin
            for place, sample in enumerate(samples[:MOST_SAMPLES]):
                yield sample.pack, self._row((number << BATCH_BITS) | (index << ITEM_BITS) | place, sample, schema, origin)

    def kept_raw(self, batch: Batch, body: bytes) -> bytes:
        """The batch as it may be kept (``body``: as it came): a message in which a vehicle's number stands is kept as its samples."""
        if all(self._clean(item) for item in batch.items):
            return body
        items: list[Item] = []
        for item in batch.items:
            if self._clean(item):
                items.append(item)
                continue
            samples, _, origin = ([item.sample], "", item.origin) if isinstance(item, Told) else self._decoded(item)
            items += [Told(self._redacted(sample), origin) for sample in samples]
        return encode(Batch(batch.boot, batch.number, items[:MOST_SAMPLES], batch.dropped))

    def _clean(self, item: Item) -> bool:
        if isinstance(item, Told):
            return self._redacted(item.sample) is item.sample
        if isinstance(item, Frames):
            return True  # only frames that the map reads, and it reads no number
        text = item.payload.decode("latin-1")
        return self.redact(text) == text

    def _decoded(self, item: Message | Frames) -> tuple[list[PackSample], str, str]:
        decoder = self._decoders.get(FRAMES if isinstance(item, Frames) else item.source)
        return decoder(item) if decoder is not None else ([], "", "")

    def _redacted(self, sample: PackSample) -> PackSample:
        firmware, alarms = self.redact(sample.firmware), tuple(map(self.redact, sample.alarms))
        return sample if (firmware, alarms) == (sample.firmware, sample.alarms) else replace(sample, firmware=firmware, alarms=alarms)

    def _row(self, row_id: int, sample: PackSample, schema: str, origin: str) -> Row:
        sample = self._redacted(sample)
        key = (sample.pack, sample.source)
        self._memories[key], checked = check(self._memories.get(key) or Memory(), sample)
        return row_of(row_id, self.name_of(sample.pack), sample, checked, schema, origin, self._capacity_of(sample.pack))


def row_of(row_id: int, pack: str, sample: PackSample, checked: Checked, schema: str, origin: str, capacity_wh: int | None) -> Row:
    """The row of a checked sample. Values that cannot be are null in it, with the issue's kind; the message as it came is kept for
    some days (see :mod:`bms_bridge.lake.replay`)."""
    believed = dict(checked.temperatures_c)
    power_w = None if checked.current_a is None or checked.voltage_v is None else checked.current_a * checked.voltage_v
    rate = None if power_w is None or not capacity_wh else power_w / capacity_wh
    numbers = narrowed(
        (
            checked.soc, checked.soh, checked.current_a, checked.voltage_v, checked.cell_min_v, checked.cell_max_v, checked.insulation_ohm,
            checked.limit_a, checked.limit_v, checked.uncertainty_c, min(checked.age_s, 3e9), rate,
        )
    )  # fmt: skip
    soc, soh, current_a, voltage_v, cell_min_v, cell_max_v, insulation_ohm, limit_a, limit_v, uncertainty_c, age_s, c_rate = numbers
    kinds = dict.fromkeys(str(issue.kind) for issue in checked.issues)
    late = checked.late or checked.too_old
    return Row(
        row_id=row_id,
        revision=0,
        pack=pack,
        received_us=micros(sample.received_at),
        reported_us=None if sample.reported_at is None else micros(sample.reported_at),
        age_s=age_s or 0.0,
        quality=Quality.LATE if late else Quality.DOUBTFUL if kinds else Quality.GOOD,
        issues=",".join(kinds),
        source=str(sample.source),
        message_schema=schema,
        origin=origin,
        firmware=sample.firmware,
        sequence=sample.sequence,
        temperatures_c=narrowed([believed.get(number) for number in range(len(sample.temperatures_c))]),
        cells_v=narrowed(checked.cells_v),
        soc=soc,
        soh=soh,
        current_a=current_a,
        voltage_v=voltage_v,
        cell_min_v=cell_min_v,
        cell_max_v=cell_max_v,
        insulation_ohm=insulation_ohm,
        limit_a=limit_a,
        limit_v=limit_v,
        stop=sample.stop,
        alarms=",".join(sample.alarms)[:_MOST_ALARMS_TEXT],
        uncertainty_c=uncertainty_c or 0.0,
        c_rate_per_h=c_rate,
        balancing_a=narrowed(checked.balancing_a),
    )
