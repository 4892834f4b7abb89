"""SunSpec models as data, and how their points lie in registers. Pure; :mod:`grid.sunspec_device` does the asking.

    registers of a model --Model.value(point)--> a number in its unit, or None: the device has no such point
    a number --Model.encoded(point)--> registers, by the scale factor that the device told

Only the points that the depot uses stand here, by their offset from the model's first register (its id). Offsets, types and scale
factors are those of the SunSpec Alliance's model definitions (models 1, 101–103, 160, 701, 704, 713, 715, 802, 803); a test
holds them against the definitions that the Alliance publishes. What a device does not implement has a value of its own per
type ("not implemented", SunSpec Device Information Model Specification), and is None here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from grid import GridError

__all__ = ["BASES", "END_ID", "MARKER", "MODELS", "STRINGS", "ChainEntry", "Model", "Point", "SunSpecError"]

MARKER: Final = (0x5375, 0x6E53)
"""\"SunS\": what stands before the first model."""

BASES: Final = (40_000, 50_000, 0)
"""Where the marker may stand, in the order in which it is looked for."""

END_ID: Final = 0xFFFF
SCALE_MOST: Final = 10
STRING_MOST: Final = 40


class SunSpecError(GridError):
    """A device whose chain or points cannot be used (drawn in :mod:`grid`). The message says which."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a point lies, as what, and the point that scales it ("": none)."""

    offset: int
    type: str
    scale: str = ""

    @property
    def registers(self) -> int:
        """How many it takes."""
        return _WIDTHS[self.type]


_WIDTHS: Final = {
    "int16": 1, "uint16": 1, "enum16": 1, "sunssf": 1, "count": 1, "int32": 2, "uint32": 2, "acc32": 2, "bitfield32": 2, "uint64": 4,
}  # fmt: skip
_MISSING: Final = {
    "int16": 0x8000, "uint16": 0xFFFF, "enum16": 0xFFFF, "sunssf": 0x8000, "count": 0xFFFF, "int32": 0x8000_0000, "uint32": 0xFFFF_FFFF,
    "acc32": 0, "bitfield32": 0xFFFF_FFFF, "uint64": 0xFFFF_FFFF_FFFF_FFFF,
}  # fmt: skip
_SIGNED: Final = frozenset({"int16", "int32", "sunssf"})

_INVERTER: Final = {
    "W": Point(14, "int16", "W_SF"),
    "W_SF": Point(15, "sunssf"),
    "WH": Point(24, "acc32", "WH_SF"),
    "WH_SF": Point(26, "sunssf"),
    "TmpCab": Point(33, "int16", "Tmp_SF"),
    "Tmp_SF": Point(37, "sunssf"),
    "St": Point(38, "enum16"),
    "Evt1": Point(40, "bitfield32"),
}
_MPPT: Final = {"DCW_SF": Point(4, "sunssf"), "Evt": Point(6, "bitfield32"), "N": Point(8, "count")}
_DER_AC: Final = {
    "St": Point(3, "enum16"),
    "ConnSt": Point(5, "enum16"),
    "Alrm": Point(6, "bitfield32"),
    "W": Point(10, "int16", "W_SF"),
    "TotWhInj": Point(19, "uint64", "TotWh_SF"),
    "W_SF": Point(116, "sunssf"),
    "TotWh_SF": Point(120, "sunssf"),
}
_CONTROLS: Final = {
    "WMaxLimPctEna": Point(14, "enum16"),
    "WMaxLimPct": Point(15, "uint16", "WMaxLimPct_SF"),
    "WMaxLimPctRvrt": Point(16, "uint16", "WMaxLimPct_SF"),
    "WMaxLimPctEnaRvrt": Point(17, "enum16"),
    "WMaxLimPctRvrtTms": Point(18, "uint32"),
    "WMaxLimPctRvrtRem": Point(20, "uint32"),
    "WSetEna": Point(22, "enum16"),
    "WSetMod": Point(23, "enum16"),
    "WSet": Point(24, "int32", "WSet_SF"),
    "WSetRvrt": Point(26, "int32", "WSet_SF"),
    "WSetEnaRvrt": Point(30, "enum16"),
    "WSetRvrtTms": Point(31, "uint32"),
    "WSetRvrtRem": Point(33, "uint32"),
    "WMaxLimPct_SF": Point(54, "sunssf"),
    "WSet_SF": Point(55, "sunssf"),
}
_CAPACITY: Final = {
    "WHRtg": Point(2, "uint16", "WH_SF"),
    "SoC": Point(4, "uint16", "Pct_SF"),
    "SoH": Point(5, "uint16", "Pct_SF"),
    "Sta": Point(6, "enum16"),
    "WH_SF": Point(7, "sunssf"),
    "Pct_SF": Point(8, "sunssf"),
}
_DER_CONTROL: Final = {"LocRemCtl": Point(2, "enum16"), "DERHb": Point(3, "uint32"), "ControllerHb": Point(5, "uint32")}
_BATTERY: Final = {
    "WHRtg": Point(3, "uint16", "WHRtg_SF"),
    "WChaRteMax": Point(4, "uint16", "WChaDisChaMax_SF"),
    "WDisChaRteMax": Point(5, "uint16", "WChaDisChaMax_SF"),
    "SoC": Point(11, "uint16", "SoC_SF"),
    "SoH": Point(13, "uint16", "SoH_SF"),
    "ChaSt": Point(16, "enum16"),
    "LocRemCtl": Point(17, "enum16"),
    "Hb": Point(18, "uint16"),
    "CtrlHb": Point(19, "uint16"),
    "State": Point(22, "enum16"),
    "Evt1": Point(26, "bitfield32"),
    "W": Point(47, "int16", "W_SF"),
    "WHRtg_SF": Point(53, "sunssf"),
    "WChaDisChaMax_SF": Point(54, "sunssf"),
    "SoC_SF": Point(56, "sunssf"),
    "SoH_SF": Point(58, "sunssf"),
    "W_SF": Point(63, "sunssf"),
}
_BANK: Final = {
    "NStr": Point(2, "uint16"),
    "NStrCon": Point(3, "uint16"),
    "ModTmpMax": Point(4, "int16", "ModTmp_SF"),
    "ModTmp_SF": Point(23, "sunssf"),
}

