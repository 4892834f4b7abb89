"""What the fake depot says of alerts and work orders: a leaking cell, and an order that was made of it. Invented."""

from __future__ import annotations

from datetime import UTC, datetime

from fake_depot import FakeLink

from controller.anomalies_view import PackAlert, PackAlertsView, WorkFinding, WorkOrderRow, WorkOrdersView, WorkStep

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
WAITING = "E-140/P1/internal_short/4"
KEY = "E-103/P1/internal_short/4"
WHY = "a cell loses charge by itself, cell 4; leak of 31 mA (C/4,900): the cell loses 0.49 % of its charge a day (usual 0, 14 σ)"
ADVICE = (
    "work on it by 2026-11-29 (now ₹15,000, waiting ₹4,80,000 in the mean; 80 % that it fails before the service). "
    "Of such alerts: 2 of 2 were right here, so 86 % are taken for real (80 % assumed before)."
)


def alert(key: str = KEY, *, holds_now: bool = True) -> PackAlert:
    """A leak."""
    return PackAlert(
        key=key, pack=key[:8], kind="internal_short", cell=4, since="2026-11-05", found="2026-11-14", holds_now=holds_now,
        compared_with="the pack's other cells", why=WHY, days_left=19.0, leak_ma=31.0, leak_ma_low=28.0, leak_ma_high=34.0,
        balancing_counted=True, second_opinion=None, act_now=True, due="2026-11-29", chance_before_service=0.8, now_paise=1_500_000,
        waiting_paise=48_000_000, advice=ADVICE,
    )  # fmt: skip


def fill_anomalies(link: FakeLink) -> None:
    """Let the fake core answer for alerts and work orders."""
    steps = [WorkStep("2026-11-15T04:00:00.000Z", "asha", "opened", "leak grows")]
    order = WorkOrderRow(4, KEY, "E-103/P1", "internal_short", "2026-11-29", WHY, ADVICE, "open", steps)
    done = WorkOrderRow(
        3, "E-109/P1/resistance", "E-109/P1", "resistance", "2026-11-10", "resistance above others of its age", "", "nothing_found",
        [WorkStep("2026-11-01T04:00:00.000Z", "asha", "opened", "it grows"),
         WorkStep("2026-11-09T10:00:00.000Z", "ravi", "nothing_found", "measured: as new")],
    )  # fmt: skip
    hand = WorkOrderRow(
        5, "E-118/P1/by_hand/5", "E-118/P1", "by_hand", "2026-12-05", "look at the connector of module 2", "", "open",
        [WorkStep("2026-11-21T04:00:00.000Z", "asha", "opened", "driver smelled something")],
    )  # fmt: skip
    found = [WorkFinding("internal_short", 2, 0, 1, 0.857), WorkFinding("resistance", 0, 1, 0, 0.417)]
    link.shown |= {
        PackAlertsView: PackAlertsView(NOW, NOW, 12, "", [alert(), alert(WAITING)]),
        WorkOrdersView: WorkOrdersView(NOW, True, [hand, order, done], found),
    }
