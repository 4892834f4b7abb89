"""The section ``[lake]`` of the settings file: how long what batteries said is kept, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from controller.sections import Section, setting


class LakeSection(Section):
    """A process of its own keeps all samples of batteries (docs/lake.md). Without this section only the safety path hears them."""

    hot_days: int = setting(30, "How long rows stay in the lake's database.", unit="d", ge=1, le=90)
    hot_mb: int = setting(4096, "The most of that database; the oldest rows are then in files alone earlier.", unit="MB", ge=64, le=10**6)
    raw_h: int = setting(72, "How long messages are kept as they came, for a replay.", unit="h", ge=1, le=720)
    raw_mb: int = setting(2048, "The most of them; the oldest go first.", unit="MB", ge=16, le=10**6)
    warm_days: int = setting(
        730, "How long Parquet files by day and pack stay in the depot's folder; then the archive, if any.", unit="d", ge=30, le=3650
    )
    archive: Path | None = setting(
        None, "Folder of the archive (another disk, a mounted share). Unset: older rows are dropped; records of packs' lives stay."
    )
    cold_days: int = setting(0, "How long the archive keeps rows. 0: for ever.", unit="d", ge=0, le=36500)
    least_free_mb: int = setting(
        1024, "With less free on the disk one sample of a pack a minute is kept, with a quarter of it none.", unit="MB", ge=16, le=10**6
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if 0 < self.cold_days <= self.warm_days:
            raise ValueError(f"cold_days ({self.cold_days}) is counted from the same day as warm_days ({self.warm_days}): set more, or 0")
        return self
