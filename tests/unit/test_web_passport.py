"""Passports on the web: by tier and role, and the public page, which is shut unless the settings say otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_passport_views import ADDRESS
from web_harness import csrf_of, form_value, site

from bms_bridge.passport.seal import verified
from controller.link import LinkProtocol
from controller.passport_view import PassportView, PublicPassportView
from depot import commands as cmd
from depot.values import Role

pytestmark = pytest.mark.anyio
API, PAGE = "/api/v1/packs/E-103/P1/passport", "/safety/packs/E-103/P1/passport"
TOKEN = ADDRESS.rpartition("/")[2]


async def test_the_public_tier_is_for_everybody_of_the_depot_and_the_others_for_managers(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        viewer = await depot.signed_in(Role.VIEWER)
        answer = await viewer.get(API)
        assert verified(answer.json()).fingerprint == answer.headers["x-key-fingerprint"]
        assert answer.json()["tier"] == "public"
        assert "E-103" not in answer.headers["content-disposition"]
        assert depot.link.commands == []
        told = (await viewer.get(API, params={"form": "standing"})).json()
        assert (told["sheet"], told["owners"]) == ("EB-300", {})
        assert (await viewer.get(API, params={"form": "pdf"})).content.startswith(b"%PDF")
        for tier in ("repurposer", "authority", "owner", "legitimate_interest"):
            refused = await viewer.get(API, params={"tier": tier, "reason": "sold"})
            assert (refused.status_code, "manager" in refused.json()["detail"]) == (403, True)
        assert (await viewer.get(API, params={"tier": "everything"})).status_code == 422
        assert depot.link.commands == []
        manager = await depot.signed_in(Role.MANAGER)
        assert (await manager.get(API, params={"tier": "repurposer"})).status_code == 422  # no reason
        answer = await manager.get(API, params={"tier": "repurposer", "reason": "sold"})
        assert answer.json()["tier"] == "repurposer"
        sent = depot.link.commands[-1]
        assert isinstance(sent, cmd.IssuePassport)
        assert (sent.actor, sent.reason, sent.target, sent.detail["tier"]) == ("mani", "sold", "E-103/P1", "repurposer")
        depot.link.result = cmd.CommandStatus.REFUSED
        assert (await manager.get(API, params={"tier": "owner", "reason": "look"})).status_code == 409


async def test_one_from_elsewhere_is_laid_aside_and_told_to_the_core(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    async with site(tmp_path, passports=folder) as depot:
        client = await depot.signed_in(Role.MANAGER)
        headers = {"x-csrf-token": await form_value(client)}
        body = json.dumps({"Labels": {}}).encode()
        keep = f"{API}s"
        answer = await client.post(keep, params={"reason": "bought"}, content=body, headers=headers)
        assert answer.status_code == 202
        sent = depot.link.commands[-1]
        assert isinstance(sent, cmd.KeepPassport)
        assert (folder / f"{sent.sha256}.json").read_bytes() == body
        large = b"x" * (600 * 1024)
        for content, params in ((b"", {"reason": "r"}), (large, {"reason": "r"}), (body, {"reason": " "})):
            assert (await client.post(keep, params=params, content=content, headers=headers)).status_code == 422
        assert (await client.get(f"{keep}/{'ab' * 32}")).json()["document"] == {"Labels": {}}
        assert (await client.get(f"{keep}/..%2Fsecret")).status_code in (404, 422)
        form = {"csrf": headers["x-csrf-token"], "reason": "bought", "fingerprint": ""}
        answer = await client.post(f"{PAGE}/import", data=form, files={"file": ("p.json", body)})
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        assert (await client.post(f"{PAGE}/import", data=form, files={"file": ("p.json", b"")})).status_code == 422


async def test_the_page_shows_what_everybody_may_see_and_how_it_stands(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        page = await client.get(PAGE)
        assert page.status_code == 200
        for words in ("Rated energy", "300 kWh", "51 of 89", "model EB-300", "came with the bus", "1 part", "test.pdf", "<svg"):
            assert words in page.text, words
        assert "protective trip" in page.text
        assert "89.0% to 95.0%" in page.text
        assert PAGE in (await client.get("/safety/packs/E-103/P1")).text
        form = {"csrf": csrf_of(page.text), "tier": "repurposer", "form": "pdf", "reason": "sold"}
        answer = await client.post(PAGE, data=form)
        assert (answer.status_code, answer.content[:4]) == (200, b"%PDF")
        assert (await client.post(PAGE, data=form | {"tier": "x"})).status_code == 422
        viewer = await depot.signed_in(Role.VIEWER)
        seen = (await viewer.get(PAGE)).text
        assert 'data-open="issue"' not in seen
        assert "protective trip" not in seen
        assert "for notified bodies" in seen


async def test_a_battery_that_is_not_there_and_a_lake_that_is_silent(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        depot.link.shown.pop(PassportView)
        assert (await client.get(API)).status_code == 404
        assert (await client.get(PAGE)).status_code == 404

        def silent(_: object) -> None:
            raise LinkProtocol("the lake does not answer: ask again")

        depot.link.made[PassportView] = silent
        answer = await client.get(API)
        assert (answer.status_code, answer.json()["detail"]) == (409, "The lake does not answer: ask again.")


async def test_nothing_is_public_unless_the_settings_say_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        for path in (f"/passport/{TOKEN}", f"/passport/{TOKEN}/file"):
            answer = await depot.client().get(path)
            assert (answer.status_code, "EB-300" in answer.text) == (404, False)
        assert PublicPassportView not in [kind for kind, _ in depot.link.asked]


async def test_the_public_page_shows_its_tier_alone_to_anybody(tmp_path: Path) -> None:
    async with site(tmp_path, public_passports=True) as depot:
        client = depot.client()
        page = await client.get(f"/passport/{TOKEN}")
        assert page.status_code == 200
        assert depot.link.asked[-1] == (PublicPassportView, {"token": TOKEN})
        assert "Rated energy" in page.text
        for hidden in ("E-103", "protective trip", "Graphite", "test.pdf", "kothrud-transport.in/passport", "/safety"):
            assert hidden not in page.text, hidden
        file = await client.get(f"/passport/{TOKEN}/file")
        assert verified(file.json()).sha256 == file.json()["signature"]["sha256"]
        for token in ("x" * 65, "a.b", "%20"):
            assert (await client.get(f"/passport/{token}")).status_code == 404
        depot.link.shown.pop(PublicPassportView)
        assert (await client.get(f"/passport/{TOKEN}")).status_code == 404
        assert (await client.post(f"/passport/{TOKEN}")).status_code == 405
