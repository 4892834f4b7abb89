"""A batch becomes rows: decoded, checked and judged by the code that judges them in the core. Pure but for its memory.

    Batch --decode--> PackSample --validation.check--> Checked --> Row (pseudonym, quality, lineage)

The same deriver serves the ingest and a replay; what it remembers of each pack lets it find sensors that are stuck or late.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bms_bridge.contract import PackSample, Rejection, Source, parse
from bms_bridge.lake.schema import Quality, Row, micros, narrowed
from bms_bridge.lake.wire import Batch, Message
from bms_bridge.validation import Checked, Memory, check
from depot.values import PackKey

ITEM_BITS: Final = 12
BATCH_BITS: Final = 24
MOST_SAMPLES: Final = 1 << ITEM_BITS
"""Of one message; what a message holds beyond that is left out."""

_MOST_ALARMS_TEXT = 1_000

Decoder = Callable[[Message], "tuple[list[PackSample], str, str]"]
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
        found = parse(depot_id, message.topic, message.payload, received_at=message.received_at, retained=message.retained)
        return ([], "", "") if isinstance(found, Rejection) else ([found], "pack_telemetry/1", "")

    return decoded


class Deriver:
    """Makes rows. ``decoders``: by the source of messages. ``capacity_of``: Wh of a pack as registered, None: unknown."""

    def __init__(self, key: bytes, decoders: Mapping[str, Decoder], capacity_of: Callable[[PackKey], int | None] = lambda _: None) -> None:
        self.undecoded = 0
        """Messages out of which no sample came."""
        self._key = key
        self._decoders = decoders
        self._capacity_of = capacity_of
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
            if isinstance(item, Message):
                decoder = self._decoders.get(item.source)
                samples, schema, origin = decoder(item) if decoder is not None else ([], "", "")
                self.undecoded += not samples
            else:
                samples, schema, origin = [item.sample], "", item.origin
            for place, sample in enumerate(samples[:MOST_SAMPLES]):
                yield sample.pack, self._row((number << BATCH_BITS) | (index << ITEM_BITS) | place, sample, schema, origin)

    def _row(self, row_id: int, sample: PackSample, schema: str, origin: str) -> Row:
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
            checked.soc, sample.soh, checked.current_a, checked.voltage_v, checked.cell_min_v, checked.cell_max_v, sample.insulation_ohm,
            sample.limit_a, sample.limit_v, sample.uncertainty_c, min(checked.age_s, 3e9), rate,
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
        cells_v=narrowed(sample.cells_v),
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
    )
