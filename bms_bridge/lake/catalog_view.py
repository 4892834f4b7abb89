"""What the lake shows: catalogue, the record of a pack's life, a finished archive. Shapes only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class ColumnView(msgspec.Struct, frozen=True):
    """A column. ``since``: the version of the columns that brought it."""

    name: str
    type: str
    unit: str
    meaning: str
    source: str
    since: int


class DatasetView(msgspec.Struct, frozen=True):
    """``name``: hot (database), warm (Parquet), cold (archive), raw (messages as they came). ``files``: 0 for tables."""

    name: str
    rows: int
    bytes: int
    files: int
    packs: int
    first_at: datetime | None
    last_at: datetime | None
    kept: str


class ReplayView(msgspec.Struct, frozen=True):
    """A replay of raw messages. ``done`` false: it was cut off, or runs."""

    number: int
    at: datetime
    by: str
    rows: int
    changed: int
    new: int
    withdrawn: int
    done: bool


class LakeCatalogView(msgspec.Struct, frozen=True):
    """The catalogue. ``state``: good, thin or full; ``trouble``: what is wrong, for people. ``dropped``: samples that did not
    reach the lake since the core's start, None where the core was not asked."""

    schema: str
    columns: list[ColumnView]
    datasets: list[DatasetView]
    packs: int
    replays: list[ReplayView]
    histories: int
    state: str = "good"
    trouble: str = ""
    dropped: int | None = None


class PackLifeView(msgspec.Struct, frozen=True):
    """The record of a pack's life in this depot, and what came with it from others (``inherited``). docs/lake.md says what stands in
    ``record``."""

    vehicle_id: str
    pack_id: str
    pack: str
    record: dict[str, Any]
    inherited: list[dict[str, Any]]


class PackHistoryView(msgspec.Struct, frozen=True):
    """A finished archive with a pack's whole history. ``name``: of the file; ``fingerprint``: of the key that signed it."""

    name: str
    rows: int
    bytes: int
    fingerprint: str
