"""Arranged limits of the sample depot: two by hand, two schedules, an event that is over and one to come, a history."""

from __future__ import annotations

from datetime import date, timedelta

from fake_depot import FakeLink, sample

from controller.limit_book_view import (
    DemandEventRow,
    EventResultRow,
    LimitBookView,
    LimitHistoryRow,
    LimitHistoryView,
    LimitStep,
    ManualLimitRow,
    OverrideRow,
    OverrideRulesRow,
    ScheduleRow,
)

AT = sample().at
HOUR = timedelta(hours=1)
RULES = OverrideRulesRow(allowed=True, sources=["manual", "schedule"], most_w=250_000, longest_min=60, second_person=True)
OVERRIDE = OverrideRow(
    override_id="o1", scope_id="", value_w=250_000, sources=["manual"], starts_at=AT - HOUR / 6, until=AT + HOUR / 2, by="mani",
    reason="six buses would miss their pull-out", ended_at=None, ended_by="", lifts=["manual:"],
)  # fmt: skip
_EVENT = DemandEventRow(
    event_id="DR-1", programme="Evening peak", phase="announced", issued_at=AT - HOUR, starts_at=AT + 20 * HOUR, ends_at=AT + 22 * HOUR,
    channel="mail", announced_by="mani", reason="mail of the load dispatch centre", allowed_w=150_000, limit_w=None, reduction_w=50_000,
    baseline_w=200_000, withdrawn_by="", withdrawn_at=None, withdrawn_reason="", result=None,
)  # fmt: skip
_PAST = DemandEventRow(
    event_id="DR-0", programme="Evening peak", phase="ended", issued_at=AT - 30 * HOUR, starts_at=AT - 4 * HOUR, ends_at=AT - 2 * HOUR,
    channel="phone", announced_by="asha", reason="call", allowed_w=180_000, limit_w=180_000, reduction_w=None, baseline_w=None,
    withdrawn_by="", withdrawn_at=None, withdrawn_reason="",
    result=EventResultRow(energy_wh=341_000, peak_w=179_000, covered=1.0, over_min=0, complied=True),
)  # fmt: skip


def book(*, override: bool = False) -> LimitBookView:
    """As the core shows it."""
    return LimitBookView(
        at=AT,
        manual=[
            ManualLimitRow(
                limit_id="manual:", scope_id="", name="", value_w=220_000, set_by="asha", reason="fan repair", since=AT - 30 * HOUR,
                age_s=108_000.0, until=None, forgotten=True,
            ),
            ManualLimitRow(
                limit_id="manual:CP-03/1#cable", scope_id="CP-03/1", name="cable", value_w=11_000, set_by="mani", reason="warm plug",
                since=AT - HOUR, age_s=3_600.0, until=AT + HOUR, forgotten=False,
            ),
        ],
        schedules=[
            ScheduleRow(
                schedule_id="evening", scope_id="", value_w=180_000, set_by="asha", set_at=AT - 90 * HOUR, reason="letter no. 7",
                days=[0, 1, 2, 3, 4], starts="18:00", ends="22:00", first_day=date(2026, 4, 1), last_day=None, starts_at=None, ends_at=None,
                next_at=AT + 20 * HOUR, next_until=AT + 24 * HOUR,
            ),
            ScheduleRow(
                schedule_id="works", scope_id="A", value_w=40_000, set_by="asha", set_at=AT - HOUR, reason="works on the cable", days=[],
                starts="", ends="", first_day=None, last_day=None, starts_at=AT + HOUR, ends_at=AT + 3 * HOUR, next_at=AT + HOUR,
                next_until=AT + 3 * HOUR,
            ),
        ],
        events=[_EVENT, _PAST],
        override=OVERRIDE if override else None,
        overrides=[OVERRIDE] if override else [],
        rules=RULES,
        ahead=[
            LimitStep(scope_id="", at=AT, value_w=220_000, source="manual", limit_id="manual:", set_by="asha", reason="fan repair"),
            LimitStep(
                scope_id="", at=AT + 20 * HOUR, value_w=150_000, source="demand_response", limit_id="event:DR-1", set_by="Evening peak",
                reason="event DR-1 by mail",
            ),
        ],
        connectors=[
            LimitStep(
                scope_id="CP-03/1", at=AT - HOUR, value_w=11_000, source="manual", limit_id="manual:CP-03/1#cable", set_by="mani",
                reason="warm plug",
            )
        ],
    )  # fmt: skip


def history() -> LimitHistoryView:
    """Who bound."""
    return LimitHistoryView(
        at=AT,
        entries=[
            LimitHistoryRow(
                seq=41, at=AT - 2 * HOUR, what="bound", by="controller", scope_id="", id="manual:", value_w=220_000, source="manual",
                reason="asha: fan repair",
            ),
            LimitHistoryRow(
                seq=20, at=AT - 4 * HOUR, what="bound", by="controller", scope_id="", id="event:DR-0", value_w=180_000,
                source="demand_response", until=AT - 2 * HOUR, reason="Evening peak: event DR-0 by phone",
            ),
        ],
        before=None,
    )  # fmt: skip


def fill_limits(link: FakeLink, *, override: bool = False) -> None:
    """Let the link show it."""
    link.shown[LimitBookView] = book(override=override)
    link.shown[LimitHistoryView] = history()
