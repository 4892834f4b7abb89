"""The record of a pack's life: a pure fold over its rows, small, and kept when the rows are long gone.

    record, row --heard()--> record          in the order of row ids, each row once: the same rows give the same record, bit for bit
    record, trip or reset --tripped() …      facts of the journal; they touch other counters, so their order to the rows is free

Charge and energy are integrated (trapezoids) over steps of at most :data:`LONGEST_STEP_S`; what lies between is time that
nobody saw, and is counted as such. A late row counts its alarms and extremes, and moves no clock. What is derived from the state
of charge is as good as the estimate of the battery management system.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import msgspec

from bms_bridge.lake.cycles import Cycles, add, bin_of, open_halves
from bms_bridge.lake.schema import Quality, Row, moment

SCHEMA: Final = "pack_life/1"
LONGEST_STEP_S: Final = 120.0

TEMPERATURES_C: Final = (0.0, 10.0, 20.0, 30.0, 40.0, 45.0, 50.0, 55.0, 60.0, 80.0)
SOCS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
C_RATES: Final = (0.05, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Edges of the bins: below the first, between two, from the last on."""

HOT_C: Final = (50.0, 55.0, 60.0, 80.0)
"""A thermal event begins when the hottest sensor reaches one of these, and ends :data:`HOT_OFF_K` below it."""

HOT_OFF_K: Final = 3.0
REST_C_RATE: Final = 0.02
BALANCED_V: Final = 0.003
"""A pack whose cells came closer by so much while it rested was balanced in between: no BMS of ours says so itself."""

KEPT_MONTHS: Final = 300
KEPT_TRIPS: Final = 100
KEPT_FIRMWARES: Final = 50
_KEPT_CAUSES = 64


class Month(msgspec.Struct):
    """Spread of the cells over a month, V; ``soh`` as the unit said it last."""

    month: str
    seconds: float = 0.0
    spread_sum_vs: float = 0.0
    spread_most_v: float = 0.0
    soh: float | None = None


class Trip(msgspec.Struct):
    """A trip or its reset. No person stands here."""

    at_us: int
    what: str
    cause: str = ""


class Life(msgspec.Struct):
    """See the module. Times are microseconds since 1970, UTC; charge Ah, energy Wh, both counted up only. ``hot_events``: how often the
    pack reached :data:`HOT_C`. ``temperature_s`` is of the hottest sensor; ``mean_temperature_cs``: °C of the mean of all sensors, times
    the ``mean_temperature_s`` seconds over which it was counted (fewer in records that began before it was). ``triggers``: how often an
    alarm, or the demand to stop, began."""

    schema: str = SCHEMA
    first_us: int = 0
    last_us: int = 0
    samples: int = 0
    doubtful: int = 0
    late: int = 0
    seen_s: float = 0.0
    unseen_s: float = 0.0
    charge_in_ah: float = 0.0
    charge_out_ah: float = 0.0
    energy_in_wh: float = 0.0
    energy_out_wh: float = 0.0
    mean_temperature_cs: float = 0.0
    mean_temperature_s: float = 0.0
    temperature_s: list[float] = msgspec.field(default_factory=lambda: [0.0] * (len(TEMPERATURES_C) + 1))
    charging_temperature_s: list[float] = msgspec.field(default_factory=lambda: [0.0] * (len(TEMPERATURES_C) + 1))
    soc_s: list[float] = msgspec.field(default_factory=lambda: [0.0] * (len(SOCS) + 1))
    charge_rate_s: list[float] = msgspec.field(default_factory=lambda: [0.0] * (len(C_RATES) + 1))
    discharge_rate_s: list[float] = msgspec.field(default_factory=lambda: [0.0] * (len(C_RATES) + 1))
    cycles: Cycles = msgspec.field(default_factory=Cycles)
    hottest_c: float | None = None
    hottest_us: int | None = None
    coldest_c: float | None = None
    hot_events: list[int] = msgspec.field(default_factory=lambda: [0] * len(HOT_C))
    hot_now: list[bool] = msgspec.field(default_factory=lambda: [False] * len(HOT_C))
    least_insulation_ohm: float | None = None
    balanced: int = 0
    balanced_v: float = 0.0
    rest_spread_v: float | None = None
    months: list[Month] = []
    triggers: dict[str, int] = {}
    raised: list[str] = []
    firmwares: list[tuple[int, str]] = []
    trips: int = 0
    resets: int = 0
    causes: dict[str, int] = {}
    newest_trips: list[Trip] = []
    facts_seq: int = 0
    before: tuple[int, float | None, float | None, float | None, float | None, float | None] | None = None
    """The row before: when, A, V, hottest °C, state of charge, C-rate."""


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Life).decode


