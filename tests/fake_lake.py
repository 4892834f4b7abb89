"""What the fake depot's lake says: one pack with a short life."""

from __future__ import annotations

from datetime import timedelta

from fake_depot import FakeLink, at

from controller.lake_view import ColumnView, DatasetView, LakeCatalogView, PackHistoryView, PackLifeView, ReplayView

NOW = at(1, 12)


def fill_lake(link: FakeLink) -> None:
    """Let the fake core answer for the lake."""
    week = NOW - timedelta(days=7)
    link.shown |= {
        LakeCatalogView: LakeCatalogView(
            schema="pack_rows/2",
            columns=[ColumnView("soc", "float", "fraction", "State of charge, 0 to 1", "unit", 1)],
            datasets=[DatasetView("warm", 1_209_600, 31_000_000, 1_400, 200, week, NOW, "730 d, then dropped")],
            packs=200,
            replays=[ReplayView(1, NOW, "map corrected", 86_400, 120, 0, 0, True)],
            histories=1,
            dropped=0,
        ),
        PackLifeView: PackLifeView("E-103", "P1", "p3f0c", {"schema": "pack_life/1", "trips": 1}, []),
        PackHistoryView: PackHistoryView("pack-p3f0c-2026-11-20.zip", 6_048, 190_000, "0123abcd 4567abcd 0123abcd 4567abcd 01234567"),
    }
