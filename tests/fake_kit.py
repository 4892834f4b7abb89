"""What the fake depot says of alarms, the audit trail, notifications and commands that wait."""

from __future__ import annotations

from datetime import timedelta

from fake_depot import FakeLink, at
from fake_emergency import calm, drills, incidents

from controller.alarm_view import AlarmRow, AlarmsView, ApprovalRow
from controller.alarms import KINDS
from controller.audit_desk import AuditRow, AuditView, CheckView
from controller.drill_view import DrillsView
from controller.evacuation_view import EvacuationView
from controller.incident_view import IncidentsView
from controller.outbox_desk import DeadLetter, NotifyView
from controller.readmodel import AlarmCounts

NOW = at(1, 12)
HEAD = "9f2c" * 16


def row(kind: str, subject: str, state: str, title: str = "", **more: object) -> AlarmRow:
    known = KINDS[kind]
    values: dict[str, object] = {
        "key": f"{kind}:{subject}",
        "kind": kind,
        "state": state,
        "priority": known.priority,
        "title": title or known.meaning,
        "action": known.action,
        "consequence": known.consequence,
        "respond_min": known.respond_min,
        "subject": subject,
        "raised_at": NOW - timedelta(minutes=9),
        "shelvable": known.shelvable,
    }
    return AlarmRow(**(values | more))  # type: ignore[arg-type]  # as the test says


def alarms(**more: object) -> AlarmsView:
    rows = [
        row("vehicle_late", "E-118", "unacknowledged", "E-118 leaves 12.4 kWh short"),
        row("charger_faulted", "CP-08/1", "unacknowledged", "CP-08 faulted: GroundFailure", times=3),
        row(
            "charger_offline",
            "CP-05/1",
            "acknowledged",
            "CP-05 offline",
            acknowledged_by="mani",
            acknowledged_at=NOW - timedelta(minutes=4),
        ),
        row("meter_silent", "", "cleared", "Site meter silent", cleared_at=NOW - timedelta(minutes=2)),
        row(
            "charger_overdraws",
            "CP-02/1",
            "shelved",
            "CP-02 draws more than told",
            shelved_by="omar",
            shelved_until=NOW + timedelta(hours=3),
            reason="its meter is changed on Monday",
        ),
        row(
            "charger_defiant",
            "CP-11/1",
            "suppressed",
            "CP-11 does not follow limits",
            raised_at=None,
            reason="its charger is out of service",
        ),
    ]
    approval = ApprovalRow(
        approval_id="0199-a",
        kind="ClearManualLimit",
        target="site",
        reason="the utility called",
        asked_by="omar",
        asked_at=NOW - timedelta(minutes=6),
        until=NOW + timedelta(minutes=54),
    )
    values: dict[str, object] = {
        "at": NOW,
        "counts": AlarmCounts(unacknowledged=3, active=3, shelved=1, worst=1),
        "rows": rows,
        "more": 0,
        "flood": False,
        "raised_10_min": 4,
        "raised_24_h": 31,
        "counted_since": NOW - timedelta(hours=7),
        "recorded": True,
        "approvals": [approval],
    }
    return AlarmsView(**(values | more))  # type: ignore[arg-type]  # as the test says


def audit(count: int = 12, **check: object) -> AuditView:
    kinds = (("SetManualLimit", "site"), ("StopCharging", "CP-03/1"), ("AcknowledgeAlarms", "meter_silent:"), ("ResetPack", "E-131/p1"))
    entries = []
    for number in range(count, 0, -1):
        kind, target = kinds[(number - 1) // 2 % 4]
        asked = number % 2
        entries.append(
            AuditRow(
                seq=number,
                at=NOW - timedelta(minutes=3 * (count - number)),
                actor=("omar", "mani", "sana")[number % 3] if asked else "controller",
                kind=kind,
                target=target,
                reason="the utility called" if asked else "site limited to 90.0 kW until Sat 06:00",
                outcome="requested" if asked else ("refused" if number == 4 else "done"),
                command_id=f"0199-{(number + 1) // 2}",
                event_seq=number * 7,
            )
        )
    values: dict[str, object] = {"at": NOW - timedelta(minutes=30), "entries": count - 2, "head": HEAD, "complaint": None, "running": False}
    return AuditView(entries=entries, before=None, newest=count, check=CheckView(**(values | check)))  # type: ignore[arg-type]


def notifications() -> NotifyView:
    letter = DeadLetter(
        channel="webhook", title="Site meter silent", at=NOW - timedelta(days=1), error="the receiver answers 503", tries=112
    )
    return NotifyView(waiting=0, sent=41, dead=1, waiting_since=None, last_arrived=NOW - timedelta(minutes=9), letters=[letter])


def fill_kit(link: FakeLink) -> None:
    """Let the fake core answer for these pages."""
    link.shown |= {AlarmsView: alarms(), AuditView: audit(), NotifyView: notifications()}
    fill_emergency(link)


def fill_emergency(link: FakeLink) -> None:
    """Nobody is sent out; an incident is open, drills were held."""
    link.shown |= {EvacuationView: calm(NOW), IncidentsView: incidents(NOW), DrillsView: drills(NOW)}
