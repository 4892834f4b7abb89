"""REST of evacuation, incidents and drills: who may, what is sent to the core, and the files to download."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_controller_emergency import written
from web_harness import form_value, site

from depot import commands as cmd
from depot.emergency import Presence
from depot.outputs import SITE, Area
from depot.values import Role
from web.roles import Permission

pytestmark = pytest.mark.anyio
FILE = "/api/v1/incidents/2026-11-22-1/file"


async def test_files_are_for_who_may_see_the_audit_trail(tmp_path: Path) -> None:
    folder = tmp_path / "incidents"
    folder.mkdir()
    written(folder)
    async with site(tmp_path, incidents=folder) as depot:
        manager = await depot.signed_in(Role.MANAGER)
        found = await manager.get(FILE)
        assert found.json()["as_written"] is True
        assert found.headers["content-disposition"] == 'attachment; filename="incident-2026-11-22-1.json"'
        paper = await manager.get(FILE, params={"format": "pdf"})
        assert (paper.headers["content-type"], paper.content[:5]) == ("application/pdf", b"%PDF-")
        assert (await manager.get(FILE, params={"format": "exe"})).status_code == 422
        assert (await manager.get("/api/v1/incidents/2026-11-22-9/file")).json()["code"] == "not_found"
        assert (await manager.get("/api/v1/incidents/..%2Fdepot/file")).status_code in (404, 422)
        operator = await depot.signed_in(Role.OPERATOR)
        assert (await operator.get(FILE)).status_code == 403
        assert (await operator.get("/api/v1/incidents")).status_code == 200


async def test_the_roll_call_over_rest(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.DONE
        person = await depot.signed_in(Role.MANAGER)
        token = {"x-csrf-token": await form_value(person)}
        people = [{"person_id": "S-1", "name": " V.  More ", "post": "electrician"}, {"person_id": "S-2"}]
        assert (await person.put("/api/v1/evacuation/shift", json={"people": people, "reason": "night"}, headers=token)).status_code == 200
        twice = await person.put("/api/v1/evacuation/shift", json={"people": people[1:] * 2, "reason": "night"}, headers=token)
        assert (twice.status_code, twice.json()["detail"]) == (422, "person S-2 is named twice")
        assert (await person.post("/api/v1/evacuation/check-in", json={"person_id": "S-1"}, headers=token)).status_code == 200
        ended = await person.post("/api/v1/evacuation/end", json={"reason": "all clear"}, headers=token)
        assert ended.status_code == 403, "a manager does not end it"
        officer = await depot.signed_in(Role.SAFETY_OFFICER)
        token = {"x-csrf-token": await form_value(officer)}
        assert (await officer.post("/api/v1/evacuation/end", json={"reason": "all clear"}, headers=token)).status_code == 200
        shift, check, end = depot.link.commands
        assert isinstance(shift, cmd.SetShift)
        assert shift.people == (cmd.ShiftEntry("S-1", "V. More", "electrician"), cmd.ShiftEntry("S-2"))
        assert isinstance(check, cmd.CheckIn)
        assert (check.person_id, check.presence) == ("S-1", Presence.SAFE)
        assert isinstance(end, cmd.EndEvacuation)
        assert (end.role, end.despite_missing) == (Role.SAFETY_OFFICER, False)


async def test_an_evacuation_begins_and_people_check_in_while_the_data_are_old(tmp_path: Path) -> None:
    async with site(tmp_path, stale_s=-1.0) as depot:
        machine = depot.client(authorization=f"Bearer {depot.users.add_token('panel', [Permission.OPERATE, Permission.RESTORE])}")
        assert (await machine.post("/api/v1/evacuation", json={"reason": "fire panel"})).status_code == 202
        body = {"level": "bay", "area_id": "CP-03", "reason": "fire panel"}
        assert (await machine.post("/api/v1/evacuation", json=body)).status_code == 202
        assert (await machine.post("/api/v1/evacuation/check-in", json={"person_id": "S-1", "presence": "off site"})).status_code == 202
        assert (await machine.post("/api/v1/drills", json={"reason": "weekly"})).status_code == 403, "a person begins a drill"
        begun = [command.area for command in depot.link.commands if isinstance(command, cmd.BeginEvacuation)]
        assert begun == [SITE, Area.of("bay", "CP-03")]
