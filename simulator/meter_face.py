"""Where a simulated meter keeps its values, and how they lie in its registers: the other side of a meter map.

Read here from the map's file on its own terms, without the controller's reader: what is tested does not test itself.
"""

from __future__ import annotations

import math
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_CODES = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f", "int64": "q", "uint64": "Q", "float64": "d",
}  # fmt: skip
_BASE_UNITS = ("W", "VA", "var", "V", "A", "Hz", "Wh", "VAh", "1", "min")
_PREFIXES = {"k": 1000.0, "M": 1_000_000.0, "m": 0.001}


@dataclass(frozen=True, slots=True)
class Slot:
    """One value's registers. ``count_worth``: what one count is worth in W, V, A, Hz, Wh ..."""

    function: int
    address: int
    kind: str
    low_word_first: bool
    low_byte_first: bool
    count_worth: float

    @property
    def registers(self) -> int:
        """How many it takes."""
        return struct.calcsize(_CODES[self.kind]) // 2

    def encoded(self, value: float) -> list[int]:
        """The registers as the meter sends them. No number: NaN, or the lowest count where it has no NaN; too much: the most."""
        count = value / self.count_worth
        code = _CODES[self.kind]
        if code in "fd":
            packed = struct.pack(f">{code}", max(-3.4e38, min(3.4e38, count)) if math.isfinite(count) else count)
        else:
            bits = 8 * struct.calcsize(code)
            least, most = (0, (1 << bits) - 1) if code.isupper() else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
            packed = struct.pack(f">{code}", max(least, min(most, round(count))) if math.isfinite(count) else (least or most))
        words = [int.from_bytes(packed[n : n + 2], "little" if self.low_byte_first else "big") for n in range(0, len(packed), 2)]
        return words[::-1] if self.low_word_first else words


@dataclass(frozen=True, slots=True)
class MeterFace:
    """All slots by the names that maps use (``power``, ``voltage_l1`` ...)."""

    slots: Mapping[str, Slot]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The face of a map file that is known to be right."""
        return cls.of(tomllib.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """The same from the file's tables."""
        return cls({name: _slot(row, table) for name, row in table["values"].items()})

    @property
    def span(self) -> tuple[int, int]:
        """The first address and the one behind the last."""
        return min(s.address for s in self.slots.values()), max(s.address + s.registers for s in self.slots.values())


def _slot(row: Mapping[str, Any], table: Mapping[str, Any]) -> Slot:
    unit = row["unit"]
    worth = 1.0 if unit in _BASE_UNITS else _PREFIXES[unit[0]]
    return Slot(
        function={"holding": 3, "input": 4}[row.get("table", table["table"])],
        address=row["address"],
        kind=row["type"],
        low_word_first=row.get("word_order", table["word_order"]) == "little",
        low_byte_first=row.get("byte_order", table.get("byte_order", "big")) == "little",
        count_worth=worth * row.get("scale", 1.0) * row.get("sign", 1),
    )


SDM630 = MeterFace.of(
    {
        "table": "input",
        "word_order": "big",
        "values": {
            **{f"voltage_l{n + 1}": {"address": 2 * n, "type": "float32", "unit": "V"} for n in range(3)},
            "power": {"address": 0x34, "type": "float32", "unit": "W"},
            "frequency": {"address": 0x46, "type": "float32", "unit": "Hz"},
        },
    }
)
"""A little of an Eastron SDM630: what is there where nobody names a map."""
