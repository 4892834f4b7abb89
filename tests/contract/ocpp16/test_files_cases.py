"""Firmware and logs: ordered by the API, fetched or sent by the station, reported by its notifications."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pki import Ca

from ocpp16.depot import Depot, Payload, Station, now

pytestmark = pytest.mark.anyio


async def _image(depot: Depot, content: bytes, **form: str) -> str:
    """A firmware image in the depot, its id."""
    if form:
        added = await depot.request("POST", "/firmware", data=form, files={"file": ("fw.bin", content)})
    else:
        added = await depot.request(
            "POST",
            "/firmware",
            params={"name": "fw.bin", "version": "2.0"},
            content=content,
            headers={"content-type": "application/octet-stream"},
        )
    image_id: str = added["image_id"]
    return image_id


async def _update(depot: Depot, station: Station, image_id: str) -> Payload:
    told = await depot.post(f"/firmware/{image_id}/updates", {"station_ids": [station.id], "reason": "case"})
    (transfer,) = told["transfers"]
    assert transfer["state"] == "Accepted", transfer
    found: Payload = transfer
    return found


async def _reported(depot: Depot, path: str, station: Station, state: str, name: str) -> None:
    """What the station said last is what the API shows."""
    shown = await depot.get(path, station_id=station.id)
    assert [row["state"] for row in shown[name]] == [state]


async def test_tc_044_1_firmware_download_and_install(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await station.boot()
        await _update(depot, station, await _image(depot, b"firmware 1"))
        assert (await station.told("UpdateFirmware"))["location"].startswith("http://127.0.0.1:")
        for status in ("Downloading", "Downloaded", "Installing"):
            await station.say("FirmwareStatusNotification", status=status)
            await _reported(depot, "/firmware/updates", station, status, "updates")
    async with depot.connected(name, password) as station:
        assert (await station.boot()).status == "Accepted"
        await station.status("Available")
        await station.say("FirmwareStatusNotification", status="Installed")
        await _reported(depot, "/firmware/updates", station, "Installed", "updates")


async def _fails(depot: Depot, *statuses: str) -> None:
    async with depot.station() as station:
        await _update(depot, station, await _image(depot, b"firmware 2"))
        await station.told("UpdateFirmware")
        for status in statuses:
            await station.say("FirmwareStatusNotification", status=status)
        await station.status("Available")
        await _reported(depot, "/firmware/updates", station, statuses[-1], "updates")


async def test_tc_044_2_firmware_download_failed(depot: Depot) -> None:
    await _fails(depot, "Downloading", "DownloadFailed")


async def test_tc_044_3_firmware_installation_failed(depot: Depot) -> None:
    await _fails(depot, "Downloading", "Downloaded", "Installing", "InstallationFailed")


async def _log(depot: Depot, station: Station, kind: str) -> None:
    told = await depot.post("/logs", {"station_id": station.id, "kind": kind, "reason": "case"})
    assert [row["state"] for row in told["transfers"]] == ["Accepted"]


async def test_tc_045_1_get_diagnostics(depot: Depot) -> None:
    async with depot.station() as station:
        await _log(depot, station, "diagnostics")
        assert (await station.told("GetDiagnostics"))["location"].startswith("http://127.0.0.1:")
        for status in ("Uploading", "Uploaded"):
            await station.say("DiagnosticsStatusNotification", status=status)
            await _reported(depot, "/logs", station, status, "logs")


async def test_tc_045_2_diagnostics_upload_failed(depot: Depot) -> None:
    async with depot.station() as station:
        await _log(depot, station, "diagnostics")
        for status in ("Uploading", "UploadFailed"):
            await station.say("DiagnosticsStatusNotification", status=status)
        await _reported(depot, "/logs", station, "UploadFailed", "logs")


async def test_tc_079_get_security_log(depot: Depot) -> None:
    async with depot.station() as station:
        await _log(depot, station, "security")
        told = await station.told("GetLog")
        assert (told["log_type"], told["log"]["remote_location"][:17]) == ("SecurityLog", "http://127.0.0.1:")
        for status in ("Uploading", "Uploaded"):
            await station.say("LogStatusNotification", status=status, request_id=told["request_id"])
            await _reported(depot, "/logs", station, status, "logs")


async def _signed(depot: Depot, station: Station, folder: Path) -> int:
    """A signed update is on its way, its request id."""
    maker = Ca("Acme firmware", folder)
    form = {"signature": base64.b64encode(b"signed by Acme").decode(), "certificate": maker.root, "name": "fw.bin", "version": "3.0"}
    await _update(depot, station, await _image(depot, b"signed firmware", **form))
    told = await station.told("SignedUpdateFirmware")
    assert (told["firmware"]["signature"], told["firmware"]["signing_certificate"]) == (form["signature"], maker.root.strip())
    request_id: int = told["request_id"]
    return request_id


async def test_tc_080_secure_firmware_update(depot: Depot, tmp_path: Path) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await station.boot()
        number = await _signed(depot, station, tmp_path)
        for status in ("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"):
            await station.say("SignedFirmwareStatusNotification", status=status, request_id=number)
            await _reported(depot, "/firmware/updates", station, status, "updates")
    async with depot.connected(name, password) as station:
        assert (await station.boot()).status == "Accepted"
        await station.say("SignedFirmwareStatusNotification", status="Installed", request_id=number)
        await station.say("SecurityEventNotification", type="FirmwareUpdated", timestamp=now(), tech_info="3.0")
        await _reported(depot, "/firmware/updates", station, "Installed", "updates")
        events = (await depot.get("/security/events", station_id=station.id))["events"]
        assert [event["kind"] for event in events] == ["FirmwareUpdated"]


async def test_tc_081_secure_firmware_update_invalid_signature(depot: Depot, tmp_path: Path) -> None:
    async with depot.station() as station:
        number = await _signed(depot, station, tmp_path)
        for status in ("Downloading", "Downloaded", "InvalidSignature"):
            await station.say("SignedFirmwareStatusNotification", status=status, request_id=number)
        await station.say("SecurityEventNotification", type="InvalidFirmwareSignature", timestamp=now(), tech_info="3.0")
        await _reported(depot, "/firmware/updates", station, "InvalidSignature", "updates")
