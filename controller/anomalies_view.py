"""What people read of alerts and work orders, for the web (the views are :mod:`bms_bridge.anomalies.view`'s)."""

from __future__ import annotations

from bms_bridge.anomalies.view import PackAlert, PackAlertsView, WorkFinding, WorkOrderRow, WorkOrdersView, WorkStep

__all__ = ["PackAlert", "PackAlertsView", "WorkFinding", "WorkOrderRow", "WorkOrdersView", "WorkStep"]
