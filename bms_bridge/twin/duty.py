"""What is asked of a pack on a day, and how warm it is where it stands. Shipped duties: ``duties.toml``; anybody's: a file like it.

duties.toml --read_duties()--> Duty by name           a plan: planned(kW by slot) --> Duty
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from bms_bridge.twin import DutyRefused
from bms_bridge.twin.lump import Floats

DAY_H: Final = 24.0
MOST_C: Final = 6.0
TOP_SOC: Final = 0.95
FLOOR_SOC: Final = 0.02
DAYS_A_YEAR: Final = 365.25
FASTEST_USE_C: Final = 3.0
LEAST_USE_SHARE: Final = 0.2
CHOICES: Final = {
    "the temperature around it (°C)": (-20.0, 55.0),
    "the depth of a round (a share)": (0.05, 0.98),
    "the rate of charging (C)": (0.02, MOST_C),
    "full cycles a year": (1.0, 5000.0),
    "the state of charge up to which it is charged (a share)": (0.1, 1.0),
}
"""What a duty by its numbers may be: words, least, most."""

_KEYS = {"text", "power", "ambient_c", "swing_k", "cooled_c", "top_soc", "floor_soc", "days_per_week"}
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Duty:
    """``power``: (hours, kW per kWh of nominal energy, charging positive), 24 hours in all. ``ambient_c``: means of equally long seasons
    of the year; ``swing_k``: half the difference of day and night; ``cooled_c``: a cooling holds the pack at or below it, None: none.
    DutyRefused: it is none."""

    name: str
    power: tuple[tuple[float, float], ...]
    ambient_c: tuple[float, ...] = (25.0,)
    text: str = ""
    swing_k: float = 0.0
    cooled_c: float | None = None
    top_soc: float = 0.95
    floor_soc: float = 0.1
    days_per_week: float = 7.0

    def __post_init__(self) -> None:
        hours = sum(length for length, _ in self.power)
        numbers = [value for pair in self.power for value in pair] + [*self.ambient_c, self.swing_k, self.top_soc, self.floor_soc]
        wrong = (
            "every number must be one"
            if not all(math.isfinite(value) for value in [*numbers, self.days_per_week, self.cooled_c or 0.0])
            else f"power must fill 24 hours, not {hours:g}"
            if not math.isclose(hours, DAY_H, abs_tol=1e-6) or any(length <= 0 for length, _ in self.power)
            else f"no power may pass {MOST_C:g} kW per kWh"
            if any(abs(rate) > MOST_C for _, rate in self.power)
            else "ambient_c needs 1 to 12 seasons between −40 and 60 °C, swing_k 0 to 25"
            if not 1 <= len(self.ambient_c) <= 12 or not all(-40 <= c <= 60 for c in self.ambient_c) or not 0 <= self.swing_k <= 25
            else "floor_soc must lie below top_soc, both between 0 and 1"
            if not 0 <= self.floor_soc < self.top_soc <= 1
            else "days_per_week must lie between 0 and 7"
            if not 0 <= self.days_per_week <= 7
            else ""
        )
        if wrong:
            raise DutyRefused(f"the duty {self.name}: {wrong}")

    @property
    def charge_c_rate(self) -> float:
        """Capacities an hour at which its charge comes in, each kWh counting alike; 0: it is not charged."""
        energy = sum(hours * rate for hours, rate in self.power if rate > 0)
        return sum(hours * rate * rate for hours, rate in self.power if rate > 0) / energy if energy else 0.0

    def rates(self, step_s: float) -> Floats:
        """kW per kWh in each step of the day: means, so that no energy is lost at the edges."""
        edges = np.concatenate([[0.0], np.cumsum([length for length, _ in self.power])])
        energy = np.concatenate([[0.0], np.cumsum([length * rate for length, rate in self.power])])
        grid = np.linspace(0.0, DAY_H, round(DAY_H * 3600 / step_s) + 1)
        found: Floats = np.diff(np.interp(grid, edges, energy)) / (step_s / 3600)
        return found

    def around_c(self, season: int, hour: float) -> float:
        """°C around the pack: warmest at three in the afternoon."""
        return self.ambient_c[season] + self.swing_k * math.cos((hour - 15.0) / 24.0 * 2 * math.pi)


def shipped() -> dict[str, Duty]:
    """The duties of ``duties.toml``."""
    return _read((files("bms_bridge.twin") / "duties.toml").read_bytes(), "duties.toml")


def read_duties(path: Path) -> dict[str, Duty]:
    """Duties of a file. DutyRefused: it cannot be read, or one is none."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DutyRefused(f"{path} is longer than {_MOST_BYTES:,} bytes: no file of duties")
        return _read(path.read_bytes(), str(path))
    except OSError as error:
        raise DutyRefused(f"{path}: {error.strerror or error}") from None


