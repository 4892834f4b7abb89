"""SunSpec model 203, a three-phase wye meter, of the connection-point meter's newest reading. A table and a pure function.

    SiteReading --values_of()--> points of model 203 (numbers as they stand in the registers, with their scale factors)

Import is positive. What the meter does not tell reads "not implemented": power per phase, line voltages (they do not follow
from the phase voltages alone), energies per phase. Scale factors follow from the contract, so that they stay: the registers
have 16 bits, with room for twice the contract; that of the voltages is 0 on high voltage and -1 below.
"""

from __future__ import annotations

from typing import Final

from depot.readings import SiteReading
from grid.registers import Point, PointType, Values

METER: Final = 203
MISSING_SENSOR: Final = 1 << 7
"""Bit 7 of Evt, M_EVENT_Missing_Sensor: the readings are stale."""

ENERGY_SCALE: Final = 2
"""Energies count 0.1 kWh, so that 32 bits do not run over in a site's life."""

HIGH_VOLTAGE_V: Final = 3_000
_NOMINAL_V: Final = 230

_PHASES: Final = ("A", "B", "C")
_REACTIVE: Final = ("ImpQ1", "ImpQ2", "ExpQ3", "ExpQ4")


def _layout() -> tuple[tuple[str, PointType], ...]:
    """Names and types in the standard's order, after ID and L."""
    i16, scale, acc = PointType.INT16, PointType.SUNSSF, PointType.ACC32

    def phased(name: str, infix: str, kind: PointType) -> list[tuple[str, PointType]]:
        return [(name, kind), *((f"{name}{infix}{phase}", kind) for phase in _PHASES)]

    lines = [("PPV", i16), *((f"PhVph{pair}", i16) for pair in ("AB", "BC", "CA"))]
    rows = [*phased("A", "ph", i16), ("A_SF", scale), *phased("PhV", "ph", i16), *lines, ("V_SF", scale), ("Hz", i16), ("Hz_SF", scale)]
    for name in ("W", "VA", "VAR", "PF"):
        rows += [*phased(name, "ph", i16), (f"{name}_SF", scale)]
    for name in ("TotWh", "TotVAh"):
        rows += [*phased(f"{name}Exp", "Ph", acc), *phased(f"{name}Imp", "Ph", acc), (f"{name}_SF", scale)]
    for name in _REACTIVE:
        rows += phased(f"TotVArh{name}", "Ph", acc)
    return (*rows, ("TotVArh_SF", scale), ("Evt", PointType.BITFIELD32))


_TEXTS: Final = {
    "A": "Sum of the phase currents", "AphA": "Current of a phase; as many as the meter tells", "PhV": "Mean phase voltage",
    "PhVphA": "Phase voltage", "Hz": "Frequency", "W": "Import at the connection point, export negative", "VA": "Apparent power",
    "VAR": "Reactive power", "PF": "Power factor, per cent", "TotWhExp": "Energy that was exported", "TotWhImp": "Energy that was imported",
    "Evt": "Bit 7: the newest reading is stale",
}  # fmt: skip


def meter_points() -> tuple[Point, ...]:
    """The model's points, ID and L first."""
    points = [Point("ID", 0, PointType.UINT16, "Model id"), Point("L", 1, PointType.UINT16, "Model length")]
    offset = 2
    for name, kind in _layout():
        points.append(Point(name, offset, kind, _TEXTS.get(name, "")))
        offset += points[-1].size
    return tuple(points)


def values_of(reading: SiteReading | None, *, contract_w: int, stale: bool = False) -> Values:
    """Point values of model 203. ``stale``: the reading is too old to be believed, which Evt says."""
    power, amps = _scale(2 * contract_w), _scale(2 * contract_w / _NOMINAL_V, least=-1)
    values: dict[str, int | str | None] = {
        "A_SF": amps, "V_SF": -1, "Hz_SF": -2, "W_SF": power, "VA_SF": power, "VAR_SF": power, "PF_SF": -1,
        "TotWh_SF": ENERGY_SCALE, "Evt": MISSING_SENSOR if stale or reading is None else 0,
    }  # fmt: skip
    if reading is None:
        return values
    for name, value in (("W", reading.power_w), ("VA", reading.apparent_va), ("VAR", reading.reactive_var)):
        values[name] = _scaled(value, power)
    values["Hz"] = _scaled(reading.frequency_hz, -2)
    values["PF"] = _scaled(None if reading.power_factor is None else 100 * reading.power_factor, -1)
    values["TotWhImp"], values["TotWhExp"] = _scaled(reading.import_wh, ENERGY_SCALE), _scaled(reading.export_wh, ENERGY_SCALE)
    if reading.currents_a is not None:
        values["A"] = _scaled(sum(reading.currents_a), amps)
        values |= {f"Aph{phase}": _scaled(value, amps) for phase, value in zip(_PHASES, reading.currents_a, strict=True)}
    if reading.voltages_v is not None:
        volts = 0 if max(reading.voltages_v) >= HIGH_VOLTAGE_V else -1
        values["V_SF"] = volts
        values["PhV"] = _scaled(sum(reading.voltages_v) / 3, volts)
        values |= {f"PhVph{phase}": _scaled(value, volts) for phase, value in zip(_PHASES, reading.voltages_v, strict=True)}
    return values


def _scale(most: float, *, least: int = 0) -> int:
    """The smallest power of ten by which ``most`` fits into 16 bits with a sign."""
    return next(k for k in range(least, 11) if most < 32_767 * 10.0**k or k == 10)


def _scaled(value: float | None, scale: int) -> int | None:
    return None if value is None else round(value * 10.0**-scale)
