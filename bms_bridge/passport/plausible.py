"""Named checks of what a passport says: the right shape is no proof that a battery like this can be. Pure.

Each number of the model has a check of its own, ``<name>_in_range``; the others, below, look at texts and at what must fit together. What
is declared as absent is not judged; a placeholder that is not declared is a finding.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from bms_bridge.passport.fields import BY_PATH, NO_NUMBER, NO_TEXT, NO_TIME, NO_URI, Kind, as_number, at, every

_GENERAL = "/GeneralProductInformation"
_TECHNICAL = "/Performance/batteryTechicalProperties"
_CONDITION = "/Performance/batteryCondition"
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=1)
"""Clocks and zones differ by so much."""

LIGHT_KG: Final = 25.0
_TURNS: Final = re.compile(r"[a-z][A-Z]")
_PIECES: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_UNSPOKEN: Final = re.compile(r"(?i)[^aeiouy]+|.*[^aeiouy]{4}.*")
_IDENTIFIERS: Final = frozenset({"productIdentifier", "identifier", "componentId", "partNumber", "mimeType"})
_HOSTS: Final = ("example.com", "example.org", "example.net", ".example", ".invalid", ".test", "localhost", "ftp.is.co.za", "www.ietf.org")
"""Names of documentation (RFC 2606), and of the examples in RFC 3986 with which generators fill in addresses."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``check``: its name; ``path``: where; ``words``: what is wrong."""

    check: str
    path: str
    words: str


class _Passport:
    """What the checks read: numbers and times that are there and not declared as absent."""

    def __init__(self, aspects: Mapping[str, Any], absent: Mapping[str, Any], now: datetime) -> None:
        self.aspects, self.absent, self.now = aspects, absent, now

    def number(self, path: str) -> float | None:
        return None if path in self.absent else as_number(at(self.aspects, path))

    def time(self, path: str) -> datetime | None:
        return None if path in self.absent else _time(at(self.aspects, path))

    def members(self, path: str) -> list[Mapping[str, Any]]:
        value = None if path in self.absent else at(self.aspects, path)
        return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def findings(aspects: Mapping[str, Any], *, now: datetime, absent: Mapping[str, Any] | None = None) -> list[Finding]:
    """All that cannot be, in the order of the fields; empty for a plausible passport."""
    declared, false = _declared(aspects, absent or {})
    passport = _Passport(aspects, declared, now)
    found = [*false, *_fields(passport)]
    for check in TOGETHER:
        found += [Finding(check.__name__.strip("_"), path, words) for path, words in check(passport)]
    return found


