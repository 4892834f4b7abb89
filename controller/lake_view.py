"""What the lake's room shows, for the web: the lake's own shapes."""

from __future__ import annotations

from bms_bridge.lake.catalog_view import ColumnView, DatasetView, LakeCatalogView, PackHistoryView, PackLifeView, ReplayView

__all__ = ["ColumnView", "DatasetView", "LakeCatalogView", "PackHistoryView", "PackLifeView", "ReplayView"]
