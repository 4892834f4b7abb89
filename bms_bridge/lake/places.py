"""Where a depot's lake lies: its database, its files, its archive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bms_bridge.lake import LakeError
from bms_bridge.lake.hot import TIER_COLD, FileEntry, lake_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the lake lies. ``folder``: the depot's; ``cold``: of the archive, None: there is none."""

    folder: Path
    depot_id: str
    cold: Path | None = None

    @property
    def database(self) -> Path:
        return lake_file(self.folder, self.depot_id)

    @property
    def root(self) -> Path:
        return self.folder / f"{self.depot_id}-lake"

    @property
    def warm(self) -> Path:
        return self.root / "warm"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def histories(self) -> Path:
        return self.root / "histories"

    @property
    def swap(self) -> Path:
        return self.root / ".swap"

    @property
    def lives(self) -> Path:
        return self.folder / f"{self.depot_id}-lifetimes.json"

    def of(self, entry: FileEntry) -> Path:
        """Where a file of the manifest lies."""
        base = self.cold if entry.tier == TIER_COLD else self.warm
        if base is None:
            raise LakeError(f"{entry.path} is in the archive, and the settings name none")
        return base / entry.path
