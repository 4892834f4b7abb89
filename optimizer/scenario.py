"""Scenario files: one planning horizon of one depot as JSON, ``depot-scenario/2``; the first version is still read.

    file --json--> content --keys, types, references--> Problem          Problem --> content        (plans: plan/2)

What stands where is said in :mod:`optimizer.scenario_fields`. Keys that nobody knows are ignored (files carry notes), but not
those that look like a known one misspelt. A vehicle with ``v2g`` may give up to ``v2g_kw``, where its battery is told
(``battery_kwh``, ``soc_arrival``), down to ``soc_reserve``; fields of the model that a file names itself count before what is
derived. A ``t0`` without an offset is taken as it stands: slots and demand blocks follow its clock.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_origin

import numpy as np

from optimizer.errors import InvalidProblem, InvalidScenario
from optimizer.feeders import Feeder
from optimizer.problem import FloatArray, Problem, Vehicle
from optimizer.scenario_fields import ALSO, BACKGROUND, FEEDER, KEYS_1, PLACES, SCHEMA_1, SCHEMA_2, SITE, TARIFF, TOP, VEHICLE
from optimizer.scenario_packs import battery, holding
from optimizer.scenario_values import Frame, hints, keyed, level, listed, number, numbers, of_fields, of_type, required, shown, whole
from optimizer.scenario_writer import write, write_plan
from optimizer.windows import clock_blocks

__all__ = ["read", "write", "write_plan"]

MAX_BYTES = 64 * 1024 * 1024
"""A larger file is no scenario: ten thousand vehicles with a number of their own per slot have a quarter of it."""

MAX_CELLS = 20_000_000
"""Slots times vehicles; each is a number in several arrays."""


def read(source: Path | str | Mapping[str, Any]) -> Problem:
    """A problem from a file (or its parsed content); :class:`InvalidScenario` says what is wrong where."""
    if isinstance(source, Mapping):
        return _checked(source, "")
    path = Path(source)
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InvalidScenario(f"{path} has {size / 1e6:,.0f} MB; a scenario has at most {MAX_BYTES / 1e6:,.0f} MB")
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once_each)
    except OSError as error:
        raise InvalidScenario(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidScenario(f"{path} is not text; a scenario is a JSON file") from None
    except json.JSONDecodeError as error:
        raise InvalidScenario(f"{path}, line {error.lineno}: this is not JSON ({error.msg})") from None
    except RecursionError:
        raise InvalidScenario(f"{path} is nested too deeply to be a scenario") from None
    except InvalidScenario as error:
        raise InvalidScenario(f"{path}: {error}") from None
    except ValueError as error:  # a whole number of thousands of digits
        raise InvalidScenario(f"{path}: {error}") from None
    return _checked(content, f"{path}: ")


@dataclass(frozen=True, slots=True)
class Form:
    """A version of the format: the keys of each section, and those that must be there."""

    first: bool
    known: Mapping[str, Sequence[str]]
    needed: Mapping[str, Sequence[str]]

    def section(self, value: object, where: str, section: str) -> Mapping[str, Any]:
        """An object, without its notes."""
        known = self.known[section]
        content = keyed(value, where, needed=self.needed[section], known=known)
        return {key: content[key] for key in known if key in content}


def _keys(section: str) -> list[str]:
    its = [key for place, key in PLACES.values() if place == section]
    if section == TOP:
        its = ["tariff", "site", *(name for name in hints(Problem) if name not in PLACES and name != BACKGROUND)]
    return [*its, *ALSO[section]]


FORMS = {
    SCHEMA_1: Form(
        first=True,
        known=KEYS_1,
        needed={
            TOP: ("id", "t0", "n_slots", "slot_minutes", "tariff", "site", "vehicles"),
            TARIFF: ("energy_per_kwh",),
            SITE: ("limit_kw", "base_load_kw", "pv_kw"),
            FEEDER: ("id", "limit_kw"),
            VEHICLE: ("id", "arrival_slot", "departure_slot", "energy_kwh", "p_max_kw", "eff"),
        },
    ),
    SCHEMA_2: Form(
        first=False,
        known={
            **{section: tuple(_keys(section)) for section in (TOP, TARIFF, SITE)},
            FEEDER: (*hints(Feeder), *ALSO[FEEDER]),
            VEHICLE: (*hints(Vehicle), *ALSO[VEHICLE]),
        },
        needed={
            TOP: ("t0", "n_slots", "slot_minutes", "tariff", "site", "vehicles"),
            TARIFF: ("energy_per_kwh",),
            SITE: ("limit_kw",),
            FEEDER: required(Feeder),
            VEHICLE: required(Vehicle),
        },
    ),
}
"""By the schema that a file names; without one it is the first."""


def _checked(content: object, where: str) -> Problem:
    try:
        return _problem(content)
    except InvalidProblem as error:
        raise InvalidScenario(f"{where}{error}") from None


def _problem(content: object) -> Problem:
    schema = content.get("schema", SCHEMA_1) if isinstance(content, Mapping) else SCHEMA_1
    form = FORMS.get(schema) if isinstance(schema, str) else None
    if form is None:
        raise InvalidScenario(f"schema {shown(schema)}: {' and '.join(repr(name) for name in FORMS)} are known")
    scenario = form.section(content, "the scenario", TOP)
    sections = {TOP: scenario, **{name: form.section(scenario[name], name, name) for name in (TARIFF, SITE)}}
    n_slots, slot_minutes = whole(scenario["n_slots"], "n_slots"), number(scenario["slot_minutes"], "slot_minutes")
    vehicles, feeders = listed(scenario["vehicles"], "vehicles"), listed(sections[SITE].get("feeders", []), "site.feeders")
    if not 1 <= n_slots <= 100_000 or not 0 < slot_minutes <= 24 * 60:
        raise InvalidScenario(f"{n_slots} slots of {slot_minutes:g} min: at least one slot, at most 100,000, each at most a day long")
    if n_slots * len(vehicles) > MAX_CELLS:
        raise InvalidScenario(f"{n_slots} slots of {len(vehicles)} vehicles are too many: at most {MAX_CELLS:,} cells")
    frame = Frame(n_slots, _places(feeders), _places(vehicles), _places(sections[SITE].get("storages")))
    values: dict[str, Any] = {}
    for name, hint in hints(Problem).items():
        section, key = PLACES.get(name, (TOP, name))
        where = f"{section}.{key}" if section else key
        if name in ("vehicles", "feeders", BACKGROUND) or key not in sections[section]:
            continue
        value = sections[section][key]
        if get_origin(hint) is np.ndarray:
            value = numbers(value, where, n_slots) if form.first and name == "price_per_kwh" else value
            values[name] = level(value, where, n_slots)
        else:
            values[name] = of_type(hint, value, where, frame, name=name)
    values["background_kw"] = _background(form, sections[SITE], n_slots)
    values["feeders"] = tuple(_feeder(form, entry, n, frame) for n, entry in enumerate(feeders))
    values["vehicles"] = tuple(_vehicle(form, entry, n, frame) for n, entry in enumerate(vehicles))
    return Problem(**(_demand_blocks(sections[TARIFF], t0=values["t0"], slot_minutes=slot_minutes) | values))


def _background(form: Form, site: Mapping[str, Any], n_slots: int) -> FloatArray:
    found = []
    for key in ("base_load_kw", "pv_kw"):
        value = site.get(key, 0.0)
        found.append(numbers(value, f"site.{key}", n_slots) if form.first else level(value, f"site.{key}", n_slots))
    base, sun = (np.asarray(one, dtype=np.float64) for one in found)
    background: FloatArray = base - sun
    return background


def _feeder(form: Form, content: object, n: int, frame: Frame) -> Feeder:
    where = f"site.feeders[{n}]"
    feeder = form.section(content, where, FEEDER)
    given = of_fields(Feeder, feeder, f"{where}.", frame, skip=("limit_kw",))
    return Feeder(**given, limit_kw=level(feeder["limit_kw"], f"feeder {given['id']}: limit_kw", frame.n_slots))


def _vehicle(form: Form, content: object, n: int, frame: Frame) -> Vehicle:
    named = content.get("id") if isinstance(content, Mapping) else None
    who = f"vehicle {named}" if isinstance(named, str) and named else f"vehicles[{n}]"
    vehicle = form.section(content, who, VEHICLE)
    if form.first:
        if frame.feeders and vehicle.get("feeder") is None:
            raise InvalidScenario(f"{who}: the site has {len(frame.feeders)} feeders; say which by 'feeder' (counted from 0)")
        if not frame.feeders:
            vehicle = {key: value for key, value in vehicle.items() if key != "feeder"}
    given = of_fields(Vehicle, vehicle, f"{who}: ", frame)
    if given["departure_slot"] < given["arrival_slot"]:
        raise InvalidScenario(f"{who}: departure_slot {given['departure_slot']} is before arrival_slot {given['arrival_slot']}")
    return Vehicle(**(holding(vehicle, who) | battery(vehicle, who) | given))


def _places(entries: object) -> dict[str, int]:
    """Where the entries with an id stand."""
    if not isinstance(entries, list | tuple):
        return {}
    return {str(entry["id"]): n for n, entry in enumerate(entries) if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)}


def _demand_blocks(tariff: Mapping[str, Any], *, t0: datetime, slot_minutes: float) -> dict[str, float]:
    """Slots per demand block, and how much of the first block lies before ``t0``. Blocks follow the clock of ``t0``."""
    if "demand_interval_min" not in tariff:
        return {}
    minutes = number(tariff["demand_interval_min"], "tariff.demand_interval_min")
    try:
        interval, offset = clock_blocks(t0, slot_minutes=slot_minutes, block_minutes=minutes)
    except InvalidProblem as error:
        raise InvalidScenario(f"tariff.demand_interval_min: {error}") from None
    return {"demand_interval_slots": interval, "demand_offset_slots": offset}


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a file, in which no key stands twice: one of both would be lost."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        named = f" of {shown(content['id'])}" if "id" in content else ""
        raise InvalidScenario(f"the key {shown(twice)} stands twice in an object{named}")
    return content
