"""Points and models of a SunSpec register map, and how a value becomes registers. Pure; words and bytes big-endian.

A model is a run of registers that begins with its id and its length; a point is a named value in it. What is not known
reads as the type's "not implemented" value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum
from typing import Final


class PointType(StrEnum):
    """SunSpec's point types, as far as they are used here."""

    UINT16 = "uint16"
    INT16 = "int16"
    ENUM16 = "enum16"
    SUNSSF = "sunssf"
    PAD = "pad"
    UINT32 = "uint32"
    INT32 = "int32"
    ACC32 = "acc32"
    BITFIELD32 = "bitfield32"
    STRING = "string"


NOT_IMPLEMENTED: Final = {
    PointType.UINT16: 0xFFFF, PointType.ENUM16: 0xFFFF, PointType.INT16: 0x8000, PointType.SUNSSF: 0x8000, PointType.PAD: 0x8000,
    PointType.UINT32: 0xFFFF_FFFF, PointType.BITFIELD32: 0xFFFF_FFFF, PointType.INT32: 0x8000_0000, PointType.ACC32: 0,
}  # fmt: skip
_SIGNED: Final = frozenset({PointType.INT16, PointType.INT32, PointType.SUNSSF})
_WIDE: Final = frozenset({PointType.UINT32, PointType.INT32, PointType.ACC32, PointType.BITFIELD32})


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a model, ``offset`` registers from the model's beginning. ``least`` and ``most`` bound what may be
    written; ``symbols`` names the values of enums and bits. ``size``: registers (strings only; others follow the kind)."""

    name: str
    offset: int
    kind: PointType
    text: str = ""
    writable: bool = False
    units: str = ""
    symbols: type[IntEnum] | type[IntFlag] | None = None
    least: int = 0
    most: int = 0xFFFF_FFFE
    scaled: bool = False
    length: int = 0

    @property
    def size(self) -> int:
        """Registers that it takes."""
        return self.length or (2 if self.kind in _WIDE else 1)

    def allows(self, value: int) -> bool:
        """Whether a master may write this value."""
        if self.symbols is not None:
            return value in self.symbols.__members__.values()
        return self.least <= value <= self.most


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the chain. ``length`` is what its L register says: registers after ID and L."""

    model_id: int
    address: int
    length: int
    points: tuple[Point, ...]

    def point(self, name: str) -> Point:
        """The point of that name."""
        return next(point for point in self.points if point.name == name)

    def address_of(self, name: str) -> int:
        """Where the point begins, on the wire."""
        return self.address + self.point(name).offset


Values = Mapping[str, int | str | None]
"""Point name → value, for one model; None or absent: not implemented."""


def encode(point: Point, value: int | str | None) -> list[int]:
    """Registers of a value. What does not fit is cut to the nearest that does, never wrapped; text is cut in bytes."""
    if point.kind is PointType.STRING:
        data = str(value or "").encode("ascii", "replace")[: point.size * 2].ljust(point.size * 2, b"\0")
        return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    bits = 16 * point.size
    if not isinstance(value, int):
        raw = NOT_IMPLEMENTED[point.kind]
    elif point.kind in _SIGNED:
        most = (1 << bits - 1) - 1
        raw = max(-most, min(value, most)) & (1 << bits) - 1
    else:
        # the highest value means "not implemented", except where a heartbeat may take any
        raw = max(0, min(value, (1 << bits) - (1 if point.most == 0xFFFF_FFFF else 2)))
    return [raw >> 16, raw & 0xFFFF] if point.size == 2 else [raw]


def decode(point: Point, words: list[int]) -> int | None:
    """The number in the registers of a numeric point; None: not implemented, which in a write means "not given"."""
    raw = (words[0] << 16 | words[1]) if point.size == 2 else words[0]
    if raw == NOT_IMPLEMENTED[point.kind] and point.most != 0xFFFF_FFFF and point.kind is not PointType.ACC32:
        return None
    if point.kind in _SIGNED and raw >> 16 * point.size - 1:
        return raw - (1 << 16 * point.size)
    return raw
