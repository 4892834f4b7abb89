"""What is shown of one battery, and of all that are tripped: shapes alone, filled by :mod:`controller.pack_viewer`. ``None``
means unknown. Powers of these routes are shares of the level; °C, V, A, ohm, seconds."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from controller.safety_view import Degrees, PackRow, TrippedPack


class PacksView(Struct, frozen=True, kw_only=True):
    """Batteries, those first that need somebody. ``count``: all that something is known of; the list may be a part of them."""

    at: datetime
    packs: list[PackRow]
    count: int


class TripsView(Struct, frozen=True, kw_only=True):
    """All tripped batteries with the signals that caused it, the newest first."""

    at: datetime
    trips: list[TrippedPack]


class Told(Struct, frozen=True, kw_only=True):
    """The newest word of one source. ``temperatures_c`` by sensor and ``cells_v`` by cell, None where one has no value;
    ``limit_a``, ``limit_v``: what the battery's management allows, ``stop``: it demands that charging ends."""

    source: str
    age_s: float
    temperatures_c: list[float | None]
    cells_v: list[float | None]
    cell_min_v: float | None
    cell_max_v: float | None
    soc: float | None
    soh: float | None
    voltage_v: float | None
    current_a: float | None
    insulation_ohm: float | None
    limit_a: float | None
    limit_v: float | None
    stop: bool
    alarms: list[str]
    firmware: str


class RuleRow(Struct, frozen=True, kw_only=True):
    """A rule that watches it. ``layer``: L1 (mirrored) to L4; ``within_s``: how soon its trip follows; ``why_not``: why it is *not
    monitored* now; empty: it is."""

    name: str
    layer: str
    threshold: str
    within_s: float
    why_not: str


class Limits(Struct, frozen=True, kw_only=True):
    """What the battery is judged by, °C."""

    cold_stop_c: float
    cold_full_c: float
    derate_from_c: float
    derate_full_c: float
    trip_c: float
    reset_below_c: float


class PackDanger(Struct, frozen=True, kw_only=True):
    """A battery that is or was above 70 °C (docs/state-of-safety.md). ``state_of_safety``: 1 sound to 0; ``stage`` of a runaway, 0 to 3;
    ``node_c``: hottest place inside; ``runaway_low_s``, ``runaway_high_s``: until a runaway if it loses no heat, None: not foreseen.
    ``seen``: what the rule of the 90 seconds says of its sensors (evacuate, clear, maintenance); ``foreseen``: the same by a model of
    a pack whose build nobody knows, and when its second module would follow."""

    state_of_safety: float
    stage: int
    node_c: float
    runaway_low_s: float | None
    runaway_high_s: float | None
    text: str
    seen: str | None
    foreseen: str
    second_module_low_s: float | None
    second_module_high_s: float | None


class PackDetail(Struct, frozen=True, kw_only=True):
    """All that is known of one battery. ``told``: by source, the newest first. ``issues``: what of its newest sample was not
    believed. ``expected``: it must be heard of now. ``capacity_wh``, ``cells``: as registered. ``limit_w``: the most that it may take now,
    at the battery. ``danger``: None: it was never above 70 °C."""

    at: datetime
    row: PackRow
    expected: bool
    capacity_wh: int | None
    cells: int | None
    told: list[Told]
    issues: list[str]
    limit_w: int | None
    rules: list[RuleRow]
    limits: Limits
    curve: list[Degrees]
    trip: TrippedPack | None
    danger: PackDanger | None = None
