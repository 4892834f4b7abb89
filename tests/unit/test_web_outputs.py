"""Outputs on the page Safety and in the API: what is shown, who may isolate, reset and test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_depot import sample
from fake_outputs import in_order, widened
from test_web_pages import check
from test_web_safety import words_of
from web_harness import form_value, site

from controller.output_view import OutputsView
from depot import commands as cmd
from depot.outputs import Area
from depot.values import Role
from web.roles import Permission

pytestmark = pytest.mark.anyio


async def test_what_each_output_is_told_reads_and_is_without_its_coil(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        html = (await (await depot.signed_in(Role.VIEWER)).get("/safety")).text
        check(html)
        words = words_of(html)
        for part in (
            "Contactor feeder A contactor feeder A closed closed 0.3 s ago confirmed open, the safe side by its watchdog",
            "silent no read-back 0.3 s ago told, no read-back silent, NOT the safe side",
            "no watchdog: it keeps its coil when this controller dies",
            "The hard-wired emergency stop works without this controller",
            "no safety integrity level (SIL) is claimed",
        ):
            assert part in words, part
        assert "Isolate …" not in words
        assert 'data-open="test-K-A"' not in html


async def test_an_isolation_that_widened_says_what_failed_and_offers_only_what_may_be_reset(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[OutputsView] = widened(sample().at)
        html = (await (await depot.signed_in(Role.SAFETY_OFFICER)).get("/safety")).text
        check(html)
        words = words_of(html)
        for part in (
            "Bay CP-03 is isolated NOT isolated",
            "person A. Kulkarni: smoke at the plug.",
            "Use the hard-wired emergency stop, or switch it off by hand",
            "Not to be reset now: bay CP-03 in it must stay isolated",
            "It is not on the disk yet.",
            "the journal says it is isolated",
        ):
            assert part in words, part
        assert len(re.findall(r"<button[^>]*data-open=\"reset-area-", html)) == 1


async def test_a_depot_without_outputs_says_how_to_get_them(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.ADMIN)
        empty = in_order(sample().at)
        depot.link.shown[OutputsView] = type(empty)(at=empty.at, outputs=[], isolated=[], areas=empty.areas, problems=[])
        words = words_of((await client.get("/safety")).text)
        assert "Contactors, ventilation, siren and beacon are shown once [[output]] sections name their I/O modules." in words


async def test_isolate_reset_and_test_by_the_forms(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.SAFETY_OFFICER)
        value = await form_value(client)

        async def post(path: str, **fields: str) -> int:
            return (await client.post(path, data={"csrf": value, **fields})).status_code

        assert await post("/safety/isolate", area="feeder A", reason="smoke") == 303
        assert await post("/safety/isolate", area="site", reason="fire") == 303
        assert await post("/safety/isolation/reset", level="bay", area_id="CP-03", reason="replaced") == 303
        assert await post("/safety/outputs/siren/test", reason="monthly") == 303
        assert await post("/safety/isolate", area="feeder", reason="smoke") == 422
        assert await post("/safety/isolate", area="planet X", reason="smoke") == 422
        assert await post("/safety/isolate", area="site") == 422
        done = depot.link.commands
        assert [type(c).__name__ for c in done] == ["IsolateArea", "IsolateArea", "ResetArea", "TestOutput"]
        assert isinstance(done[0], cmd.IsolateArea)
        assert (done[0].area, done[0].actor, done[0].reason) == (Area.of("feeder", "A"), "sana", "smoke")
        assert isinstance(done[2], cmd.ResetArea)
        assert (done[2].area, done[2].role) == (Area.of("bay", "CP-03"), Role.SAFETY_OFFICER)


async def test_isolating_is_taken_while_the_data_are_old_a_reset_is_not(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.SAFETY_OFFICER)
        value = await form_value(client)
        depot.link._at -= 3600
        headers = {"x-csrf-token": value}
        body = {"level": "site", "reason": "smoke"}
        assert (await client.post("/api/v1/outputs/isolate", json=body, headers=headers)).status_code in (200, 202)
        answer = await client.post("/api/v1/outputs/reset", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "stale")


async def test_a_machine_may_isolate_and_look_but_neither_reset_nor_test(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        secret = depot.users.add_token("bms", [Permission.READ, Permission.OPERATE, Permission.RESTORE])
        client = depot.client(authorization=f"Bearer {secret}")
        shown = (await client.get("/api/v1/outputs")).json()
        assert [row["output_id"] for row in shown["outputs"]][:2] == ["K-CP-03", "K-A"]
        body = {"level": "bay", "area_id": "CP-03", "reason": "gas"}
        assert (await client.post("/api/v1/outputs/isolate", json=body)).status_code in (200, 202)
        assert (await client.post("/api/v1/outputs/reset", json=body)).status_code == 403
        assert (await client.post("/api/v1/outputs/siren/test", json={"reason": "test"})).status_code == 403
        assert (await client.post("/api/v1/outputs/isolate", json={"level": "site", "area_id": "X", "reason": "gas"})).status_code == 422
        assert [type(c) for c in depot.link.commands] == [cmd.IsolateArea]
