"""The pages Alarms and Audit: what they show in each state, what their forms send, who may."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import msgspec
import pytest
from fake_depot import sample
from fake_kit import HEAD, alarms, audit
from web_harness import NAMES, form_value, site

from controller.alarm_view import AlarmsView
from controller.audit_desk import AuditView
from controller.outbox_desk import NotifyView
from controller.readmodel import AlarmCounts
from depot import commands as cmd
from depot.values import Role

pytestmark = pytest.mark.anyio


async def test_each_state_of_an_alarm_is_told_apart_without_colour(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        page = (await (await depot.signed_in()).get("/alarms")).text
        for words in (
            "Priority 1, unacknowledged",
            "Priority 2, acknowledged",
            "Priority 1, cleared",
            "Priority 3, shelved",
            "Priority 2, suppressed",
            "since 01:03:00, 3 times",
            "acknowledged 01:08 by mani",
            "its meter is changed on Monday",
            "suppressed by design: its charger is out of service",
            "Else: It may not finish its tour.",
            "1 given up",
            "the receiver answers 503",
        ):
            assert words in page, words


async def test_filters_empty_states_and_the_flood(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        page = (await client.get("/alarms?show=cleared")).text
        assert "Site meter silent" in page
        assert "E-118 leaves" not in page
        depot.link.shown[AlarmsView] = alarms(rows=[], approvals=[], counts=AlarmCounts())
        page = (await client.get("/alarms")).text
        assert "No alarm" in page
        assert "Waits for a second person" not in page
        assert "None of these" in (await client.get("/alarms?show=aside")).text
        depot.link.shown[AlarmsView] = alarms(flood=True, raised_10_min=14, recorded=False)
        del depot.link.shown[NotifyView]
        page = (await client.get("/alarms")).text
        assert "Alarm flood: 14 new alarms in 10 minutes" in page
        assert "shown, but not recorded" in page
        assert "Nobody is told beside these screens" in page


async def test_the_rail_counts_what_nobody_has_seen(tmp_path: Path) -> None:
    view = msgspec.structs.replace(sample(), alarms=AlarmCounts(unacknowledged=7, active=7, worst=1))
    async with site(tmp_path, view) as depot:
        client = await depot.signed_in(Role.VIEWER)
        page = (await client.get("/system")).text
        assert '<span data-live="text:alarms">7</span>' in page
        depot.link.publish(sample())
        assert 'data-live="hidden:alarms_hidden" hidden' in (await client.get("/system")).text


async def test_acknowledging_one_and_all(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        csrf = await form_value(client)
        answer = await client.post("/alarms/acknowledge", data={"csrf": csrf, "key": "vehicle_late:E-118", "show": "unacknowledged"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/alarms?show=unacknowledged")
        page = (await client.get("/alarms")).text
        assert "Acknowledge all 3 shown" in page
        await client.post("/alarms/acknowledge", data={"csrf": csrf, "key": ["a:", "b:"]})
        assert (await client.post("/alarms/acknowledge", data={"csrf": csrf})).status_code == 422
        one, both = depot.link.commands
        assert isinstance(one, cmd.AcknowledgeAlarms)
        assert (one.keys, one.actor) == (("vehicle_late:E-118",), "omar")
        assert isinstance(both, cmd.AcknowledgeAlarms)
        assert both.keys == ("a:", "b:")


async def test_putting_aside_needs_a_time_a_reason_and_for_good_a_role(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        csrf = await form_value(client)
        key = "charger_faulted:CP-08/1"
        page = (await client.get("/alarms/shelve", params={"key": key})).text
        assert "12 hours" in page
        assert "Out of service" not in page
        assert "12 hours" not in (await client.get("/alarms/shelve", params={"key": "vehicle_late:E-118"})).text
        assert (await client.get("/alarms/shelve", params={"key": "nothing:"})).status_code == 404
        form = {"csrf": csrf, "key": key, "minutes": "60", "reason": ""}
        answer = await client.post("/alarms/shelve", data=form)
        assert answer.status_code == 422
        assert "Say why" in answer.text
        assert (await client.post("/alarms/shelve", data=form | {"minutes": "99999", "reason": "r"})).status_code == 422
        assert (await client.post("/alarms/shelve", data=form | {"minutes": "out", "reason": "r"})).status_code == 422
        assert depot.link.commands == []
        assert (await client.post("/alarms/shelve", data=form | {"reason": "part is ordered"})).status_code == 303
        await client.post("/alarms/unshelve", data={"csrf": csrf, "key": key})
        officer = await depot.signed_in(Role.SAFETY_OFFICER)
        form |= {"csrf": await form_value(officer), "minutes": "out", "reason": "repair on Monday"}
        assert (await officer.post("/alarms/shelve", data=form)).status_code == 303
        hour, back, out = depot.link.commands
        assert isinstance(hour, cmd.ShelveAlarm)
        assert (hour.minutes, hour.reason) == (60, "part is ordered")
        assert isinstance(back, cmd.UnshelveAlarm)
        assert isinstance(out, cmd.ShelveAlarm)
        assert out.minutes is None


@pytest.mark.parametrize(
    ("role", "may"), [(Role.MANAGER, True), (Role.ADMIN, True), (Role.SAFETY_OFFICER, False), (Role.OPERATOR, False), (Role.VIEWER, False)]
)
async def test_the_second_person_is_one_who_could_order_it_and_another(tmp_path: Path, role: Role, may: bool) -> None:
    async with site(tmp_path) as depot:
        asker = "somebody" if role is Role.OPERATOR else "omar"
        shown = alarms()
        depot.link.shown[AlarmsView] = msgspec.structs.replace(
            shown, approvals=[msgspec.structs.replace(shown.approvals[0], asked_by=asker)]
        )
        client = await depot.signed_in(role)
        page = (await client.get("/alarms")).text
        assert ("Approve<span" in page) is may
        form = {"csrf": await form_value(client), "reason": "I heard it, too"}
        assert (await client.post("/approvals/0199-a/approve", data=form)).status_code == (303 if may else 403)
        assert (await client.post("/approvals/0199-a/refuse", data=form)).status_code == (303 if may else 403)
        assert len(depot.link.commands) == (2 if may else 0)


async def test_who_asked_may_take_it_back_but_not_approve(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        shown = alarms()
        depot.link.shown[AlarmsView] = msgspec.structs.replace(
            shown, approvals=[msgspec.structs.replace(shown.approvals[0], asked_by=NAMES[Role.MANAGER].upper())]
        )
        client = await depot.signed_in(Role.MANAGER)
        page = (await client.get("/alarms")).text
        assert "Take back<span" in page
        assert "Approve<span" not in page
        form = {"csrf": await form_value(client), "reason": "r"}
        assert (await client.post("/approvals/0199-a/approve", data=form)).status_code == 403
        assert (await client.post("/approvals/0199-a/refuse", data=form)).status_code == 303
        assert (await client.post("/approvals/gone/refuse", data=form)).status_code == 404
        assert isinstance(depot.link.commands[0], cmd.RefuseCommand)


async def test_the_trail_its_filters_and_its_check(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        page = (await client.get("/audit")).text
        assert "Verified up to entry 10 at 00:42:00" in page
        assert f"10:{HEAD}" in page
        assert "2 newer entries since" in page
        assert "Reset trip" in page
        depot.link.shown[AuditView] = msgspec.structs.replace(audit(), before=7)
        page = (await client.get("/audit?actor=omar&kind=ResetPack")).text
        assert depot.link.asked[-1][1] == {"before": "0", "actor": "omar", "kind": "ResetPack", "limit": "50"}
        assert "/audit?actor=omar&amp;kind=ResetPack&amp;before=7" in page
        depot.link.shown[AuditView] = audit(complaint="entry 7 (fact seq 49) was changed after it was written")
        page = (await client.get("/audit")).text
        assert "NOT SOUND" in page
        assert "entry 7 (fact seq 49)" in page
        depot.link.shown[AuditView] = msgspec.structs.replace(audit(), entries=[])
        assert "Nothing fits" in (await client.get("/audit?actor=nobody")).text
        assert "No entries yet" in (await client.get("/audit")).text
        await client.post("/audit/check", data={"csrf": await form_value(client)})
        assert isinstance(depot.link.commands[0], cmd.CheckAudit)


async def test_sign_ins_are_for_those_who_may_and_are_checked_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        assert (await (await depot.signed_in(Role.OPERATOR)).get("/audit?trail=people")).status_code == 403
        client = await depot.signed_in(Role.MANAGER)
        page = (await client.get("/audit?trail=people")).text
        assert "4 entries, sound" in page
        assert "from 127.0.0.1" in page
        assert "Account added" in page
        with depot.store.writing() as connection:
            connection.exec_driver_sql("UPDATE web_audit SET actor = 'vera' WHERE seq = 2")
        depot.clock.forward(seconds=61)
        assert "entry 2 of the people&#39;s trail was changed" in (await client.get("/audit?trail=people")).text


async def test_the_export_is_whole_and_for_those_who_may(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        assert (await (await depot.signed_in(Role.OPERATOR)).get("/audit/export")).status_code == 403
        client = await depot.signed_in(Role.MANAGER)
        answer = await client.get("/audit/export?actor=omar")
        assert answer.headers["content-disposition"] == 'attachment; filename="audit-commands.csv"'
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert rows[0][:4] == ["trail", "number", "at", "actor"]
        assert len(rows) == 13
        people = list(csv.reader(io.StringIO((await client.get("/audit/export?trail=people")).text)))
        assert {row[0] for row in people[1:]} == {"people"}


async def test_machines_read_and_acknowledge(tmp_path: Path) -> None:
    from web.roles import Permission

    async with site(tmp_path) as depot:
        secret = depot.users.add_token("scada", [Permission.READ, Permission.OPERATE, Permission.AUDIT])
        client = depot.client(authorization=f"Bearer {secret}")
        depot.link.result = cmd.CommandStatus.DONE
        assert (await client.get("/api/v1/alarms")).json()["rows"][0]["key"] == "vehicle_late:E-118"
        assert (await client.post("/api/v1/alarms/acknowledge", json={"keys": ["vehicle_late:E-118"]})).status_code == 200
        assert (await client.post("/api/v1/alarms/acknowledge", json={"keys": []})).status_code == 422
        assert (await client.get("/api/v1/audit?limit=5&before=9")).json()["newest"] == 12
        assert depot.link.asked[-1][1]["before"] == "9"