MODELS: Final[Mapping[int, Mapping[str, Point]]] = {
    101: _INVERTER, 102: _INVERTER, 103: _INVERTER, 160: _MPPT, 701: _DER_AC, 704: _CONTROLS, 713: _CAPACITY, 715: _DER_CONTROL,
    802: _BATTERY, 803: _BANK,
}  # fmt: skip
"""Points by model and name."""

STRINGS: Final = {"offset": 10, "length": 20, "DCW": 11}
"""Model 160's repeating block: where the first one begins, how long each is, and where its DC power lies in it."""


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One model in a device's chain: its id, the address of its first register, and its length without id and length."""

    model_id: int
    address: int
    length: int

    @property
    def registers(self) -> int:
        """All of it, with id and length."""
        return self.length + 2


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it was read: its registers from the id on."""

    entry: ChainEntry
    registers: Sequence[int]

    def value(self, name: str) -> float | None:
        """The point in its unit; None where the device does not implement it, or its scale factor. Raises :class:`SunSpecError`
        for a scale factor that cannot be."""
        point = self._point(name)
        raw = self.raw(name)
        if raw is None or not point.scale:
            return raw
        scale = self._scale(point.scale)
        return None if scale is None else raw * 10.0**scale

    def raw(self, name: str) -> int | None:
        """The point as it stands in its registers; None where it is not implemented, or the model ends before it."""
        point = self._point(name)
        if point.offset + point.registers > len(self.registers):
            return None
        return _decoded(self.registers[point.offset : point.offset + point.registers], point.type)

    def part(self, name: str) -> list[int]:
        """The point's registers as they are; empty where the model ends before it."""
        point = self._point(name)
        return list(self.registers[point.offset : point.offset + point.registers])

    def encoded(self, name: str, value: float) -> list[int]:
        """Registers for ``value`` in the point's unit, rounded towards 0. Raises :class:`SunSpecError` where it does not fit, or
        where the device did not tell its scale factor."""
        point = self._point(name)
        scale = self._scale(point.scale) if point.scale else 0
        if scale is None:
            raise SunSpecError(f"model {self.entry.model_id} {name}: the device tells no scale factor {point.scale}")
        raw = int(value / 10.0**scale)
        bits = 16 * point.registers
        low, high = (-(1 << bits - 1) + 1, (1 << bits - 1) - 1) if point.type in _SIGNED else (0, (1 << bits) - 2)
        if not low <= raw <= high:
            raise SunSpecError(f"model {self.entry.model_id} {name}: {value:g} does not fit at scale factor {scale}")
        raw &= (1 << bits) - 1
        return [raw >> 16 * n & 0xFFFF for n in reversed(range(point.registers))]

    def address(self, name: str) -> int:
        """Where the point is on the device."""
        return self.entry.address + self._point(name).offset

    def strings_w(self) -> tuple[int, ...]:
        """Model 160: DC power of each string that tells one, W."""
        scale, count = self.raw("DCW_SF"), self.raw("N")
        if self.entry.model_id != 160 or scale is None or abs(scale) > SCALE_MOST:
            return ()
        found = []
        room = (len(self.registers) - STRINGS["offset"]) // STRINGS["length"]
        for n in range(min(count or 0, room, STRING_MOST)):
            raw = self.registers[STRINGS["offset"] + n * STRINGS["length"] + STRINGS["DCW"]]
            if raw != _MISSING["uint16"]:
                found.append(round(raw * 10.0**scale))
        return tuple(found)

    def _scale(self, name: str) -> int | None:
        raw = self.raw(name)
        if raw is not None and abs(raw) > SCALE_MOST:
            raise SunSpecError(f"model {self.entry.model_id} {name} is {raw}; a scale factor lies between -10 and 10")
        return raw

    def _point(self, name: str) -> Point:
        return MODELS[self.entry.model_id][name]


def _decoded(registers: Sequence[int], kind: str) -> int | None:
    raw = 0
    for register in registers:
        raw = raw << 16 | register
    if raw == _MISSING[kind] and kind != "acc32":  # an accumulator's 0 is a beginning as well
        return None
    if kind in _SIGNED and raw >> 16 * len(registers) - 1:
        raw -= 1 << 16 * len(registers)
    return raw
