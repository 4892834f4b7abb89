"""GB/T 27930-2015: what charger and battery management system tell each other on the charging line, message by message. Pure.

    CanFrame --source 0x56 or 0xF4--> parameter group (long ones by J1939's transport protocol) --decoded()--> GbtMessage

The tables follow the facts of the standard's parameter groups (bytes count from 1, bits of a byte from 1, the lowest first,
numbers are little-endian). Currents there are negative while charging: here charging is positive, as everywhere in the depot. A
number of which all bits are set says "not available". BMV, BMT, BSP (single cells, sensors, spare), the time in CTS and the bits of
BEM and CEM are named but not read: no source for them was at hand that could be trusted. A VIN leaves this module as a pseudonym only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bms_bridge.can.frame import EVERYONE, CanFrame, destination_of, pgn_of, source_of

CHARGER: Final = 0x56
BMS: Final = 0xF4

CHM, BHM, CRM, BRM = 0x2600, 0x2700, 0x0100, 0x0200
BCP, CTS, CML, BRO, CRO = 0x0600, 0x0700, 0x0800, 0x0900, 0x0A00
BCL, BCS, CCS, BSM, BMV, BMT, BSP = 0x1000, 0x1100, 0x1200, 0x1300, 0x1500, 0x1600, 0x1700
BST, CST, BSD, CSD, BEM, CEM = 0x1900, 0x1A00, 0x1C00, 0x1D00, 0x1E00, 0x1F00

NAMES: Final[Mapping[int, str]] = {
    CHM: "CHM", BHM: "BHM", CRM: "CRM", BRM: "BRM", BCP: "BCP", CTS: "CTS", CML: "CML", BRO: "BRO", CRO: "CRO", BCL: "BCL", BCS: "BCS",
    CCS: "CCS", BSM: "BSM", BMV: "BMV", BMT: "BMT", BSP: "BSP", BST: "BST", CST: "CST", BSD: "BSD", CSD: "CSD", BEM: "BEM", CEM: "CEM",
}  # fmt: skip
"""Parameter groups by number."""

CYCLES_S: Final[Mapping[int, float]] = {0x181056F4: 0.05, 0x181356F4: 0.25, 0x1812F456: 0.05}
"""Periods of BCL, BSM and CCS, by frame identifier: clocks for a log whose own stands still."""

_FROM_BMS: Final = frozenset({BHM, BRM, BCP, BRO, BCL, BCS, BSM, BMV, BMT, BSP, BST, BSD, BEM})

BATTERY_TYPES: Final[Mapping[int, str]] = {
    1: "lead-acid", 2: "nickel-metal hydride", 3: "lithium iron phosphate", 4: "lithium manganese oxide", 5: "lithium cobalt oxide",
    6: "ternary material", 7: "polymer lithium-ion", 8: "lithium titanate", 0xFF: "other",
}  # fmt: skip


class _Number(NamedTuple):
    """``at``: first byte. Value = (raw × ``scale`` + ``offset``) × ``sign``. ``bits``: (first bit of the number, how many) where it
    is part of it."""

    name: str
    at: int
    length: int
    scale: float = 1.0
    offset: float = 0.0
    sign: int = 1
    bits: tuple[int, int] | None = None


class _Pair(NamedTuple):
    """Two bits: 01 says ``text``, 10 says that its state is not reliable. ``alarm``: ours of that meaning, "" for none."""

    byte: int
    bit: int
    text: str
    alarm: str = ""


_A: Final = (0.1, -400.0, -1)
_NUMBERS: Final[Mapping[int, tuple[_Number, ...]]] = {
    BHM: (_Number("max_voltage_v", 1, 2, 0.1),),
    CRM: (_Number("recognised", 1, 1), _Number("charger_number", 2, 4)),
    BRM: (
        _Number("battery_type", 4, 1),
        _Number("capacity_ah", 5, 2, 0.1),
        _Number("rated_voltage_v", 7, 2, 0.1),
        _Number("charges", 20, 3),
    ),
    BCP: (
        _Number("max_cell_v", 1, 2, 0.01),
        _Number("max_current_a", 3, 2, *_A),
        _Number("energy_kwh", 5, 2, 0.1),
        _Number("max_voltage_v", 7, 2, 0.1),
        _Number("max_temperature_c", 9, 1, 1.0, -50.0),
        _Number("soc", 10, 2, 0.001),
        _Number("voltage_v", 12, 2, 0.1),
    ),
    CML: (
        _Number("max_voltage_v", 1, 2, 0.1),
        _Number("min_voltage_v", 3, 2, 0.1),
        _Number("max_current_a", 5, 2, *_A),
        _Number("min_current_a", 7, 2, *_A),
    ),
    BRO: (_Number("ready", 1, 1),),
    CRO: (_Number("ready", 1, 1),),
    BCL: (_Number("voltage_v", 1, 2, 0.1), _Number("current_a", 3, 2, *_A), _Number("mode", 5, 1)),
    BCS: (
        _Number("voltage_v", 1, 2, 0.1),
        _Number("current_a", 3, 2, *_A),
        _Number("cell_max_v", 5, 2, 0.01, bits=(0, 12)),
        _Number("cell_max_group", 5, 2, bits=(12, 4)),
        _Number("soc", 7, 1, 0.01),
        _Number("remaining_min", 8, 2),
    ),
    CCS: (
        _Number("voltage_v", 1, 2, 0.1),
        _Number("current_a", 3, 2, *_A),
        _Number("minutes", 5, 2),
        _Number("allowed", 7, 1, bits=(0, 2)),
    ),
    BSM: (
        _Number("cell_max_number", 1, 1, 1.0, 1.0),
        _Number("hottest_c", 2, 1, 1.0, -50.0),
        _Number("hottest_number", 3, 1, 1.0, 1.0),
        _Number("coldest_c", 4, 1, 1.0, -50.0),
        _Number("coldest_number", 5, 1, 1.0, 1.0),
        _Number("cell_voltage", 6, 1, bits=(0, 2)),
        _Number("soc_state", 6, 1, bits=(2, 2)),
        _Number("allowed", 7, 1, bits=(4, 2)),
    ),
    BSD: (
        _Number("soc", 1, 1, 0.01),
        _Number("cell_min_v", 2, 2, 0.01),
        _Number("cell_max_v", 4, 2, 0.01),
        _Number("coldest_c", 6, 1, 1.0, -50.0),
        _Number("hottest_c", 7, 1, 1.0, -50.0),
    ),
    CSD: (_Number("minutes", 1, 2), _Number("energy_kwh", 3, 2, 0.1), _Number("charger_number", 5, 4)),
}  # fmt: skip

_PAIRS: Final[Mapping[int, tuple[_Pair, ...]]] = {
    BSM: (
        _Pair(6, 5, "charging current too high", "over_current"),
        _Pair(6, 7, "battery temperature too high", "over_temperature"),
        _Pair(7, 1, "insulation abnormal", "insulation_fault"),
        _Pair(7, 3, "output connector abnormal", "connector_fault"),
    ),
    BST: (
        _Pair(1, 1, "the wanted state of charge is reached"),
        _Pair(1, 3, "the set total voltage is reached"),
        _Pair(1, 5, "the set cell voltage is reached"),
        _Pair(1, 7, "the charger stops"),
        _Pair(2, 1, "insulation fault", "insulation_fault"),
        _Pair(2, 3, "output connector too hot", "connector_over_temperature"),
        _Pair(2, 5, "battery management system or output connector too hot", "connector_over_temperature"),
        _Pair(2, 7, "charging connector fault", "connector_fault"),
        _Pair(3, 1, "battery too hot", "over_temperature"),
        _Pair(3, 3, "high-voltage relay fault", "contactor_fault"),
        _Pair(3, 5, "voltage at detection point 2 wrong", "connector_fault"),
        _Pair(3, 7, "another fault", "bms_fault"),
        _Pair(4, 1, "current above what was asked for", "over_current"),
        _Pair(4, 3, "voltage abnormal", "bms_fault"),
    ),
    CST: (
        _Pair(1, 1, "the charger's condition is reached"),
        _Pair(1, 3, "stopped by a person"),
        _Pair(1, 5, "fault"),
        _Pair(1, 7, "the battery management system stops"),
        _Pair(2, 1, "charger too hot"),
        _Pair(2, 3, "charging connector fault"),
        _Pair(2, 5, "charger too hot inside"),
        _Pair(2, 7, "the energy asked for cannot be given"),
        _Pair(3, 1, "emergency stop of the charger"),
        _Pair(3, 3, "another fault"),
        _Pair(4, 1, "current does not match"),
        _Pair(4, 3, "voltage abnormal"),
    ),
}  # fmt: skip

_VIN_AT, _VIN_LENGTH = 25, 17
_CELL_HIGH, _CELL_LOW = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GbtMessage:
    """One message. ``values``: by name, charging positive, None: not available. ``reasons``: what its flags say, in words. ``alarms``:
    ours of that meaning. ``unreliable``: flags whose state the sender does not trust. ``vehicle``: pseudonym of the VIN."""

    at_s: float
    pgn: int
    name: str
    values: Mapping[str, float | None] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    unreliable: tuple[str, ...] = ()
    vehicle: str = ""
    estimated: bool = False

    @property
    def from_bms(self) -> bool:
        return self.pgn in _FROM_BMS


def group_of(frame: CanFrame) -> int | None:
    """The parameter group of a frame between charger and battery, of the transport protocol too; None: it is none."""
    if not frame.extended:
        return None
    source, destination = source_of(frame.can_id), destination_of(frame.can_id)
    if {source, destination} != {CHARGER, BMS} and not (source in (CHARGER, BMS) and destination == EVERYONE):
        return None
    return pgn_of(frame.can_id)


def decoded(
    pgn: int, data: bytes, at_s: float, *, pseudonym: Callable[[str], str], source: int | None = None, estimated: bool = False
) -> GbtMessage | None:
    """What a parameter group says; None: it is none of the standard's, or comes from the wrong side. ``pseudonym``: of a VIN, which is
    kept nowhere. Bytes that are missing give values that are not available; nothing raises."""
    name = NAMES.get(pgn)
    if name is None or (source is not None and (source == BMS) != (pgn in _FROM_BMS)):
        return None
    values = {number.name: _number(number, data) for number in _NUMBERS.get(pgn, ())}
    reasons, alarms, unreliable = _flags(pgn, data)
    if pgn == BSM:
        cells = values.pop("cell_voltage")
        if cells == _CELL_HIGH:
            reasons, alarms = [*reasons, "cell voltage too high"], [*alarms, "cell_over_voltage"]
        elif cells == _CELL_LOW:
            reasons, alarms = [*reasons, "cell voltage too low"], [*alarms, "cell_under_voltage"]
    return GbtMessage(
        at_s=at_s,
        pgn=pgn,
        name=name,
        values=values,
        reasons=tuple(reasons),
        alarms=tuple(dict.fromkeys(alarms)),
        unreliable=tuple(unreliable),
        vehicle=_vehicle(data, pseudonym) if pgn == BRM else "",
        estimated=estimated,
    )


def _number(number: _Number, data: bytes) -> float | None:
    part = data[number.at - 1 : number.at - 1 + number.length]
    if len(part) < number.length:
        return None
    raw = int.from_bytes(part, "little")
    if number.bits is not None:
        first, count = number.bits
        raw = raw >> first & (1 << count) - 1
        if count > 2 and raw == (1 << count) - 1:
            return None
    elif raw == (1 << 8 * number.length) - 1 and number.name != "battery_type":
        return None
    value = (raw * number.scale + number.offset) * number.sign
    return round(value, 3) + 0.0


def _flags(pgn: int, data: bytes) -> tuple[list[str], list[str], list[str]]:
    reasons, alarms, unreliable = [], [], []
    for pair in _PAIRS.get(pgn, ()):
        if pair.byte > len(data):
            continue
        state = data[pair.byte - 1] >> pair.bit - 1 & 0b11
        if state == 0b01:
            reasons.append(pair.text)
            if pair.alarm:
                alarms.append(pair.alarm)
        elif state == 0b10:
            unreliable.append(pair.text)
    return reasons, alarms, unreliable


def _vehicle(data: bytes, pseudonym: Callable[[str], str]) -> str:
    """Pseudonym of the VIN in a BRM; empty where there is none that could be one."""
    vin = data[_VIN_AT - 1 : _VIN_AT - 1 + _VIN_LENGTH]
    if len(vin) < _VIN_LENGTH or not all(48 <= byte <= 57 or 65 <= byte <= 90 for byte in vin):
        return ""
    return pseudonym(vin.decode("ascii"))