def chosen(
    name: str, *, ambient_c: float, depth: float, c_rate: float, cycles_a_year: float, top_soc: float = TOP_SOC, text: str = ""
) -> Duty:
    """A duty by its numbers: full cycles a year in rounds of ``depth`` (share of nominal), charged at ``c_rate`` (capacities an hour) up to
    ``top_soc``, used evenly in what is left of the day. Fewer rounds than days: it rests in between, full. DutyRefused: it cannot be."""
    wrong = next(
        (
            f"{words} must lie between {least:g} and {most:g}, not at {value:g}"
            for words, value, (least, most) in zip(
                CHOICES, (ambient_c, depth, c_rate, cycles_a_year, top_soc), CHOICES.values(), strict=True
            )
            if not (math.isfinite(value) and least <= value <= most)
        ),
        "depth must not pass the state of charge up to which it is charged" if depth > top_soc else "",
    )
    if wrong:
        raise DutyRefused(f"the duty {name}: {wrong}")
    a_day = cycles_a_year / DAYS_A_YEAR / depth
    rounds = max(1, math.ceil(a_day - 1e-9))
    days = 7.0 if a_day >= 1 else 7.0 * a_day
    brought = depth if a_day < 1 else cycles_a_year / DAYS_A_YEAR / rounds
    charge_h, used_h = brought / c_rate, DAY_H / rounds - brought / c_rate
    if used_h < max(brought / FASTEST_USE_C, charge_h * LEAST_USE_SHARE):
        raise DutyRefused(
            f"the duty {name}: {cycles_a_year:g} full cycles a year, {depth:.0%} a round, charged at {c_rate:g} C, do not fit into days: "
            "take fewer cycles, or charge faster"
        )
    part = ((charge_h, brought / charge_h), (used_h, -brought / used_h))
    return Duty(name, part * rounds, (ambient_c,), text, top_soc=top_soc, floor_soc=FLOOR_SOC, days_per_week=days)


def planned(name: str, power_kw: Sequence[float], *, slot_minutes: float, begins_h: float, capacity_kwh: float, like: Duty) -> Duty:
    """The duty of a planned charge: ``power_kw`` by slot, the first of which begins at ``begins_h`` (0–24) of the local clock.

    What it brings is used evenly in the rest of the day; seasons, cooling and ends are those of ``like``. DutyRefused: nothing of the day
    is left.
    """
    slots = round(DAY_H * 60 / slot_minutes) if slot_minutes >= 1 else 0
    if slots < 1 or not math.isclose(slots * slot_minutes, DAY_H * 60) or capacity_kwh <= 0:
        raise DutyRefused(f"{name}: slots of {slot_minutes:g} minutes (1 or more) do not fill a day, or the capacity is not above 0")
    if not (np.isfinite(power_kw).all() and math.isfinite(begins_h)):
        raise DutyRefused(f"{name}: a power in it is no number")
    power = np.zeros(slots)
    shown = np.asarray(power_kw, dtype=np.float64)[:slots]
    power[: len(shown)] = shown
    used = np.arange(slots) >= len(shown) if len(shown) < slots else power == 0
    if not used.any():
        raise DutyRefused(f"{name}: the plan fills the day; nothing is left to drive in")
    power[used] -= power.sum() / used.sum()
    power = np.roll(power, round(begins_h * 60 / slot_minutes)) / capacity_kwh
    ends = np.flatnonzero(np.append(np.diff(power) != 0, True)) + 1
    starts = np.concatenate([[0], ends[:-1]])
    parts = tuple((float(e - b) * slot_minutes / 60, float(power[b])) for b, e in zip(starts, ends, strict=True))
    return replace(
        like, name=name, power=parts, text="a planned charge, and what it brought used evenly in the rest of the day", days_per_week=7.0
    )


def _read(raw: bytes, where: str) -> dict[str, Duty]:
    try:
        content = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DutyRefused(f"{where} is no TOML: {error}") from None
    if not content:
        raise DutyRefused(f"{where} holds no duty: a table [name] with power = [[hours, kW per kWh], …]")
    return {name: _duty(name, entry, where) for name, entry in content.items()}


def _duty(name: str, entry: object, where: str) -> Duty:
    if not isinstance(entry, Mapping) or "power" not in entry:
        raise DutyRefused(f"{where}: {name} must be a table with power = [[hours, kW per kWh], …]")
    if unknown := sorted(set(entry) - _KEYS):
        raise DutyRefused(f"{where}: {name} has {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}")
    values = dict(entry)
    try:
        values["power"] = tuple((_number(hours), _number(rate)) for hours, rate in values["power"])
        if "ambient_c" in values:
            values["ambient_c"] = tuple(_number(value) for value in values["ambient_c"])
        for key in _KEYS - {"text", "power", "ambient_c"}:
            if key in values:
                values[key] = _number(values[key])
        return Duty(name=name, **{**values, "text": str(values.get("text", ""))})
    except (TypeError, ValueError):
        raise DutyRefused(f"{where}: {name}: power must be [[hours, kW per kWh], …], everything else numbers as in the guide") from None


_MOST_NUMBER: Final = 1e9


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST_NUMBER <= value <= _MOST_NUMBER:
        raise TypeError(value)
    return float(value)
