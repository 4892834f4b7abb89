"""Evacuation, incident files and drills on the page Safety: what is shown, who may do what, what the forms send."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from fake_depot import sample
from fake_emergency import drills, evacuating, incidents
from test_web_pages import check
from web_harness import form_value, site

from controller.drill_view import DrillsView
from controller.evacuation_view import EvacuationView
from controller.incident_view import IncidentsView
from depot import commands as cmd
from depot.emergency import Presence
from depot.outputs import Area
from depot.values import Role
from web.emergency_page import person_line

pytestmark = pytest.mark.anyio


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_an_evacuation_stands_first_with_its_timer_and_who_is_missing(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[EvacuationView] = evacuating(sample().at)
        html = (await (await depot.signed_in(Role.SAFETY_OFFICER)).get("/safety")).text
        check(html)
        words = words_of(html)
        for part in (
            "02:00 over the time",
            "1 not seen · 2 safe · 0 off site",
            "4 to 11 min",
            "stands beside it",
            "End it although somebody was not seen",
            "Zero profile, session stopped",
            "the next wider area is isolated",
            "Not to be closed now: E-103/P1 is tripped",
            "closed",
            "Passed last",
        ):
            assert part in words, part
        assert html.index('data-part="evacuation"') < html.index('data-part="strip"')
        rows = re.findall(r'<th scope="row" class="nol">([^<]+)</th>', html)
        assert rows == ["V. More", "P. Jadhav", "R. Shinde"]
        assert 'href="/api/v1/incidents/2026-11-21-1/file?format=pdf"' in html
        assert re.search(r'data-open="close-2026-11-21-1" data-command disabled', html)


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        (Role.VIEWER, set()),
        (Role.OPERATOR, {"check-in", "notes"}),
        (Role.SAFETY_OFFICER, {"check-in", "notes", "end", "close", "drills", "pdf"}),
        (Role.MANAGER, {"check-in", "notes", "shift", "drills", "pdf"}),
    ],
)
async def test_each_role_is_offered_what_it_may_do(tmp_path: Path, role: Role, offered: set[str]) -> None:
    marks = {
        "check-in": "/safety/evacuation/check-in",
        "notes": "/notes",
        "end": "/safety/evacuation/end",
        "close": "/close",
        "shift": "/safety/evacuation/shift",
        "drills": 'action="/safety/drills"',
        "pdf": "format=pdf",
    }
    async with site(tmp_path) as depot:
        depot.link.shown[EvacuationView] = evacuating(sample().at)
        html = (await (await depot.signed_in(role)).get("/safety")).text
        check(html)
        assert {name for name, mark in marks.items() if mark in html} == offered


async def test_the_forms_send_what_they_say(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.DONE
        admin = await depot.signed_in(Role.ADMIN)
        value = await form_value(admin)

        async def post(path: str, **fields: str) -> cmd.Command:
            answer = await admin.post(f"/safety/{path}", data={"csrf": value, **fields})
            assert (answer.status_code, answer.headers["location"]) == (303, "/safety"), answer.text[:300]
            return depot.link.commands[-1]

        begun = await post("evacuation", area="bay CP-03", reason="smoke")
        assert isinstance(begun, cmd.BeginEvacuation)
        assert (begun.area, begun.reason, begun.actor) == (Area.of("bay", "CP-03"), "smoke", "ada")
        site_wide = await post("evacuation", area="site ", reason="smoke")
        assert isinstance(site_wide, cmd.BeginEvacuation)
        assert site_wide.area == Area.of("site", "")
        seen = await post("evacuation/check-in", person_id="S-03", presence="off site")
        assert isinstance(seen, cmd.CheckIn)
        assert (seen.person_id, seen.presence, seen.reason) == ("S-03", Presence.OFF_SITE, "roll-call")
        ended = await post("evacuation/end", reason="all clear", despite_missing="yes")
        assert isinstance(ended, cmd.EndEvacuation)
        assert (ended.role, ended.despite_missing) == (Role.ADMIN, True)
        shift = await post("evacuation/shift", reason="night", people="S-01; R. Shinde; driver\n\nS-09\n")
        assert isinstance(shift, cmd.SetShift)
        assert [(p.person_id, p.name, p.post) for p in shift.people] == [("S-01", "R. Shinde", "driver"), ("S-09", "", "")]
        closed = await post("incidents/2026-11-21-1/close", reason="cell replaced")
        assert isinstance(closed, cmd.CloseIncident)
        assert (closed.incident_id, closed.role) == ("2026-11-21-1", Role.ADMIN)
        assert isinstance(await post("incidents/2026-11-21-1/notes", reason="brigade left"), cmd.NoteIncident)
        drill = await post("drills", reason="weekly", contactors="yes")
        assert isinstance(drill, cmd.StartDrill)
        assert drill.contactors
        assert isinstance(await post("drills/stop", reason="enough"), cmd.StopDrill)
        for path, fields in (
            ("evacuation/check-in", {"person_id": "S-03", "presence": "dead"}),
            ("evacuation/check-in", {"person_id": ""}),
            ("evacuation/shift", {"reason": "r", "people": "S-01\nS-01"}),
            ("evacuation", {"reason": "", "area": "site "}),
            ("evacuation", {"reason": "r", "area": "moon "}),
        ):
            count = len(depot.link.commands)
            answer = await admin.post(f"/safety/{path}", data={"csrf": value, **fields})
            assert answer.status_code == 422, (path, fields)
            assert len(depot.link.commands) == count


async def test_a_quiet_depot_and_a_drill_under_way(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.SAFETY_OFFICER)
        found, files = drills(sample().at), incidents(sample().at)
        depot.link.shown[DrillsView] = msgspec.structs.replace(
            found, drills=[], last_passed=None, next_at=None, against_start="E-103/P1 is tripped"
        )
        depot.link.shown[IncidentsView] = msgspec.structs.replace(files, open=[], closed=[], unwritten="no space left")
        html = (await client.get("/safety")).text
        check(html)
        words = words_of(html)
        for part in (
            "No incident yet",
            "No drill yet",
            "None has passed yet",
            "Not now: E-103/P1 is tripped",
            "no space left",
            "R. Shinde",
        ):
            assert part in words, part
        running = msgspec.structs.replace(found.drills[0], state="running", ended_at=None)
        people = evacuating(sample().at)
        assert people.running is not None
        drill = msgspec.structs.replace(people.running, drill=True, left_s=200.0, overdue=False)
        depot.link.shown[DrillsView] = msgspec.structs.replace(found, running=running)
        depot.link.shown[EvacuationView] = msgspec.structs.replace(people, running=None, drill=drill)
        html = (await client.get("/safety")).text
        check(html)
        assert "Drill of an evacuation" in words_of(html)
        assert "03:20 left until everybody must be seen" in words_of(html)
        assert 'action="/safety/evacuation/end"' not in html
        assert "Stop drill" in words_of(html)


def test_a_person_as_it_is_typed() -> None:
    assert person_line("1042; R. Shinde ; driver; more") == ("1042", "R. Shinde", "driver")
    assert person_line("1042") == ("1042", "", "")
