"""Evacuation, incidents and drills of the fake depot: calm, and with a roll-call in which one person is missing."""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.drill_view import DrillRow, DrillsView, LinkRow
from controller.evacuation_view import BayToClear, EvacuationRow, EvacuationView, RollCallRow, ShiftRow
from controller.incident_view import IncidentRow, IncidentsView, StepRow

PEOPLE = (("S-01", "R. Shinde", "driver"), ("S-02", "P. Jadhav", "safety officer"), ("S-03", "V. More", "electrician"))
SHIFT = [ShiftRow(person_id=number, name=name, post=post) for number, name, post in PEOPLE]


def calm(now: datetime) -> EvacuationView:
    """Nobody is sent out; three people are on shift."""
    return EvacuationView(at=now, running=None, drill=None, clear=[], past=[], shift=SHIFT, minutes=5.0)


def evacuating(now: datetime) -> EvacuationView:
    """It began seven minutes ago; V. More was not seen."""
    began = now - timedelta(minutes=7)
    rows = [
        RollCallRow(
            person_id=number, name=name, post=post, presence="not seen" if number == "S-03" else "safe", missing=number == "S-03",
            expected=True, at=None if number == "S-03" else began + timedelta(minutes=1), by="" if number == "S-03" else "sana",
            point="" if number == "S-03" else "point A",
        )
        for number, name, post in PEOPLE
    ]  # fmt: skip
    running = EvacuationRow(
        evacuation_id="2026-11-21-1", began_at=began, deadline=began + timedelta(minutes=5), left_s=-120.0, areas=["bay CP-03"],
        reason="E-103/P1: temperature runs away", by="", drill=False, people=sorted(rows, key=lambda r: not r.missing), expected=3, safe=2,
        off_site=0, not_seen=1, overdue=True, ended_at=None, ended_by="", end_reason="", recorded=True,
    )  # fmt: skip
    clear = [BayToClear(bay="CP-02", of="CP-03", from_min=4.0, to_min=11.0, stopped=True)]
    clear.append(BayToClear(bay="CP-04", of="CP-03", from_min=None, to_min=None, stopped=False))
    return EvacuationView(at=now, running=running, drill=None, clear=clear, past=[], shift=SHIFT, minutes=5.0)


def incidents(now: datetime) -> IncidentsView:
    """One open, one closed."""
    steps = [
        StepRow(
            step="stop", title="Zero profile, session stopped", state="confirmed", detail="no session runs, no power is metered",
            limit_s=10.0, then="", at=now - timedelta(minutes=7), took_s=0.4,
        ),
        StepRow(
            step="isolation", title="Bay isolated", state="escalated", detail="Contactor CP-03: it reads closed", limit_s=20.0,
            then="the next wider area is isolated; then the hard-wired emergency stop", at=now - timedelta(minutes=6), took_s=None,
        ),
    ]  # fmt: skip
    common = {
        "closed_at": None, "closed_by": "", "close_reason": "", "cause": "runaway", "text": "74 °C at sensor 0, rising by 1.3 K/s",
        "vehicle_id": "E-103", "pack_id": "P1", "area": "bay CP-03", "drill": False, "steps": steps,
        "against_close": "E-103/P1 is tripped: reset it first", "digest": "", "file": True,
    }  # fmt: skip
    first = IncidentRow(**{**common, "incident_id": "2026-11-21-1", "opened_at": now - timedelta(minutes=7)})  # type: ignore[arg-type]  # as it says
    old = {
        "incident_id": "2026-11-20-1", "opened_at": now - timedelta(days=1), "closed_at": now - timedelta(hours=20), "closed_by": "sana",
        "close_reason": "sensor replaced", "digest": "9f2c" * 16, "against_close": "it is closed", "steps": steps[:1],
    }  # fmt: skip
    second = IncidentRow(**{**common, **old})  # type: ignore[arg-type]  # as it says
    return IncidentsView(at=now, open=[first], closed=[second], unwritten="", kept_days=3650)


def drills(now: datetime) -> DrillsView:
    """Last week's passed, the one before failed at its notification."""

    def drill(number: str, days: int, failed: str) -> DrillRow:
        names = ("guard", "latch", "response", "chargers", "outputs", "notification", "evacuation", "incident")
        links = [
            LinkRow(
                name=name,
                title=name.capitalize(),
                state="failed" if name == failed else "passed",
                words="email: refused" if name == failed else "",
                took_s=0.2,
            )
            for name in names
        ]
        began = now - timedelta(days=days)
        return DrillRow(
            drill_id=number, began_at=began, ended_at=began + timedelta(minutes=3), by="sana", state="failed" if failed else "passed",
            contactors=False, links=links, file=True,
        )  # fmt: skip

    rows = [drill("2026-11-16-1", 5, ""), drill("2026-11-09-1", 12, "notification")]
    return DrillsView(at=now, running=None, drills=rows, next_at=now + timedelta(days=2), last_passed=rows[0].began_at, against_start="")
