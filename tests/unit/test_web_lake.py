"""The lake's routes: catalogue, lives, and archives that leave as files under our own name."""

from __future__ import annotations

from pathlib import Path

import pytest
from web_harness import site

from controller.lake_view import LakeCatalogView, PackHistoryView, PackLifeView
from depot.values import Role

pytestmark = pytest.mark.anyio
PACK = "/api/v1/lake/packs/E-103/P1"


async def test_catalogue_and_lives_are_for_everybody_of_the_depot(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        found = (await client.get("/api/v1/lake/catalog")).json()
        assert (found["packs"], found["columns"][0]["unit"], found["dropped"]) == (200, "fraction", 0)
        assert (await client.get(f"{PACK}/life")).json()["record"]["trips"] == 1
        assert depot.link.asked[-1] == (PackLifeView, {"vehicle_id": "E-103", "pack_id": "P1"})
        assert (await client.get(f"{PACK}/history")).status_code == 403


async def test_a_history_leaves_as_a_file_and_only_out_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "pack-p3f0c-2026-11-20.zip").write_bytes(b"PK archive")
    (tmp_path / "secret").write_bytes(b"not this")
    async with site(tmp_path, exports=folder) as depot:
        client = await depot.signed_in(Role.MANAGER)
        answer = await client.get(f"{PACK}/history")
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"PK archive", "application/zip")
        assert answer.headers["x-key-fingerprint"].startswith("0123abcd")
        assert "pack-p3f0c" in answer.headers["content-disposition"]
        depot.link.shown[PackHistoryView] = PackHistoryView("../secret", 1, 1, "")
        assert (await client.get(f"{PACK}/history")).status_code == 404


async def test_a_depot_without_a_lake_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown.pop(LakeCatalogView)
        depot.link.shown.pop(PackLifeView)
        client = await depot.signed_in(Role.VIEWER)
        for path in ("/api/v1/lake/catalog", f"{PACK}/life"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
