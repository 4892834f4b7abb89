"""Which batteries the table shows, and in which order: what the person asked for in the address. Pure.

/batteries?text=V-1&look=weak&order=fade        words that do not exist count as not asked
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.health_view import PackHealthRow

MOST_TEXT: Final = 80
TESTED: Final = 0.8

LOOKS: Final = {
    "anomaly": "with an anomaly",
    "weak": "below 80 %, or perhaps",
    "none": "without an estimate",
    "test": "test required",
    "well": "all others",
}
ORDERS: Final = {"": "weakest first", "vehicle": "by vehicle", "fade": "fastest fade first", "age": "longest not estimated first"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """``text``: part of vehicle, pack, chemistry or grade; ``look``: one of :data:`LOOKS`, "" all; ``order``: one of :data:`ORDERS`."""

    text: str = ""
    look: str = ""
    order: str = ""

    @classmethod
    def of(cls, said: Mapping[str, str]) -> Wanted:
        """From an address."""
        look, order = said.get("look", ""), said.get("order", "")
        return cls(said.get("text", "").strip()[:MOST_TEXT], look if look in LOOKS else "", order if order in ORDERS else "")

    def holds(self, row: PackHealthRow, anomalies: int) -> bool:
        """Whether a pack is shown."""
        words = f"{row.vehicle_id}/{row.pack_id} {row.chemistry} {row.grade}".casefold()
        return self.text.casefold() in words and self._looks(row, anomalies)

    def _looks(self, row: PackHealthRow, anomalies: int) -> bool:
        low = row.soh.low if row.soh is not None else None
        kinds = {
            "anomaly": anomalies > 0,
            "weak": low is not None and low < TESTED,
            "none": row.soh is None or row.soh.value is None,
            "test": row.grade == "test required",
        }
        if self.look == "well":
            return not any(kinds.values())
        return not self.look or kinds[self.look]

    def sorted(self, rows: Sequence[PackHealthRow], anomalies: Counter[str]) -> list[PackHealthRow]:
        """In the order that was asked for; packs of which it is not known come last."""

        def key(row: PackHealthRow) -> tuple[float, ...]:
            if self.order == "vehicle":
                return ()
            if self.order == "fade":
                return (9.0 if row.trend.per_year is None else row.trend.per_year,)
            if self.order == "age":
                return (float("inf") if row.soh is None else row.soh.until.timestamp(),)
            value = row.soh.value if row.soh is not None else None
            return (-float(anomalies[f"{row.vehicle_id}/{row.pack_id}"]), 2.0 if value is None else value)

        return sorted(rows, key=lambda row: (key(row), row.vehicle_id, row.pack_id))
