"""The registers that the utility sees: a SunSpec chain with the vendor model 64900 *DepotLoadLimit*, as data.

    40000 "SunS" | 40002 model 1 Common | 40070 203 meter | 40177 715 DERCtl | 40186 64900 DepotLoadLimit | 40252 end

Addresses are those on the wire (counted from 0), words and bytes big-endian. Models 203 (:mod:`grid.meter_model`) and 715
are the standard's; of 715 only the heartbeats are served. Model 64900 is ours: SunSpec 704 limits generation in per cent
and has no import limit in watts. ``model_64900.json`` is its SunSpec definition, written by :func:`definition`.
Everything here is a table or a pure function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final

from grid.meter_model import METER, meter_points
from grid.registers import Model, Point, PointType, Values, encode

BASE: Final = 40_000
COMMON, DER_CONTROL, LOAD_LIMIT, END = 1, 715, 64_900, 0xFFFF


class LimitState(IntEnum):
    """LimSt, with the state names of EEBus LPC. ``UNLIMITED_AUTO`` is shown only where the site's agreement releases it
    after the fail-safe time."""

    INIT = 0
    UNLIMITED_CTL = 1
    LIMITED = 2
    FAILSAFE = 3
    UNLIMITED_AUTO = 4


class LimitOrigin(IntEnum):
    """LimSrc: who set the limit that is in force."""

    NONE = 0
    CONTRACT = 1
    UTILITY = 2
    REVERSION = 3
    FAILSAFE = 4
    LOCAL = 5
    TRANSFORMER = 6


class AckState(IntEnum):
    """AckSt: what became of the command AckSeq. ``CLAMPED``: in force, and something else holds the site lower still, or
    a fail-safe value was cut to the contract. ``EXPIRED``: its validity is over, and its reversion holds; ``COMPLETED``: its
    validity is over, and it wanted no limit after it. ``REJECTED_STATE``: it could not be made durable."""

    NONE = 0
    ACCEPTED = 1
    CLAMPED = 2
    REJECTED_RANGE = 3
    REJECTED_STATE = 4
    REJECTED_AUTH = 5
    SUPERSEDED = 6
    EXPIRED = 7
    COMPLETED = 8


class Compliance(IntEnum):
    """Compl: whether the measured import keeps the limit. ``INFEASIBLE``: the floor is above it."""

    NOT_KNOWN = 0
    RAMPING = 1
    COMPLIANT = 2
    NOT_COMPLIANT = 3
    INFEASIBLE = 4


class OrderReason(IntEnum):
    """Rsn: why the utility orders it; echoed."""

    NONE = 0
    PEAK = 1
    EMERGENCY = 2
    TEST = 3
    MARKET = 4
    MAINTENANCE = 5


class Switch(IntEnum):
    """WLimEna and WLimEnaRvrt."""

    DISABLED = 0
    ENABLED = 1


class Alarm(IntFlag):
    """Alm."""

    HB_LOST = 1
    METER_STALE = 2
    CSMS_DOWN = 4
    LIMIT_VIOLATED = 8
    OPT_FALLBACK = 16
    CLOCK_SUSPECT = 32
    LOCAL_OVERRIDE = 64


def _unserved(first: int, *runs: tuple[PointType, int]) -> tuple[Point, ...]:
    """Points of a standard model that we do not serve, from offset ``first`` on: so many of each type."""
    points: list[Point] = []
    for kind in (kind for kind, count in runs for _ in range(count)):
        points.append(Point("", first, kind))
        first += points[-1].size
    return tuple(points)


T = PointType
_ID_AND_LENGTH: Final = (Point("ID", 0, T.UINT16, "Model id"), Point("L", 1, T.UINT16, "Model length"))

_COMMON = Model(
    COMMON, BASE + 2, 66,
    (
        *_ID_AND_LENGTH,
        Point("Mn", 2, T.STRING, "Manufacturer", length=16), Point("Md", 18, T.STRING, "Model", length=16),
        Point("Opt", 34, T.STRING, "Options", length=8), Point("Vr", 42, T.STRING, "Version", length=8),
        Point("SN", 50, T.STRING, "Serial number", length=16), Point("DA", 66, T.UINT16, "Unit id"), Point("Pad", 67, T.PAD),
    ),
)  # fmt: skip

_METER = Model(METER, BASE + 70, 105, meter_points())

_DER_CONTROL = Model(
    DER_CONTROL, BASE + 177, 7,
    (
        *_ID_AND_LENGTH,
        Point("LocRemCtl", 2, T.ENUM16, "0: remote control"), Point("DERHb", 3, T.UINT32, "Our heartbeat, +1 a second"),
        Point("ControllerHb", 5, T.UINT32, "The utility's heartbeat, the same as CtlHb", writable=True, most=0xFFFF_FFFF),
        *_unserved(7, (T.UINT16, 1), (T.ENUM16, 1)),
    ),
)  # fmt: skip

_LOAD_LIMIT = Model(
    LOAD_LIMIT, BASE + 186, 64,
    (
        *_ID_AND_LENGTH,
        Point("WLimEna", 2, T.ENUM16, "Limit enabled; not given: enabled", writable=True, symbols=Switch),
        Point("WLimEnaRvrt", 3, T.ENUM16, "Limit enabled after reversion; not given: enabled", writable=True, symbols=Switch),
        Point("WLim", 4, T.UINT32, "Import limit at the connection point; 0 is zero", writable=True, units="W", scaled=True),
        Point("WLimRvrt", 6, T.UINT32, "Limit after the validity; not given: FsWLim", writable=True, units="W", scaled=True),
        Point("WLimRvrtTms", 8, T.UINT32, "Validity; 0 or not given: until replaced", writable=True, units="Secs"),
        Point("StrTms", 10, T.UINT32, "Start delay; not given: 0", writable=True, units="Secs"),
        Point("WRmpTms", 12, T.UINT16, "Ramp time; not given: 0", writable=True, units="Secs", most=0xFFFE),
        Point("Rsn", 13, T.ENUM16, "Reason", writable=True, symbols=OrderReason),
        Point("CtlHb", 14, T.UINT32, "The utility's heartbeat: any change counts, at once", writable=True, most=0xFFFF_FFFF),
        Point("EvtId", 16, T.UINT32, "Event id, echoed", writable=True),
        Point("CmdSeq", 18, T.UINT16, "Command number; writing it commits the staged points", writable=True, most=0xFFFE),
        Point("Pad1", 19, T.PAD),
        Point("FsWLim", 20, T.UINT32, "Fail-safe limit, never above the contract", writable=True, units="W", scaled=True),
        Point("FsDurMin", 22, T.UINT32, "Least time in fail-safe", writable=True, units="Secs", least=7_200, most=86_400),
        Point("HbTms", 24, T.UINT16, "Heartbeat timeout", writable=True, units="Secs", least=10, most=600),
        Point("Pad2", 25, T.PAD),
        Point("AckSeq", 26, T.UINT16, "CmdSeq of the newest command that is in force or was refused"),
        Point("AckSt", 27, T.ENUM16, "What became of it", symbols=AckState),
        Point("AckEvtId", 28, T.UINT32, "EvtId of that command"),
        Point("LimSt", 30, T.ENUM16, "State of the utility's limit", symbols=LimitState),
        Point("LimSrc", 31, T.ENUM16, "Who set the limit in force", symbols=LimitOrigin),
        Point("WLimEff", 32, T.UINT32, "Limit in force now", units="W", scaled=True),
        Point("WLimRvrtRem", 34, T.UINT32, "Validity that is left", units="Secs"),
        Point("WImp", 36, T.INT32, "Measured import, export negative", units="W", scaled=True),
        Point("VAImp", 38, T.UINT32, "Measured apparent power", units="VA", scaled=True),
        Point("WBase", 40, T.INT32, "Import of all but the chargers", units="W", scaled=True),
        Point("WEvse", 42, T.UINT32, "Power of the chargers", units="W", scaled=True),
        Point("WMinEvse", 44, T.UINT32, "Floor that can't be curtailed", units="W", scaled=True),
        Point("WDemAvg", 46, T.UINT32, "Mean so far of the demand block", units="W", scaled=True),
        Point("VADemPred", 48, T.UINT32, "Predicted demand of the block", units="VA", scaled=True),
        Point("DemRem", 50, T.UINT16, "Left in the demand block", units="Secs"),
        Point("Compl", 51, T.ENUM16, "Compliance", symbols=Compliance),
        Point("WMaxCtr", 52, T.UINT32, "Contract", units="W", scaled=True),
        Point("VACtr", 54, T.UINT32, "Contract demand", units="VA", scaled=True),
        Point("DevHb", 56, T.UINT32, "Our heartbeat, +1 a second"),
        Point("Tms", 58, T.UINT32, "UTC, seconds since 1970", units="Secs"),
        Point("MtrAge", 60, T.UINT16, "Age of the meter's newest value", units="Secs"),
        Point("NEvse", 61, T.UINT16, "Connectors that are online"),
        Point("Alm", 62, T.BITFIELD32, "Alarms", symbols=Alarm),
        Point("W_SF", 64, T.SUNSSF, "Scale of all powers here: 0, watts"),
        Point("Pad3", 65, T.PAD),
    ),
)  # fmt: skip

CHAIN: Final = (_COMMON, _METER, _DER_CONTROL, _LOAD_LIMIT)
BLOCK: Final = _LOAD_LIMIT
STOP: Final = _LOAD_LIMIT.address + _LOAD_LIMIT.length + 4
"""First address after the end marker."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The register at an address: word ``word`` of ``point``."""

    model: Model
    point: Point
    word: int


