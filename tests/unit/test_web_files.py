"""Firmware and logs over the API: images go to the shelf as they come, orders to the core."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fake_stations import fill
from web_harness import Site, site

from controller.files.shelf import Shelf
from depot import commands as cmd
from depot.files import TransferKind
from web.roles import Permission

pytestmark = pytest.mark.anyio

IMAGE = b"firmware" * 1000


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Site, httpx.AsyncClient, Shelf]]:
    async with site(folder, files=folder / "files", image_bytes=100_000) as depot:
        fill(depot.link)
        depot.link.result = cmd.CommandStatus.DONE
        token = depot.users.add_token("tool", [Permission.STATIONS])
        yield depot, depot.client(authorization=f"Bearer {token}"), Shelf(folder / "files")


async def test_an_image_as_the_body_is_on_the_shelf_before_the_core_hears_of_it(tmp_path: Path) -> None:
    async with served(tmp_path) as (depot, client, shelf):
        answer = await client.post("/api/v1/firmware", params={"version": "1.3", "name": "../fw.bin", "vendor": "Exide"}, content=IMAGE)
        assert answer.status_code == 201, answer.text
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.AddFirmware)
        image = command.image
        assert (image.sha256, image.size_bytes, image.name) == (hashlib.sha256(IMAGE).hexdigest(), len(IMAGE), "_fw.bin")
        assert (image.version, image.vendor, image.signed) == ("1.3", "Exide", False)
        path = shelf.image(image.sha256)
        assert path is not None
        assert path.read_bytes() == IMAGE


async def test_an_image_as_a_form(tmp_path: Path) -> None:
    async with served(tmp_path) as (depot, client, _):
        answer = await client.post("/api/v1/firmware", data={"version": "2.0", "reason": "recall"}, files={"file": ("fw.hex", IMAGE)})
        assert answer.status_code == 201, answer.text
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.AddFirmware)
        assert (command.image.name, command.image.version, command.reason) == ("fw.hex", "2.0", "recall")


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ({}, IMAGE, 422),
        ({"version": "1"}, b"", 422),
        ({"version": "1"}, b"x" * 100_001, 413),
        ({"version": "1"}, b"x" * 200_000, 413),
        ({"version": "1" * 60}, IMAGE, 422),
    ],
)
async def test_what_is_no_image_leaves_nothing(tmp_path: Path, query: dict[str, str], body: bytes, status: int) -> None:
    async with served(tmp_path) as (depot, client, shelf):
        answer = await client.post("/api/v1/firmware", params=query, content=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert not depot.link.commands
        assert not any(p.is_file() for p in shelf.folder.rglob("*"))


async def test_other_addresses_do_not_take_large_bodies(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client, _shelf):
        assert (await client.post("/api/v1/logs", content=b"x" * 70_000)).status_code == 413


async def test_an_update_names_its_stations_once(tmp_path: Path) -> None:
    async with served(tmp_path) as (depot, client, _):
        known = "ab" * 8
        body = {"station_ids": ["CP-03", "CP-05", "CP-03"], "retries": 2, "retrieve_at": "2026-11-22T00:00:00Z", "reason": "recall"}
        answer = await client.post(f"/api/v1/firmware/{known}/updates", json=body)
        assert answer.status_code == 200, answer.text
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.UpdateFirmware)
        assert (command.station_ids, command.retries, command.reason) == (("CP-03", "CP-05"), 2, "recall")
        assert (await client.post(f"/api/v1/firmware/{'ef' * 8}/updates", json=body)).status_code == 404
        assert (await client.post(f"/api/v1/firmware/{known}/updates", json={"station_ids": []})).status_code == 422
        assert (await client.get("/api/v1/firmware")).json()["images"][1]["signed"] is True
        assert [u["standing"] for u in (await client.get("/api/v1/firmware/updates")).json()["updates"]] == ["under_way", "failed", "done"]
        assert (await client.delete(f"/api/v1/firmware/{known}")).status_code == 200
        assert isinstance(depot.link.commands[-1], cmd.RemoveFirmware)


async def test_a_log_is_asked_for_and_fetched_as_a_download(tmp_path: Path) -> None:
    async with served(tmp_path) as (depot, client, shelf):
        asked = await client.post("/api/v1/logs", json={"station_id": "CP-03", "kind": "security", "from": "2026-11-20T00:00:00Z"})
        assert asked.status_code == 200, asked.text
        command = depot.link.commands[-1]
        assert isinstance(command, cmd.FetchLog)
        assert (command.kind, command.since is not None) == (TransferKind.SECURITY, True)
        assert (await client.post("/api/v1/logs", json={"station_id": "CP-03", "kind": "firmware"})).status_code == 422
        assert (await client.get("/api/v1/logs/4/file")).status_code == 404  # dropped since
        shelf.prepare()
        (shelf.received / "4-1.bin").write_bytes(b"<script>")
        answer = await client.get("/api/v1/logs/4/file")
        assert (answer.status_code, answer.content) == (200, b"<script>")
        assert answer.headers["content-disposition"] == 'attachment; filename="CP-03-diagnostics-4-1.zip"'
        assert answer.headers["content-type"] == "application/octet-stream"
        assert (await client.get("/api/v1/logs/99")).status_code == 404


async def test_files_are_for_who_keeps_the_stations(tmp_path: Path) -> None:
    async with served(tmp_path) as (depot, _, _shelf):
        reader = depot.client(authorization=f"Bearer {depot.users.add_token('reader', [Permission.READ])}")
        for path in ("/firmware", "/logs", "/logs/4/file"):
            assert (await reader.get(f"/api/v1{path}")).status_code == 403
        assert (await reader.post("/api/v1/firmware", params={"version": "1"}, content=IMAGE)).status_code == 403