def heard(life: Life, row: Row) -> None:
    """The next row of the pack. One that a replay withdrew is nothing."""
    if row.quality == Quality.WITHDRAWN:
        return
    if not life.first_us:
        life.first_us = row.received_us
    life.samples += 1
    life.doubtful += row.quality == Quality.DOUBTFUL
    temperatures = [value for value in row.temperatures_c if value is not None]
    hottest = max(temperatures, default=None)
    if hottest is not None:
        _extremes(life, hottest, min(temperatures), row.received_us)
    if row.insulation_ohm is not None and (life.least_insulation_ohm is None or row.insulation_ohm < life.least_insulation_ohm):
        life.least_insulation_ohm = row.insulation_ohm
    if row.firmware and row.firmware not in (name for _, name in life.firmwares[-1:]):
        life.firmwares = [*life.firmwares, (row.received_us, row.firmware)][-KEPT_FIRMWARES:]
    _triggers(life, row)
    if row.quality == Quality.LATE or row.received_us < life.last_us:
        life.late += 1
        return
    spread = _spread(row)
    step_s = _step(life, row, hottest)
    if temperatures:
        life.mean_temperature_cs += sum(temperatures) / len(temperatures) * step_s
        life.mean_temperature_s += step_s
    _imbalance(life, row, spread, step_s)
    if row.soc is not None:
        add(life.cycles, row.soc)
    life.last_us = row.received_us
    life.before = (row.received_us, row.current_a, row.voltage_v, hottest, row.soc, row.c_rate_per_h)


def tripped(life: Life, at_us: int, cause: str, seq: int) -> None:
    """The journal says that the pack was tripped."""
    if seq <= life.facts_seq:
        return
    life.facts_seq = seq
    life.trips += 1
    if cause in life.causes or len(life.causes) < _KEPT_CAUSES:
        life.causes[cause] = life.causes.get(cause, 0) + 1
    life.newest_trips = [*life.newest_trips, Trip(at_us, "trip", cause)][-KEPT_TRIPS:]


def was_reset(life: Life, at_us: int, seq: int) -> None:
    """The journal says that a person reset it."""
    if seq <= life.facts_seq:
        return
    life.facts_seq = seq
    life.resets += 1
    life.newest_trips = [*life.newest_trips, Trip(at_us, "reset")][-KEPT_TRIPS:]


def _extremes(life: Life, hottest: float, coldest: float, at_us: int) -> None:
    if life.hottest_c is None or hottest > life.hottest_c:
        life.hottest_c, life.hottest_us = hottest, at_us
    if life.coldest_c is None or coldest < life.coldest_c:
        life.coldest_c = coldest
    for index, edge in enumerate(HOT_C):
        if not life.hot_now[index] and hottest >= edge:
            life.hot_now[index] = True
            life.hot_events[index] += 1
        elif life.hot_now[index] and hottest <= edge - HOT_OFF_K:
            life.hot_now[index] = False


def _triggers(life: Life, row: Row) -> None:
    raised = [name for name in (*row.alarms.split(","), "bms_stop" if row.stop else "") if name]
    for name in raised:
        if name not in life.raised and (name in life.triggers or len(life.triggers) < _KEPT_CAUSES):
            life.triggers[name] = life.triggers.get(name, 0) + 1
    if raised != life.raised:
        life.raised = raised


def _step(life: Life, row: Row, hottest: float | None) -> float:
    """Integrate from the row before to this one. The seconds that count."""
    if life.before is None:
        return 0.0
    before_us, current_a, voltage_v, before_c, soc, rate = life.before
    step_s = (row.received_us - before_us) / 1e6
    if step_s > LONGEST_STEP_S:
        life.unseen_s += step_s
        return 0.0
    life.seen_s += step_s
    if current_a is not None and row.current_a is not None:
        charge_ah = (current_a + row.current_a) / 2 * step_s / 3600
        if charge_ah >= 0:
            life.charge_in_ah += charge_ah
        else:
            life.charge_out_ah -= charge_ah
        if voltage_v is not None and row.voltage_v is not None:
            energy_wh = (current_a * voltage_v + row.current_a * row.voltage_v) / 2 * step_s / 3600
            if energy_wh >= 0:
                life.energy_in_wh += energy_wh
            else:
                life.energy_out_wh -= energy_wh
    if before_c is not None and hottest is not None:
        index = bin_of((before_c + hottest) / 2, TEMPERATURES_C)
        life.temperature_s[index] += step_s
        if current_a is not None and current_a > 0:
            life.charging_temperature_s[index] += step_s
    if soc is not None:
        life.soc_s[bin_of(soc, SOCS)] += step_s
    if rate is not None:
        bins = life.charge_rate_s if rate >= 0 else life.discharge_rate_s
        bins[bin_of(abs(rate), C_RATES)] += step_s
    return step_s