SLOTS: Final[Mapping[int, Slot]] = {
    model.address + point.offset + word: Slot(model, point, word) for model in CHAIN for point in model.points for word in range(point.size)
}

_MARKS: Final = {BASE: 0x5375, BASE + 1: 0x6E53, STOP - 2: END, STOP - 1: 0}
"""The marker "SunS" before the chain, and the end after it."""


def image(values: Mapping[int, Values], address: int = BASE, count: int = STOP - BASE) -> list[int]:
    """``count`` registers of the chain from ``address`` on, of values by model id; all of them by default. Only the points
    that lie there are encoded."""
    registers: list[int] = []
    stop = address + count
    while address < stop:
        slot = SLOTS.get(address)
        if slot is None:
            registers.append(_MARKS[address])
            address += 1
            continue
        point, model = slot.point, slot.model
        if point.name in ("ID", "L"):
            words = [model.model_id if point.name == "ID" else model.length]
        else:
            words = encode(point, values.get(model.model_id, {}).get(point.name))
        taken = words[slot.word : slot.word + stop - address]
        registers += taken
        address += len(taken)
    return registers


def definition() -> dict[str, Any]:
    """Model 64900 as a SunSpec JSON model definition, which pysunspec2 and other tools load."""
    points = []
    for point in BLOCK.points:
        entry: dict[str, Any] = {"name": point.name, "type": str(point.kind), "size": point.size, "label": point.text or point.name}
        if point.name in ("ID", "L"):
            entry |= {"value": BLOCK.model_id if point.name == "ID" else BLOCK.length, "mandatory": "M", "static": "S"}
        if point.writable:
            entry["access"] = "RW"
        if point.units:
            entry["units"] = point.units
        if point.scaled:
            entry["sf"] = "W_SF"
        if point.symbols is not None:
            bits = issubclass(point.symbols, IntFlag)
            entry["symbols"] = [
                {"name": member.name, "value": member.value.bit_length() - 1 if bits else member.value} for member in point.symbols
            ]
        points.append(entry)
    group = {"name": "DepotLoadLimit", "type": "group", "label": "Depot load limit", "points": points}
    return {"id": LOAD_LIMIT, "group": group}
