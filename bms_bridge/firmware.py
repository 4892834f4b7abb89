"""What units' programs are known to do differently, as data: firmware profiles (TOML, ``schema = "firmware-profiles/1"``).

    [[profile]]
    firmware = "acme 2.*"                  what the unit says of itself; a * at the end stands for anything
    title = "Acme BMS 2, before 2.4"
    [profile.units]                        converted, because somebody who knows has said so
    soc = "percent"
    temperatures_c = "0.1 °C"
    [profile.invalid]                      numbers, as the unit sends them, that stand for "not available"
    temperatures_c = [-40.0, 215.0]
    [profile.ranges]                       what it can send, as the contract has it; beyond that it is told, and still taken
    current_a = [-400, 400]
    [profile.quirks]
    current_sign = "discharging_positive"
    clock = false                          its time is worth nothing: the time of arrival counts
    sequence = false                       its numbers are worth nothing
    sensors = 8                            how many it has
    cells = 96
    fields = ["temperatures_c", "soc"]     what it sends; another field, or one that is missing, is told

A name of its own counts before a pattern, and of patterns the longest that fits. A firmware that no profile fits is taken as the
contract says, with a note. A profile can explain numbers, never hide a hot one: no code for "not available" may lie where a hot
battery is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from bms_bridge import InvalidTelemetry
from bms_bridge.contract import PackSample
from bms_bridge.issues import Issue, IssueKind
from bms_bridge.units import UNITS, Unit, unit_of

SCHEMA: Final = "firmware-profiles/1"
MOST_PROFILES: Final = 1000
_FIELDS = tuple(UNITS)
_COOL_C, _BURNT_C = 0.0, 150.0
_SINGLE = tuple(name for name in _FIELDS if name not in ("temperatures_c", "cells_v"))

FieldName = Literal[
    "temperatures_c", "soc", "soh", "current_a", "voltage_v", "cell_min_v", "cell_max_v", "cells_v", "insulation_ohm", "limit_a", "limit_v",
]  # fmt: skip
Numbers = Annotated[tuple[float, ...], msgspec.Meta(max_length=16)]


class _Quirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    current_sign: Literal["charging_positive", "discharging_positive"] = "charging_positive"
    clock: bool = True
    sequence: bool = True
    sensors: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    cells: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    fields: tuple[FieldName, ...] | None = None


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One profile, as it stands in the file."""

    firmware: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    title: Annotated[str, msgspec.Meta(max_length=200)] = ""
    source: Annotated[str, msgspec.Meta(max_length=400)] = ""
    units: Mapping[FieldName, str] = {}
    invalid: Mapping[FieldName, Numbers] = {}
    ranges: Mapping[FieldName, tuple[float, float]] = {}
    quirks: _Quirks = _Quirks()

    def fits(self, firmware: str) -> bool:
        """Whether it is this firmware's."""
        return firmware.startswith(self.firmware[:-1]) if self.firmware.endswith("*") else firmware == self.firmware


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Literal["firmware-profiles/1"]
    profile: Annotated[tuple[Profile, ...], msgspec.Meta(max_length=MOST_PROFILES)] = ()


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of a depot. ``found``: which one each firmware has that was asked for, so far."""

    profiles: tuple[Profile, ...] = ()
    found: dict[str, Profile | None] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Profiles:
        """Raises :class:`~bms_bridge.InvalidTelemetry` for a file that is not there or not right; the message says where."""
        try:
            return cls.of(tomllib.loads(path.read_text(encoding="utf-8")), name=str(path))
        except OSError as error:
            raise InvalidTelemetry(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InvalidTelemetry(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            raise InvalidTelemetry(f"{path} is not TOML: {error}") from error

    @classmethod
    def of(cls, raw: Mapping[str, Any], *, name: str = "firmware profiles") -> Profiles:
        """The profiles of a parsed file. Raises :class:`~bms_bridge.InvalidTelemetry`."""
        try:
            file = msgspec.convert(dict(raw), _File, strict=True)
        except msgspec.ValidationError as error:
            raise InvalidTelemetry(f"{name}: {error}") from None
        problems = [f"{name}: profile {profile.firmware!r}: {words}" for profile in file.profile for words in _wrong(profile)]
        patterns = [profile.firmware for profile in file.profile]
        problems += [f"{name}: two profiles are for {pattern!r}" for pattern in sorted({p for p in patterns if patterns.count(p) > 1})]
        if problems:
            raise InvalidTelemetry("\n".join(problems))
        return cls(tuple(sorted(file.profile, key=lambda profile: (profile.firmware.endswith("*"), -len(profile.firmware)))))

    def of_firmware(self, firmware: str) -> Profile | None:
        """The profile of a firmware; None: there is none."""
        if not self.profiles or not firmware:
            return None
        if firmware not in self.found:
            if len(self.found) >= MOST_PROFILES:
                self.found.clear()  # somebody sends another name each time
            self.found[firmware] = next((profile for profile in self.profiles if profile.fits(firmware)), None)
        return self.found[firmware]


def _wrong(profile: Profile) -> Iterable[str]:
    for name, said in profile.units.items():
        if unit_of(name, said) is None:
            yield f"units.{name}: {said!r} is not known; known are {', '.join(known.name for known in UNITS[name])}"
    for name, (least, most) in profile.ranges.items():
        if not least < most:
            yield f"ranges.{name}: {least:g} must lie below {most:g}"
    unit = unit_of("temperatures_c", profile.units.get("temperatures_c", "")) or Unit("°C", 1.0)
    for code in profile.invalid.get("temperatures_c", ()):
        if _COOL_C < unit.convert(code) < _BURNT_C:
            yield f"invalid.temperatures_c: {code:g} is {unit.convert(code):g} °C, which a battery can have"
    for name in ("cells_v", "cell_max_v"):
        volts = unit_of(name, profile.units.get(name, "")) or Unit("V", 1.0)
        for code in profile.invalid.get(name, ()):
            if 1.0 < volts.convert(code) <= 5.0:
                yield f"invalid.{name}: {code:g} is {volts.convert(code):g} V, which a cell can have"


def read_by(profile: Profile, sample: PackSample, issues: list[Issue]) -> PackSample:
    """The sample as its firmware means it: codes taken out, units and sign as the contract has them. What does not fit the
    profile is told and taken all the same."""
    quirks = profile.quirks
    changes: dict[str, Any] = {}
    for name in {*profile.units, *profile.invalid} - {"temperatures_c", "cells_v"}:
        changes[name] = _one(profile, name, getattr(sample, name))
    for name in {*profile.units, *profile.invalid} & {"temperatures_c", "cells_v"}:
        changes[name] = tuple(_one(profile, name, value) for value in getattr(sample, name))
    if quirks.current_sign == "discharging_positive":
        current_a = changes.get("current_a", sample.current_a)
        changes["current_a"] = None if current_a is None else -current_a
    if not quirks.clock and not sample.retained:
        changes["reported_at"] = None
    if not quirks.sequence:
        changes["sequence"] = None
    if changes:
        sample = replace(sample, **changes)
    _compare(profile, sample, issues)
    return sample


def _one(profile: Profile, name: str, value: float | None) -> float | None:
    if value is None or value in profile.invalid.get(name, ()):  # type: ignore[call-overload]  # its keys are such names
        return None
    unit = unit_of(name, profile.units.get(name, ""))  # type: ignore[call-overload]
    return value if unit is None else unit.convert(value)


def _compare(profile: Profile, sample: PackSample, issues: list[Issue]) -> None:
    """Tell of what this firmware does not send otherwise."""
    quirks = profile.quirks
    if quirks.sensors is not None and len(sample.temperatures_c) != quirks.sensors:
        issues.append(Issue(IssueKind.FIRMWARE, f"this firmware has {quirks.sensors} sensors; it tells {len(sample.temperatures_c)}"))
    if quirks.cells is not None and sample.cells_v and len(sample.cells_v) != quirks.cells:
        issues.append(Issue(IssueKind.FIRMWARE, f"this firmware has {quirks.cells} cells; it tells {len(sample.cells_v)}"))
    if quirks.fields is not None:
        told = {name for name in _SINGLE if getattr(sample, name) is not None}
        told |= {name for name in ("temperatures_c", "cells_v") if getattr(sample, name)}
        for words, names in (("does not send", told - {*quirks.fields}), ("should send", {*quirks.fields} - told)):
            if names:
                issues.append(Issue(IssueKind.FIRMWARE, f"this firmware {words} {', '.join(sorted(names))}"))
    for name, (least, most) in profile.ranges.items():
        values = getattr(sample, name)
        several = values if isinstance(values, tuple) else (values,)
        wrong = [value for value in several if value is not None and not least <= value <= most]
        if wrong:
            issues.append(Issue(IssueKind.FIRMWARE, f"this firmware says {name} from {least:g} to {most:g}; it says {wrong[0]:g}"))