def _spread(row: Row) -> float | None:
    cells = [value for value in row.cells_v if value is not None]
    if len(cells) > 1:
        return max(cells) - min(cells)
    if row.cell_max_v is not None and row.cell_min_v is not None:
        return row.cell_max_v - row.cell_min_v
    return None


def _imbalance(life: Life, row: Row, spread: float | None, step_s: float) -> None:
    if spread is None and row.soh is None:
        return
    name = moment(row.received_us).strftime("%Y-%m")
    if not life.months or life.months[-1].month != name:
        life.months = [*life.months, Month(name)][-KEPT_MONTHS:]
    month = life.months[-1]
    if row.soh is not None:
        month.soh = row.soh
    if spread is None:
        return
    month.seconds += step_s
    month.spread_sum_vs += spread * step_s
    month.spread_most_v = max(month.spread_most_v, spread)
    at_rest = row.c_rate_per_h is not None and abs(row.c_rate_per_h) < REST_C_RATE
    if not at_rest:
        life.rest_spread_v = None
    elif life.rest_spread_v is None or spread > life.rest_spread_v:
        life.rest_spread_v = spread
    elif life.rest_spread_v - spread >= BALANCED_V:
        life.balanced += 1
        life.balanced_v += life.rest_spread_v - spread
        life.rest_spread_v = spread


def shown(life: Life, capacity_wh: int | None) -> dict[str, Any]:
    """The record for people and machines: bins with their edges, equivalent full cycles where the capacity is known."""
    throughput_wh = life.energy_in_wh + life.energy_out_wh
    return {
        "schema": life.schema,
        "first_at": _at(life.first_us),
        "last_at": _at(life.last_us),
        "samples": {"all": life.samples, "doubtful": life.doubtful, "late": life.late},
        "seen_h": round(life.seen_s / 3600, 3),
        "unseen_h": round(life.unseen_s / 3600, 3),
        "capacity_wh": capacity_wh,
        "equivalent_full_cycles": round(throughput_wh / (2 * capacity_wh), 3) if capacity_wh else None,
        "energy_in_wh": round(life.energy_in_wh, 1),
        "energy_out_wh": round(life.energy_out_wh, 1),
        "charge_in_ah": round(life.charge_in_ah, 2),
        "charge_out_ah": round(life.charge_out_ah, 2),
        "cycles_by_depth": _bins(open_halves(life.cycles), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
        "hours_by_temperature_c": _hours(life.temperature_s, TEMPERATURES_C),
        "charging_hours_by_temperature_c": _hours(life.charging_temperature_s, TEMPERATURES_C),
        "mean_temperature_c": round(life.mean_temperature_cs / life.mean_temperature_s, 2) if life.mean_temperature_s else None,
        "hours_by_soc": _hours(life.soc_s, SOCS),
        "charging_hours_by_c_rate": _hours(life.charge_rate_s, C_RATES),
        "discharging_hours_by_c_rate": _hours(life.discharge_rate_s, C_RATES),
        "hottest_c": life.hottest_c,
        "hottest_at": _at(life.hottest_us or 0),
        "coldest_c": life.coldest_c,
        "thermal_events": {f"{edge:g}": count for edge, count in zip(HOT_C, life.hot_events, strict=True)},
        "least_insulation_ohm": life.least_insulation_ohm,
        "balanced": {"times": life.balanced, "volts": round(life.balanced_v, 4)},
        "months": [
            {
                "month": month.month,
                "spread_mean_v": round(month.spread_sum_vs / month.seconds, 5) if month.seconds else None,
                "spread_most_v": round(month.spread_most_v, 5),
                "soh": month.soh,
            }
            for month in life.months
        ],
        "protection_triggers": dict(life.triggers),
        "firmwares": [{"since": _at(at), "firmware": name} for at, name in life.firmwares],
        "trips": life.trips,
        "resets": life.resets,
        "trips_by_cause": dict(life.causes),
        "newest_trips": [{"at": _at(trip.at_us), "what": trip.what, "cause": trip.cause} for trip in life.newest_trips],
    }


def _at(us: int) -> str | None:
    return moment(us).isoformat().replace("+00:00", "Z") if us else None


def _bins(values: list[float], edges: tuple[float, ...]) -> dict[str, float]:
    names = [f"below {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges)), f"from {edges[-1]:g}"]
    return {name: round(value, 4) for name, value in zip(names, values, strict=True)}


def _hours(seconds: list[float], edges: tuple[float, ...]) -> dict[str, float]:
    return _bins([value / 3600 for value in seconds], edges)