def range_check(name: str) -> str:
    """The name of a number's own check: ``batteryMass`` -> ``battery_mass_in_range``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.replace("SoC", "Soc")).lower() + "_in_range"


def _declared(aspects: Mapping[str, Any], absent: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Finding]]:
    """Places that are declared as absent and hold the placeholder; a value that hides behind such a word is a finding, and judged."""
    honest, false = {}, []
    for path, told in absent.items():
        field, value = BY_PATH.get(path), at(aspects, path)
        if value is None or (field is not None and value == field.missing):
            honest[path] = told
        else:
            false.append(Finding("absent_is_placeholder", path, "it is declared as absent, and has a value"))
    return honest, false


# -- one field -------------------------------------------------------------------------------------------------------------


def _fields(passport: _Passport) -> Iterator[Finding]:
    for field, path, value in every(passport.aspects):
        if value is None or path in passport.absent:
            continue
        if field.kind is Kind.NUMBER:
            value = as_number(value)
            if value is None:
                continue  # the shape's to tell
            if value == NO_NUMBER:
                yield Finding("placeholder_is_declared", path, f"{NO_NUMBER} stands for nothing known, and `absent` does not name it")
            elif field.low is not None and field.high is not None and not field.low <= value <= field.high:
                words = f"{value:.6g} {field.unit} is not within {field.low:g} and {field.high:g}"
                yield Finding(range_check(field.name), path, words)
            continue
        if not isinstance(value, str):
            if field.kind is Kind.TEXTS and isinstance(value, list):
                for index, one in enumerate(value):
                    if isinstance(one, str) and _is_salad(one):
                        yield Finding("words_are_words", f"{path}/{index}", f"{one[:40]!r} is no word of any language")
            continue
        if value in (NO_TEXT, NO_URI, NO_TIME):
            yield Finding("placeholder_is_declared", path, f"{value} stands for nothing known, and `absent` does not name it")
        elif field.kind is Kind.URI:
            words = _address(value)
            if words:
                yield Finding("web_address_is_real", path, words)
        elif field.kind is Kind.CAS:
            if not cas_fits(value):
                yield Finding("cas_check_digit", path, f"{value[:20]!r}: its last digit is not the one that the others give")
        elif field.kind in (Kind.EMAIL, Kind.LETTERS):
            if not _is_email(value):
                yield Finding("email_is_address", path, f"{value[:40]!r} is no address that mail goes to")
        elif field.kind is Kind.TIME:
            yield from _when(passport, path, value)
        elif field.name == "carbonFootprintPerformanceClass":
            if not re.fullmatch(r"(?i)(class )?[a-g]\+{0,3}", value.strip()):
                yield Finding("performance_class_is_class", path, f"{value[:40]!r} is no class; they are letters from A on")
        elif field.kind is Kind.TEXT and field.name not in _IDENTIFIERS and _is_salad(value):
            yield Finding("words_are_words", path, f"{value[:40]!r} is no word of any language")


def _when(passport: _Passport, path: str, value: str) -> Iterator[Finding]:
    moment = _time(value)
    if moment is None:
        yield Finding("time_can_be", path, f"{value[:40]!r} is no day of the calendar")
    elif moment < _EARLIEST:
        yield Finding("time_can_be", path, f"{value[:40]} is before there were such batteries")
    elif moment > passport.now + _AHEAD:
        yield Finding("time_can_be", path, f"{value[:40]} has not come yet")


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _is_salad(text: str) -> bool:
    """A long word as generators make them: capitals in its midst, and between them pieces that nobody can speak."""
    for word in text.split():
        if len(word) >= 8 and word.isascii() and word.isalpha() and len(_TURNS.findall(word)) >= 2:
            unspoken = sum(bool(_UNSPOKEN.fullmatch(piece)) for piece in _PIECES.findall(word))
            if unspoken >= 2:
                return True
    return False


def _is_email(value: str) -> bool:
    name, _, host = value.partition("@")
    labels = host.split(".")
    sound = all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", label) for label in labels)
    return len(value) <= 254 and bool(re.fullmatch(r"[A-Za-z0-9_]+([.+-][A-Za-z0-9_]+)*", name)) and len(labels) > 1 and sound


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        host = (parts.hostname or "").lower()
    except ValueError:
        return f"{value[:60]!r} is no address"
    if parts.scheme.lower() not in ("http", "https"):
        return f"{value[:60]!r} is no page of the web (http, https)"
    if any(host == name.removeprefix(".") or host.endswith(name if name.startswith(".") else f".{name}") for name in _HOSTS):
        return f"{host} is a name for examples"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "" if "." in host else f"{host[:60]!r} is no name of the internet"
    return f"{host} is a number of a machine, not a place that lasts"


def cas_fits(value: str) -> bool:
    """Whether the check digit of a CAS number is right: the digits before it, from the right, times 1, 2, 3 …, modulo 10."""
    digits = value.replace("-", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) < 5:
        return False
    return sum(place * int(digit) for place, digit in enumerate(reversed(digits[:-1]), 1)) % 10 == int(digits[-1])


# -- what must fit together ------------------------------------------------------------------------------------------------

_Found = Iterator[tuple[str, str]]


def voltages_in_order(p: _Passport) -> _Found:
    """Lowest, nominal and highest voltage."""
    values = [p.number(f"{_TECHNICAL}/{name}") for name in ("minimumVoltage", "nominalVoltage", "maximumVoltage")]
    known = [value for value in values if value is not None]
    if known != sorted(known) or len(set(known)) < len(known):
        yield f"{_TECHNICAL}/nominalVoltage", "lowest, nominal and highest voltage are not in this order"


def energy_is_charge_times_voltage(p: _Passport) -> _Found:
    """Within a quarter: usable energy is a little less."""
    energy_kwh, charge_ah, voltage_v = (p.number(f"{_TECHNICAL}/{name}") for name in ("ratedEnergy", "ratedCapacity", "nominalVoltage"))
    if energy_kwh and charge_ah and voltage_v and not 0.75 <= energy_kwh * 1000 / (charge_ah * voltage_v) <= 1.25:
        yield f"{_TECHNICAL}/ratedEnergy", f"{energy_kwh:g} kWh is not {charge_ah:g} Ah at {voltage_v:g} V"


def energy_fits_mass(p: _Passport) -> _Found:
    """10 to 400 Wh/kg of a whole battery."""
    energy_kwh, mass_kg = p.number(f"{_TECHNICAL}/ratedEnergy"), p.number(f"{_GENERAL}/batteryMass")
    if energy_kwh and mass_kg and mass_kg > 0 and not 10 <= energy_kwh * 1000 / mass_kg <= 400:
        yield f"{_GENERAL}/batteryMass", f"{energy_kwh:g} kWh in {mass_kg:g} kg is {energy_kwh * 1000 / mass_kg:.3g} Wh/kg"


def power_within_rating(p: _Passport) -> _Found:
    """What it gives at a state of charge against the most that it is rated for."""
    most_kw = p.number(f"{_TECHNICAL}/ratedMaximumPower")
    for index, one in enumerate(p.members(f"{_TECHNICAL}/originalPowerCapability")):
        power_kw = as_number(one.get("powerCapabilityAt"))
        if most_kw and most_kw > 0 and power_kw is not None and power_kw > 1.2 * most_kw:
            yield f"{_TECHNICAL}/originalPowerCapability/{index}", f"{power_kw:g} kW is more than the rated {most_kw:g} kW"


def dates_in_order(p: _Passport) -> _Found:
    """Made, then put into service, then measured."""
    made, served = p.time(f"{_GENERAL}/manufacturingDate"), p.time(f"{_GENERAL}/puttingIntoService")
    if made and served and served < made - _AHEAD:
        yield f"{_GENERAL}/puttingIntoService", "it was in service before it was made"
    for _, path, value in every(p.aspects):
        if made and path.endswith("/lastUpdate") and path not in p.absent:
            moment = _time(value)
            if moment is not None and moment < made - _AHEAD:
                yield path, "it was measured before it was made"


def remaining_within_rated(p: _Passport) -> _Found:
    """New batteries hold up to 15 % more than their rating."""
    pairs = (("remainingCapacity/remainingCapacityValue", "ratedCapacity"), ("remainingEnergy/remainingEnergyalue", "ratedEnergy"))
    for left_name, rated_name in pairs:
        left, rated = p.number(f"{_CONDITION}/{left_name}"), p.number(f"{_TECHNICAL}/{rated_name}")
        if left is not None and rated is not None and rated > 0 and left > 1.15 * rated:
            yield f"{_CONDITION}/{left_name}", f"{left:g} is left of {rated:g}"


def fade_fits_capacity(p: _Passport) -> _Found:
    """Capacity fade against what is left of the rating, within 5 %-points."""
    fade = p.number(f"{_CONDITION}/capacityFade/capacityFadeValue")
    left_ah, rated_ah = p.number(f"{_CONDITION}/remainingCapacity/remainingCapacityValue"), p.number(f"{_TECHNICAL}/ratedCapacity")
    if fade is not None and left_ah is not None and rated_ah and rated_ah > 0 and abs(fade - 100 * (1 - left_ah / rated_ah)) > 5:
        yield f"{_CONDITION}/capacityFade/capacityFadeValue", f"a fade of {fade:g} % does not leave {left_ah:g} of {rated_ah:g} Ah"


def cycles_fit_throughput(p: _Passport) -> _Found:
    """A full cycle is the rated energy in and out; within a factor of two from ten cycles on."""
    cycles = p.number(f"{_CONDITION}/numberOfFullCycles/numberOfFullCyclesValue")
    through_kwh, rated_kwh = p.number(f"{_CONDITION}/energyThroughput"), p.number(f"{_TECHNICAL}/ratedEnergy")
    if cycles is not None and through_kwh is not None and rated_kwh and rated_kwh > 0:
        counted = through_kwh / (2 * rated_kwh)
        if max(cycles, counted) > 10 and not 0.5 <= (cycles + 1e-9) / (counted + 1e-9) <= 2:
            yield f"{_CONDITION}/numberOfFullCycles/numberOfFullCyclesValue", f"{cycles:g} cycles, but energy for {counted:.3g}"


def throughput_fits_voltage(p: _Passport) -> _Found:
    """Energy by charge is a voltage that the battery can have."""
    through_kwh, through_ah = (
        p.number(f"{_CONDITION}/energyThroughput"),
        p.number(f"{_CONDITION}/capacityThroughput/capacityThroughputValue"),
    )
    low_v, high_v = p.number(f"{_TECHNICAL}/minimumVoltage"), p.number(f"{_TECHNICAL}/maximumVoltage")
    if through_kwh and through_ah and through_ah > 1 and low_v is not None and high_v is not None:
        mean_v = through_kwh * 1000 / through_ah
        if not 0.9 * low_v <= mean_v <= 1.1 * high_v:
            yield f"{_CONDITION}/energyThroughput", f"energy by charge is {mean_v:.4g} V, outside {low_v:g} to {high_v:g} V"


def extremes_within_age(p: _Passport) -> _Found:
    """Time in extreme temperatures cannot be longer than the battery is old."""
    made = p.time(f"{_GENERAL}/manufacturingDate")
    for name in ("timeExtremeHighTemp", "timeExtremeLowTemp", "timeExtremeHighTempCharging", "timeExtremeLowTempCharging"):
        path = f"{_CONDITION}/temperatureInformation/{name}"
        minutes = p.number(path)
        if made and minutes is not None and minutes > (p.now - made).total_seconds() / 60 + 1440:
            yield path, f"{minutes:g} min is longer than the battery is old"


def carbon_stages_sum(p: _Passport) -> _Found:
    """The stages of life add up to the whole, as kg or as shares, within a tenth; each stage once."""
    members, path = p.members("/CarbonFootprint/carbonFootprintPerLifecycleStage"), "/CarbonFootprint/carbonFootprintPerLifecycleStage"
    names = [one.get("lifecycleStage") for one in members]
    if len(set(map(str, names))) < len(names):
        yield path, "a stage stands there twice"
    values = [as_number(one.get("carbonFootprint")) for one in members]
    numbers = [value for value in values if value is not None]
    whole = p.number("/CarbonFootprint/batteryCarbonFootprint")
    if len(names) == 4 and len(numbers) == 4 and whole is not None:
        total = sum(numbers)
        if not any(goal and 0.9 <= total / goal <= 1.1 for goal in (whole, 100.0, 1.0)):
            yield path, f"the stages add up to {total:.4g}, neither to {whole:.4g} nor to 100 %"


def recycled_shares_sum(p: _Passport) -> _Found:
    """Shares of one material add up to 100 % at most, and each material stands once."""
    seen: set[str] = set()
    for index, one in enumerate(p.members("/Circularity/recycledContent")):
        path, name = f"/Circularity/recycledContent/{index}", str(one.get("recycledMaterial"))
        if name in seen:
            yield path, f"{name} stands there twice"
        seen.add(name)
        total = sum(as_number(one.get(share)) or 0.0 for share in ("preConsumerShare", "postConsumerShare"))
        if total > 100:
            yield path, f"{total:g} % of {name[:40]} is recycled"


def materials_within_mass(p: _Passport) -> _Found:
    """The materials weigh no more than the battery."""
    mass_kg = p.number(f"{_GENERAL}/batteryMass")
    total_g = sum(as_number(one.get("batteryMaterialMass")) or 0.0 for one in p.members("/MaterialComposition/batteryMaterials"))
    if mass_kg is not None and mass_kg > 0 and total_g > 1020 * mass_kg:
        yield "/MaterialComposition/batteryMaterials", f"materials of {total_g / 1000:.4g} kg in a battery of {mass_kg:g} kg"


def hazardous_shares_sum(p: _Passport) -> _Found:
    """Concentrations of all substances together."""
    shares: dict[str, float] = {}
    for one in p.members("/MaterialComposition/hazardousSubstances"):
        share = as_number(one.get("hazardousSubstanceConcentration"))
        if share is not None:
            shares[str(one.get("hazardousSubstanceIdentifier"))] = share
    if sum(shares.values()) > 100:
        yield "/MaterialComposition/hazardousSubstances", f"substances add up to {sum(shares.values()):.4g} %"


def light_battery_is_light(passport: _Passport) -> _Found:
    """A battery of light means of transport weighs 25 kg at most (Article 3 (1) (11) of Regulation (EU) 2023/1542)."""
    category, mass_kg = f"{_GENERAL}/batteryCategory", passport.number(f"{_GENERAL}/batteryMass")
    if category not in passport.absent and at(passport.aspects, category) == "lmt" and mass_kg is not None and mass_kg > LIGHT_KG:
        yield category, f"a battery of {mass_kg:g} kg is none of light means of transport: these weigh {LIGHT_KG:g} kg at most"


TOGETHER: Final[tuple[Callable[[_Passport], _Found], ...]] = (
    voltages_in_order, energy_is_charge_times_voltage, energy_fits_mass, power_within_rating, dates_in_order, remaining_within_rated,
    fade_fits_capacity, cycles_fit_throughput, throughput_fits_voltage, extremes_within_age, carbon_stages_sum, recycled_shares_sum,
    materials_within_mass, hazardous_shares_sum, light_battery_is_light,
)  # fmt: skip
