"""Block M, certificates of ISO 15118: installed, listed, deleted; their status; contracts for vehicles."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from contract_pki import Responder, listening, made
from cryptography.x509 import ocsp
from octt.station import Payload
from pki import Ca

from ocpp201.cases import case
from ocpp201.depot import Depot

pytestmark = pytest.mark.anyio
NAMED = {"hashAlgorithm": "SHA256", "issuerNameHash": "ab" * 32, "issuerKeyHash": "cd" * 32, "serialNumber": "1a2b"}


async def _install(depot: Depot, use: str, folder: Path) -> None:
    async with depot.station() as station:
        root = Ca("Acme root", folder).root
        body = {"station_id": station.id, "certificate_type": use, "certificate": root, "reason": "case"}
        assert (await depot.post("/certificates/installed", body))["status"] == "done"
        assert station.calls("InstallCertificate") == [{"certificateType": use, "certificate": root}]


@case("TC_M_01_CSMS")
async def test_install_a_root_of_the_central_system(depot: Depot, tmp_path: Path) -> None:
    await _install(depot, "CSMSRootCertificate", tmp_path)


@case("TC_M_02_CSMS")
async def test_install_a_root_of_the_manufacturer(depot: Depot, tmp_path: Path) -> None:
    await _install(depot, "ManufacturerRootCertificate", tmp_path)


@case("TC_M_03_CSMS")
async def test_install_a_v2g_root(depot: Depot, tmp_path: Path) -> None:
    await _install(depot, "V2GRootCertificate", tmp_path)


@case("TC_M_04_CSMS")
async def test_install_a_root_of_contracts(depot: Depot, tmp_path: Path) -> None:
    await _install(depot, "MORootCertificate", tmp_path)


@case("TC_M_101_CSMS")
async def test_install_a_root_of_vehicles(depot: Depot, tmp_path: Path) -> None:
    await _install(depot, "OEMRootCertificate", tmp_path)


@case("TC_M_05_CSMS")
async def test_a_root_that_the_station_does_not_take(depot: Depot, tmp_path: Path) -> None:
    async with depot.station() as station:
        station.answers["InstallCertificate"] = {"status": "Failed"}
        body = {"station_id": station.id, "certificate_type": "CSMSRootCertificate", "certificate": Ca("Acme", tmp_path).root}
        refused = await depot.post("/certificates/installed", body, expect=(409,))
        assert "Failed" in refused["detail"]


async def _listed(depot: Depot, *uses: str) -> Payload:
    """What the station was asked, and that all it said is shown."""
    async with depot.station() as station:
        kinds = uses or ("CSMSRootCertificate", "V2GCertificateChain")
        chains = [{"certificateType": kind, "certificateHashData": NAMED} for kind in kinds]
        chains[-1] |= {"childCertificateHashData": [NAMED]} if kinds[-1] == "V2GCertificateChain" else {}
        station.answers["GetInstalledCertificateIds"] = {"status": "Accepted", "certificateHashDataChain": chains}
        query = [("station_id", station.id), *(("certificate_type", use) for use in uses)]
        shown = await depot.request("GET", "/certificates/installed", params=query)
        assert [row["certificate_type"] for row in shown["certificates"]] == list(kinds)
        assert {row["serial_number"] for row in shown["certificates"]} == {"1a2b"}
        if kinds[-1] == "V2GCertificateChain":
            assert [child["serial_number"] for child in shown["certificates"][-1]["children"]] == ["1a2b"]
        return station.calls("GetInstalledCertificateIds")[-1]


@case("TC_M_12_CSMS")
async def test_list_roots_of_the_central_system(depot: Depot) -> None:
    assert await _listed(depot, "CSMSRootCertificate") == {"certificateType": ["CSMSRootCertificate"]}


@case("TC_M_13_CSMS")
async def test_list_roots_of_the_manufacturer(depot: Depot) -> None:
    assert await _listed(depot, "ManufacturerRootCertificate") == {"certificateType": ["ManufacturerRootCertificate"]}


@case("TC_M_14_CSMS")
async def test_list_v2g_roots(depot: Depot) -> None:
    assert await _listed(depot, "V2GRootCertificate") == {"certificateType": ["V2GRootCertificate"]}


@case("TC_M_15_CSMS")
async def test_list_v2g_chains(depot: Depot) -> None:
    assert await _listed(depot, "V2GCertificateChain") == {"certificateType": ["V2GCertificateChain"]}


@case("TC_M_16_CSMS")
async def test_list_roots_of_contracts(depot: Depot) -> None:
    assert await _listed(depot, "MORootCertificate") == {"certificateType": ["MORootCertificate"]}


@case("TC_M_17_CSMS")
async def test_list_two_types(depot: Depot) -> None:
    two = ["CSMSRootCertificate", "ManufacturerRootCertificate"]
    assert await _listed(depot, *two) == {"certificateType": two}


@case("TC_M_18_CSMS")
async def test_list_all_types(depot: Depot) -> None:
    assert await _listed(depot) == {}


@case("TC_M_19_CSMS")
async def test_nothing_is_installed(depot: Depot) -> None:
    async with depot.station() as station:
        shown = await depot.get("/certificates/installed", station_id=station.id, certificate_type="MORootCertificate")
        assert (shown["status"], shown["certificates"]) == ("NotFound", [])


QUERY = {"serial_number": "1a2b", "issuer_name_hash": "ab" * 32, "issuer_key_hash": "cd" * 32, "hash_algorithm": "SHA256"}


@case("TC_M_20_CSMS")
async def test_delete_a_certificate(depot: Depot) -> None:
    async with depot.station() as station:
        assert (await depot.delete("/certificates/installed", params=QUERY | {"station_id": station.id}))["status"] == "done"
        assert station.calls("DeleteCertificate") == [{"certificateHashData": NAMED}]


@case("TC_M_21_CSMS")
async def test_a_certificate_that_the_station_keeps(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["DeleteCertificate"] = {"status": "Failed"}
        refused = await depot.delete("/certificates/installed", params=QUERY | {"station_id": station.id}, expect=(409,))
        assert "Failed" in refused["detail"]


@case("TC_M_24_CSMS")
async def test_the_status_of_a_certificate(depot: Depot) -> None:
    root = made("V2G root")
    sub = made("V2G sub", root)
    async with listening(Responder([root])) as responder, depot.station() as station:
        said = await station.say("GetCertificateStatus", ocspRequestData=sub.on_wire(root, responder.url))
        assert said["status"] == "Accepted"
        answer = ocsp.load_der_ocsp_response(base64.b64decode(said["ocspResult"]))
        assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert answer.serial_number == sub.certificate.serial_number
        lost = await station.say("GetCertificateStatus", ocspRequestData=made("x", root).on_wire(root, "http://10.1.2.3/ocsp"))
        assert (lost["status"], lost["statusInfo"]["reasonCode"]) == ("Failed", "NoAnswer")


async def _exchanged(depot: Depot, action: str, schema: str, **more: object) -> Payload:
    async with depot.station() as station:
        said = await station.say("Get15118EVCertificate", iso15118SchemaVersion=schema, action=action, exiRequest="UkVR", **more)
        assert said["status"] == "Accepted"
        assert base64.b64decode(said["exiResponse"]).startswith(b"mock")  # the depot of these cases has the mock for a provider
        log = str(await depot.get("/messages", station_id=station.id, action="Get15118EVCertificate"))
        assert "UkVR" not in log
        assert said["exiResponse"] not in log
        return said


@case("TC_M_26_CSMS")
async def test_a_contract_is_installed(depot: Depot) -> None:
    await _exchanged(depot, "Install", "urn:iso:15118:2:2013:MsgDef")


@case("TC_M_28_CSMS")
async def test_a_contract_is_updated(depot: Depot) -> None:
    await _exchanged(depot, "Update", "urn:iso:15118:2:2013:MsgDef")


@case("TC_M_100_CSMS")
async def test_a_contract_of_iso_15118_20_is_installed(depot: Depot) -> None:
    said = await _exchanged(depot, "Install", "urn:iso:std:iso:15118:-20:CommonMessages", maximumContractCertificateChains=2)
    assert said["remainingContracts"] == 0


async def test_a_station_that_comes_over_tls_keeps_the_root_of_the_depot(depot: Depot) -> None:
    authority = (await depot.get("/certificates"))["authority"]
    name, _ = await depot.new(security_profile=2)
    own = QUERY | {"station_id": name, "serial_number": authority["serial"]}
    refused = await depot.delete("/certificates/installed", params=own, expect=(409,))
    assert "knows this depot by that root" in refused["detail"]
