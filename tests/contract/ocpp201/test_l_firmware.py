"""Block L: secure firmware updates, and firmware that a local controller publishes."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from octt.station import Payload
from pki import Ca

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio

CONTENT = b"firmware of block L"


@cache
def _maker() -> str:
    """The certificate of who makes the images, PEM."""
    with tempfile.TemporaryDirectory() as folder:
        return Ca("Maker", Path(folder)).root


async def _image(depot: Depot, content: bytes = CONTENT) -> str:
    """A signed image, its id."""
    form = {
        "name": "fw.bin", "version": "2.0", "signature": base64.b64encode(b"s" * 64).decode(), "certificate": _maker(),
    }  # fmt: skip
    added = await depot.request("POST", "/firmware", data=form, files={"file": ("fw.bin", content)})
    image_id: str = added["image_id"]
    return image_id


async def _update(depot: Depot, station: Station, **more: object) -> Payload:
    body = {"station_ids": [station.id], "reason": "case", **more}
    told = await depot.post(f"/firmware/{await _image(depot)}/updates", body)
    (transfer,) = told["transfers"]
    found: Payload = transfer
    return found


async def _newest(depot: Depot, station: Station) -> Payload:
    found: Payload = (await depot.get("/firmware/updates", station_id=station.id))["updates"][0]
    return found


async def _goes(depot: Depot, *statuses: str, standing: str, **more: object) -> Payload:
    """An update that goes so. What the station was asked."""
    async with depot.station() as station:
        number = (await _update(depot, station, **more))["id"]
        asked = await station.told("UpdateFirmware")
        assert asked["requestId"] == number
        for status in statuses:
            assert await station.say("FirmwareStatusNotification", status=status, requestId=number) == {}
            assert (await _newest(depot, station))["state"] == status
        assert (await _newest(depot, station))["standing"] == standing
        return asked


FETCHED = ("Downloading", "Downloaded", "SignatureVerified")


@case("TC_L_01_CSMS")
async def test_installed(depot: Depot) -> None:
    asked = await _goes(depot, *FETCHED, "Installing", "InstallRebooting", "Installed", standing="done")
    assert {"location", "retrieveDateTime", "signingCertificate", "signature"} <= set(asked["firmware"])


def _in(minutes: int) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


@case("TC_L_02_CSMS")
async def test_install_scheduled(depot: Depot) -> None:
    later = _in(5)
    asked = await _goes(depot, *FETCHED, "InstallScheduled", "Installing", "Installed", standing="done", install_at=later.isoformat())
    assert asked["firmware"]["installDateTime"][:19] == later.isoformat()[:19]


@case("TC_L_03_CSMS")
async def test_download_scheduled(depot: Depot) -> None:
    later = _in(5)
    asked = await _goes(depot, "DownloadScheduled", *FETCHED, "Installing", "Installed", standing="done", retrieve_at=later.isoformat())
    assert asked["firmware"]["retrieveDateTime"][:19] == later.isoformat()[:19]


async def _refused(depot: Depot, word: str) -> None:
    async with depot.station() as station:
        station.answers["UpdateFirmware"] = {"status": word}
        transfer = await _update(depot, station)
        assert (transfer["state"], transfer["detail"], transfer["standing"]) == ("Refused", word, "failed")


@case("TC_L_04_CSMS")
async def test_revoked_certificate(depot: Depot) -> None:
    await _refused(depot, "RevokedCertificate")


@case("TC_L_05_CSMS")
async def test_invalid_certificate(depot: Depot) -> None:
    await _refused(depot, "InvalidCertificate")


@case("TC_L_06_CSMS")
async def test_invalid_signature(depot: Depot) -> None:
    await _goes(depot, "Downloading", "Downloaded", "InvalidSignature", standing="failed")


@case("TC_L_07_CSMS")
async def test_download_failed(depot: Depot) -> None:
    await _goes(depot, "Downloading", "DownloadFailed", standing="failed")


@case("TC_L_08_CSMS")
async def test_install_verification_failed(depot: Depot) -> None:
    await _goes(depot, *FETCHED, "Installing", "InstallVerificationFailed", standing="failed")


@case("TC_L_09_CSMS")
async def test_installation_failed(depot: Depot) -> None:
    await _goes(depot, *FETCHED, "Installing", "InstallationFailed", standing="failed")


@case("TC_L_10_CSMS")
async def test_accepted_canceled(depot: Depot) -> None:
    async with depot.station() as station:
        first = (await _update(depot, station))["id"]
        await station.say("FirmwareStatusNotification", status="Downloading", requestId=first)
        station.answers["UpdateFirmware"] = {"status": "AcceptedCanceled"}
        second = await _update(depot, station)
        assert (second["state"], second["detail"]) == ("Accepted", "AcceptedCanceled")
        shown = (await depot.get("/firmware/updates", station_id=station.id))["updates"]
        assert {row["id"]: row["standing"] for row in shown} == {first: "superseded", second["id"]: "under_way"}


@case("TC_L_11_CSMS")
async def test_unable_to_cancel(depot: Depot) -> None:
    async with depot.station() as station:
        first = (await _update(depot, station))["id"]
        await station.say("FirmwareStatusNotification", status="Installing", requestId=first)
        station.answers["UpdateFirmware"] = {"status": "Rejected"}
        second = await _update(depot, station)
        await station.say("FirmwareStatusNotification", status="Installed", requestId=first)
        shown = (await depot.get("/firmware/updates", station_id=station.id))["updates"]
        assert {row["id"]: row["standing"] for row in shown} == {first: "done", second["id"]: "failed"}


@case("TC_L_13_CSMS")
async def test_new_sessions_wait_for_the_update(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        number = (await _update(depot, station))["id"]
        for status in (*FETCHED, "InstallScheduled"):
            await station.say("FirmwareStatusNotification", status=status, requestId=number)
        await station.status("Unavailable", 2)
        assert (await depot.connector(station, 2))["status"] == "Unavailable"
        await running.ended("StopAuthorized", token="VALID", wh=2000)
        await station.status("Unavailable")
        await station.say("FirmwareStatusNotification", status="Installing", requestId=number)
        assert (await station.boot("FirmwareUpdate"))["status"] == "Accepted"
        await station.say("FirmwareStatusNotification", status="Installed", requestId=number)
        for evse in (1, 2):
            await station.status("Available", evse)
        assert (await _newest(depot, station))["standing"] == "done"
        assert (await depot.connector(station, 2))["status"] == "Available"


# -- published by a local controller ---------------------------------------------------------------------------------


async def _published(depot: Depot, station: Station, *statuses: str, location: tuple[str, ...] = ()) -> tuple[str, Payload]:
    """A publication that goes so: the image's id, and how it stands."""
    image_id = await _image(depot)
    told = await depot.post(f"/firmware/{image_id}/publications", {"station_id": station.id, "reason": "case"})
    (transfer,) = told["transfers"]
    asked = await station.told("PublishFirmware")
    assert (asked["requestId"], asked["checksum"]) == (transfer["id"], hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())
    for status in statuses:
        more = {"location": list(location)} if status == "Published" else {}
        assert await station.say("PublishFirmwareStatusNotification", status=status, requestId=transfer["id"], **more) == {}
    shown = (await depot.get("/firmware/publications", station_id=station.id))["publications"]
    return image_id, shown[0]


