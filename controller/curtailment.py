"""Solar plants that give less where more would flow to the grid than may: ``depot.export_limit_kw``.

    meter at the connection, plants' readings --curtailed_share()--> share of the rating (model 704), which reverts by itself

A plant that hears nothing more falls back to what export alone allows: a dead controller leaves no more than that. Without a fresh
meter nothing new is told. Only plants with ``control`` are curtailed; where nothing flows out, nobody is told anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from controller.background import STALE_S
from controller.storage_account import FRESH_S
from controller.yard import Yard
from depot.assets import PvReading, PvSpec
from depot.values import Outcome

log = logging.getLogger(__name__)

REFRESH_S = 30.0
"""A limit that holds is told again after this."""

SHOWS_S = 2.0
"""So long a limit takes to show at the meter: a tighter one is not built on what it has not changed yet."""

EASES_S = 3.0
"""Between two steps back up."""


class PlantRim(Protocol):
    """A solar plant as the way to it shows it: :class:`grid.sunspec_assets.PvInverter`."""

    spec: PvSpec
    reading: PvReading | None
    trouble: str

    async def limit(self, share: float, *, reverts_to: float, reversion_s: int) -> Outcome: ...


class Curtailment:
    """Of all plants together; each takes the part of its rating."""

    def __init__(self, yard: Yard, plants: Sequence[PlantRim], *, reversion_s: int, pace: float) -> None:
        self._yard = yard
        self._plants = [plant for plant in plants if plant.spec.curtails]
        self._reversion_s, self._pace = reversion_s, pace
        self._shares: dict[str, float] = {}
        self._sent_s: dict[str, float] = {}
        self._busy: set[str] = set()

    def look(self, now_s: float, tasks: asyncio.TaskGroup | None) -> None:
        """Tell whoever must give less, or may give more again. ``tasks``: who owns the telling; None: nobody yet."""
        site = self._yard.site_reading
        here = [p for p in self._plants if not p.trouble and p.reading and now_s - p.reading.at.timestamp() <= FRESH_S * self._pace]
        if not here or tasks is None or site is None or now_s - site.at.timestamp() > STALE_S * self._pace:
            return
        rated_w = sum(plant.spec.rated_w for plant in here)
        for plant in here:
            self._look(plant, plant.spec.rated_w / rated_w, site.power_w, now_s, tasks)

    def _look(self, plant: PlantRim, part: float, site_w: int, now_s: float, tasks: asyncio.TaskGroup) -> None:
        spec, reading, asset_id = plant.spec, plant.reading, plant.spec.asset_id
        assert reading is not None
        if asset_id in self._busy:
            return
        export_w = round(self._yard.spec.export_limit_w * part)
        before = self._shares.get(asset_id, 1.0 if reading.limit_share is None else reading.limit_share)
        share = curtailed_share(gives_w=reading.gives_w, rated_w=spec.rated_w, site_w=round(site_w * part), export_w=export_w, share=before)
        since_s = (now_s - self._sent_s.get(asset_id, -1e9)) / self._pace
        if share < before:
            due = since_s >= SHOWS_S
        elif share > before:
            due = since_s >= EASES_S
        else:
            due = share < 1.0 and since_s >= REFRESH_S
        if not due:
            return
        self._shares[asset_id], self._sent_s[asset_id] = share, now_s
        self._busy.add(asset_id)
        tasks.create_task(self._tell(plant, share, min(1.0, export_w / spec.rated_w)), name=f"solar plant {asset_id}")

    async def _tell(self, plant: PlantRim, share: float, reverts_to: float) -> None:
        asset_id = plant.spec.asset_id
        try:
            outcome = await plant.limit(share, reverts_to=reverts_to, reversion_s=self._reversion_s)
            if outcome is not Outcome.ACCEPTED:
                self._shares.pop(asset_id, None)  # the next look begins from what it says itself
                log.warning("solar plant %s was told to give at most %.0f %%: %s", asset_id, 100 * share, outcome.value)
        finally:
            self._busy.discard(asset_id)


def curtailed_share(*, gives_w: int, rated_w: int, site_w: int, export_w: int, share: float) -> float:
    """The share of its rating up to which a solar plant may give, so that no more than ``export_w`` flows to the grid. ``share``: up
    to which it may now. 1: nothing is curtailed."""
    over_w = -site_w - export_w
    if over_w > 0:
        return max(0.0, round((min(gives_w, share * rated_w) - 1.02 * over_w) / rated_w, 3))
    if share < 1 and over_w < -0.05 * max(export_w, 0.1 * rated_w):
        return min(1.0, round(share + 0.5 * -over_w / rated_w, 3))
    return share
