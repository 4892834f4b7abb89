"""What drives and who drives it: vehicles, their packs, drivers, as people registered them. Small values, checked where
they are made; kept as facts (:mod:`depot.events`) and folded into :class:`depot.state.DepotState`.

Unknown is None, never 0: 0 W of AC says that the vehicle takes no AC. A driver's name never stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from depot.values import ConnectorId, InvalidValue, PackKey

MAX_ENTRIES = 5000
"""Of each kind, in one depot."""

MAX_TAGS = 16
"""Cards and tags of one vehicle or driver."""

_ID_LENGTH = 64
_TEXT_LENGTH = 120
_TAG_LENGTH = 36
"""OCPP 2.0.1 IdTokenType.idToken; an idTag of 1.6 has at most 20."""
_MAX_W = 10_000_000
_MAX_WH = 10_000_000
_MAX_PRECONDITION_W = 100_000
MAX_PRECONDITION_MIN = 240
"""Warming for longer than this before a departure is a mistake."""


@dataclass(frozen=True, slots=True)
class Vehicle:
    """``battery_wh``: usable. ``ac_max_w``, ``dc_max_w``: most that it takes from the grid through such a connector (0: it
    takes none, None: not known, so the connector's rating counts). ``efficiency``: battery per grid energy. ``pausable``:
    whether its session survives 0 W (None: not known = no). ``connector``: where it usually stands. ``discharge_max_w``: most
    that it gives to the grid (0 or None: it gives nothing). ``phases``: on how many phases its own charger draws AC (None: not known).
    ``precondition_w`` for ``precondition_min`` before it departs: what warming or cooling draws while it is still plugged in (None: as
    the settings say, 0: none)."""

    vehicle_id: str
    model: str = ""
    battery_wh: int | None = None
    ac_max_w: int | None = None
    dc_max_w: int | None = None
    efficiency: float = 0.9
    pausable: bool | None = None
    id_tags: tuple[str, ...] = ()
    connector: ConnectorId | None = None
    discharge_max_w: int | None = None
    phases: int | None = None
    precondition_w: int | None = None
    precondition_min: int | None = None

    def __post_init__(self) -> None:
        who = f"vehicle {self.vehicle_id[:_ID_LENGTH]}"
        _check_id(self.vehicle_id, "a vehicle")
        _check_text(self.model, f"{who}: model")
        _check_amount(self.battery_wh, f"{who}: battery", 1, _MAX_WH, "Wh")
        _check_amount(self.ac_max_w, f"{who}: AC power", 0, _MAX_W, "W")
        _check_amount(self.dc_max_w, f"{who}: DC power", 0, _MAX_W, "W")
        _check_amount(self.discharge_max_w, f"{who}: discharge power", 0, _MAX_W, "W")
        _check_amount(self.phases, f"{who}: number of phases", 1, 3, "phases")
        _check_amount(self.precondition_w, f"{who}: preconditioning", 0, _MAX_PRECONDITION_W, "W")
        _check_amount(self.precondition_min, f"{who}: preconditioning", 0, MAX_PRECONDITION_MIN, "min")
        if bool(self.precondition_w) != bool(self.precondition_min):
            raise InvalidValue(f"{who}: preconditioning needs both its power and its minutes; 0 kW says that there is none")
        if self.ac_max_w == 0 and self.dc_max_w == 0:
            raise InvalidValue(f"{who} takes neither AC nor DC: leave empty what is not known")
        if not 0.3 <= self.efficiency <= 1:
            raise InvalidValue(f"{who}: efficiency {self.efficiency:g} must be within 0.3 and 1")
        _check_tags(self.id_tags, who)


@dataclass(frozen=True, slots=True)
class Pack:
    """One battery pack. ``chemistry``: ``LFP``, ``NMC`` … or ``unknown`` (then the most delicate one is assumed);
    ``capacity_wh``: when new; ``cells``: in series."""

    key: PackKey
    chemistry: str = "unknown"
    capacity_wh: int | None = None
    cells: int | None = None

    def __post_init__(self) -> None:
        _check_id(self.key.vehicle_id, "a vehicle")
        _check_id(self.key.pack_id, "a pack")
        who = f"pack {self.key}"
        if not self.chemistry or len(self.chemistry) > 16 or not self.chemistry.isalnum():
            raise InvalidValue(f"{who}: {self.chemistry[:16]!r} is no chemistry")
        _check_amount(self.capacity_wh, f"{who}: capacity", 1, _MAX_WH, "Wh")
        _check_amount(self.cells, f"{who}: number of cells", 1, 10_000, "cells")


@dataclass(frozen=True, slots=True)
class Driver:
    """``driver_id`` is a pseudonym (a staff number). The name for the screens stands apart, where it can be deleted
    (:mod:`controller.names`)."""

    driver_id: str
    id_tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.driver_id, "a driver")
        _check_tags(self.id_tags, f"driver {self.driver_id}")


def shared_tags(tags: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Pairs of owners with one tag: nobody could say whose session it is."""
    owner: dict[str, str] = {}
    pairs = []
    for name, mine in tags.items():
        for tag in {tag.casefold() for tag in mine}:
            if tag in owner:
                pairs.append((owner[tag], name))
            owner[tag] = name
    return pairs


def same_tag(one: str, other: str) -> bool:
    """Whether two idTags are the same; case does not count (OCPP CiString, identifierString)."""
    return one.casefold() == other.casefold()


def _check_id(text: str, kind: str) -> None:
    if not text or len(text) > _ID_LENGTH or text != text.strip() or not text.isprintable() or "/" in text:
        raise InvalidValue(
            f"{text[:_ID_LENGTH]!r} is no id of {kind}: 1 to {_ID_LENGTH} printable characters, no slash, no space at its ends"
        )


def _check_text(text: str, what: str) -> None:
    if len(text) > _TEXT_LENGTH or not text.isprintable():
        raise InvalidValue(f"{what} must be at most {_TEXT_LENGTH} printable characters")


def _check_tags(tags: tuple[str, ...], who: str) -> None:
    if len(tags) > MAX_TAGS:
        raise InvalidValue(f"{who} has {len(tags)} tags; {MAX_TAGS} is the most")
    for tag in tags:
        if not tag or len(tag) > _TAG_LENGTH or not tag.isprintable() or " " in tag:
            raise InvalidValue(f"{who}: {tag[:_TAG_LENGTH]!r} is no tag: 1 to {_TAG_LENGTH} printable characters without spaces")
    if len({tag.casefold() for tag in tags}) != len(tags):
        raise InvalidValue(f"{who} has a tag twice")


def _check_amount(value: int | None, what: str, least: int, most: int, unit: str) -> None:
    if value is not None and not least <= value <= most:
        raise InvalidValue(f"{what} must be within {least:,} and {most:,} {unit}, not {value:,}")