@case("TC_L_17_CSMS")
async def test_published(depot: Depot) -> None:
    where = ("https://10.0.0.9/fw.bin", "ftp://10.0.0.9/fw.bin")
    async with depot.station() as station:
        _, shown = await _published(depot, station, "Downloading", "Downloaded", "ChecksumVerified", "Published", location=where)
        assert (shown["state"], shown["standing"], tuple(shown["locations"])) == ("Published", "done", where)


async def _not_published(depot: Depot, *statuses: str) -> None:
    async with depot.station() as station:
        _, shown = await _published(depot, station, *statuses)
        assert (shown["state"], shown["standing"]) == (statuses[-1], "failed")


@case("TC_L_19_CSMS")
async def test_publish_invalid_checksum(depot: Depot) -> None:
    await _not_published(depot, "Downloading", "Downloaded", "InvalidChecksum")


@case("TC_L_20_CSMS")
async def test_publish_failed(depot: Depot) -> None:
    await _not_published(depot, "Downloading", "Downloaded", "ChecksumVerified", "PublishFailed")


@case("TC_L_24_CSMS")
async def test_publish_download_failed(depot: Depot) -> None:
    await _not_published(depot, "Downloading", "DownloadFailed")


async def _unpublish(depot: Depot, word: str, *statuses: str) -> tuple[Payload, Payload]:
    async with depot.station() as station:
        image_id, shown = await _published(depot, station, *statuses, location=("https://10.0.0.9/fw.bin",))
        station.answers["UnpublishFirmware"] = {"status": word}
        done = await depot.delete(f"/firmware/{image_id}/publications/{station.id}")
        assert station.calls("UnpublishFirmware") == [{"checksum": shown["checksum"]}]
        after = (await depot.get("/firmware/publications", station_id=station.id))["publications"][0]
        return done, after


@case("TC_L_21_CSMS")
async def test_unpublished(depot: Depot) -> None:
    done, after = await _unpublish(depot, "Unpublished", "Published")
    assert (done["said"], after["state"]) == ("Unpublished", "Unpublished")


@case("TC_L_22_CSMS")
async def test_unpublish_no_firmware(depot: Depot) -> None:
    done, after = await _unpublish(depot, "NoFirmware", "Published")
    assert (done["said"], after["state"]) == ("NoFirmware", "Unpublished")


@case("TC_L_23_CSMS")
async def test_unpublish_download_ongoing(depot: Depot) -> None:
    done, after = await _unpublish(depot, "DownloadOngoing", "Downloading")
    assert (done["said"], after["state"]) == ("DownloadOngoing", "Downloading")
