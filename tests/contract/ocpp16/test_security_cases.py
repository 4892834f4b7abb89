"""Security whitepaper: passwords, profiles, certificates, security events, and how a station gets in at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pki import Ca, csr, key_pem, station_context
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from ocpp16.depot import Depot, Payload, Station, now

pytestmark = pytest.mark.anyio


async def _root(depot: Depot) -> str:
    root: str = (await depot.get("/certificates"))["authority"]["pem"]
    return root


async def _events(depot: Depot, station: Station) -> list[str]:
    return [event["kind"] for event in (await depot.get("/security/events", station_id=station.id))["events"]]


async def test_tc_073_update_of_the_password(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await station.boot()
        await depot.post(f"/stations/{name}/key", {"reason": "case"})
        told = await station.told("ChangeConfiguration", where=lambda payload: payload["key"] == "AuthorizationKey")
        assert 16 <= len(told["value"]) <= 40
    async with depot.connected(name, told["value"]) as station:
        assert (await station.boot()).status == "Accepted"
    with pytest.raises(InvalidStatus) as refused:
        async with depot.connected(name, password):
            pass
    assert refused.value.response.status_code == 401


async def test_tc_085_basic_authentication(depot: Depot) -> None:
    name, password = await depot.new()
    for wrong in ("not-this-password", ""):
        with pytest.raises(InvalidStatus) as refused:
            async with depot.connected(name, wrong):
                pass
        assert refused.value.response.status_code == 401
    async with depot.connected(name, password) as station:
        assert (await station.boot()).status == "Accepted"
        for number in (1, 2):
            await station.status("Available", number)


async def test_tc_086_tls_server_certificate(depot: Depot, tmp_path: Path) -> None:
    name, password = await depot.new(security_profile=2)
    with pytest.raises(InvalidStatus):  # its profile is TLS: the plain port is closed to it
        async with depot.connected(name, password):
            pass
    with pytest.raises((OSError, InvalidMessage)):  # it trusts somebody else
        async with depot.connected(name, password, tls=station_context(Ca("Elsewhere", tmp_path).root)):
            pass
    async with depot.connected(name, password, tls=station_context(await _root(depot))) as station:
        assert (await station.boot()).status == "Accepted"
        await station.status("Available")


async def _signed(depot: Depot, station: Station) -> tuple[str, ec.EllipticCurvePrivateKey]:
    """The station is asked to renew, and what it is sent: a chain for its new key."""
    assert (await depot.post("/certificates", {"station_id": station.id, "reason": "case"}))["status"] in ("accepted", "done")
    assert await station.told("ExtendedTriggerMessage") == {"requested_message": "SignChargePointCertificate"}
    private = ec.generate_private_key(ec.SECP256R1())
    assert (await station.say("SignCertificate", csr=csr(private, station.id))).status == "Accepted"
    chain: str = (await station.told("CertificateSigned"))["certificate_chain"]
    return chain, private


async def test_tc_074_update_of_the_certificate(depot: Depot) -> None:
    name, password = await depot.new(security_profile=2)
    root = await _root(depot)
    async with depot.connected(name, password, tls=station_context(root)) as station:
        await station.boot()
        chain, private = await _signed(depot, station)
        made = x509.load_pem_x509_certificate(chain.encode())
        made.verify_directly_issued_by(x509.load_pem_x509_certificate(root.encode()))
        assert made.public_key() == private.public_key()
        (common,) = made.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert common.value == name
        shown = await depot.shows(f"/certificates?station_id={name}", lambda v: v["certificates"][0]["answer"] != "")
        assert shown["certificates"][0]["answer"] == "accepted"


async def test_tc_087_tls_client_certificate(depot: Depot, tmp_path: Path) -> None:
    name, password = await depot.new(security_profile=2)
    root = await _root(depot)
    async with depot.connected(name, password, tls=station_context(root)) as station:
        await station.boot()
        chain, private = await _signed(depot, station)
        await depot.shows(f"/certificates?station_id={name}", lambda v: v["certificates"][0]["answer"] == "accepted")
        await depot.put(f"/stations/{name}/security-profile", {"security_profile": 3, "reason": "case"})
        told = await station.told("ChangeConfiguration", where=lambda payload: payload["key"] == "SecurityProfile")
        assert told["value"] == "3"
    path = tmp_path / "station.pem"
    path.write_text(chain + key_pem(private))
    async with depot.connected(name, "", tls=station_context(root, path)) as station:
        assert (await station.boot()).status == "Accepted"
        await station.status("Available")
    with pytest.raises(InvalidStatus):  # the password alone opens nothing any more
        async with depot.connected(name, password, tls=station_context(root)):
            pass


async def test_tc_083_upgrade_of_the_security_profile(depot: Depot) -> None:
    name, password = await depot.new()
    root = await _root(depot)
    async with depot.connected(name, password) as station:
        await station.boot()
        station.answers["GetInstalledCertificateIds"] = {"status": "Accepted", "certificateHashData": [_named(root)]}
        await depot.post("/certificates/installed", {"station_id": name, "reason": "case"})
        await depot.put(f"/stations/{name}/security-profile", {"security_profile": 2, "reason": "case"})
        told = await station.told("ChangeConfiguration", where=lambda payload: payload["key"] == "SecurityProfile")
        assert told["value"] == "2"
    async with depot.connected(name, password, tls=station_context(root)) as station:
        assert (await station.boot()).status == "Accepted"
        for number in (1, 2):
            await station.status("Available", number)
    with pytest.raises(InvalidStatus):  # no way back
        async with depot.connected(name, password):
            pass


def _named(root: str) -> Payload:
    """A certificate as a station names it; which one it is, is not looked at by these cases."""
    serial = x509.load_pem_x509_certificate(root.encode()).serial_number
    return {"hashAlgorithm": "SHA256", "issuerNameHash": "ab" * 32, "issuerKeyHash": "cd" * 32, "serialNumber": f"{serial:x}"}


async def _install(depot: Depot, use: str, folder: Path) -> None:
    async with depot.station() as station:
        root = Ca("Acme root", folder).root
        body = {"station_id": station.id, "certificate_type": use, "certificate": root, "reason": "case"}
        assert (await depot.post("/certificates/installed", body))["status"] == "done"
        assert station.calls("InstallCertificate") == [{"certificate_type": use, "certificate": root}]
        station.answers["GetInstalledCertificateIds"] = {"status": "Accepted", "certificateHashData": [_named(root)]}
        shown = await depot.get("/certificates/installed", station_id=station.id, certificate_type=use)
        assert station.calls("GetInstalledCertificateIds")[-1] == {"certificate_type": use}
        assert [row["serial_number"] for row in shown["certificates"]] == [_named(root)["serialNumber"]]


async def test_tc_075_1_install_a_manufacturers_root(depot: Depot, tmp_path: Path) -> None:
    await _install(depot, "ManufacturerRootCertificate", tmp_path)


async def test_tc_075_2_install_a_central_systems_root(depot: Depot, tmp_path: Path) -> None:
    await _install(depot, "CentralSystemRootCertificate", tmp_path)


async def test_tc_076_delete_a_certificate(depot: Depot, tmp_path: Path) -> None:
    async with depot.station() as station:
        named = _named(Ca("Acme root", tmp_path).root)
        query = {
            "station_id": station.id, "serial_number": named["serialNumber"], "issuer_name_hash": named["issuerNameHash"],
            "issuer_key_hash": named["issuerKeyHash"], "hash_algorithm": named["hashAlgorithm"],
        }  # fmt: skip
        assert (await depot.delete("/certificates/installed", params=query))["status"] == "done"
        (told,) = station.calls("DeleteCertificate")
        assert told["certificate_hash_data"]["serial_number"] == named["serialNumber"]


async def test_tc_077_invalid_charge_point_certificate(depot: Depot) -> None:
    name, password = await depot.new(security_profile=2)
    async with depot.connected(name, password, tls=station_context(await _root(depot))) as station:
        await station.boot()
        station.answers["CertificateSigned"] = {"status": "Rejected"}
        await _signed(depot, station)
        await station.say("SecurityEventNotification", type="InvalidChargePointCertificate", timestamp=now(), tech_info="as the case says")
        shown = await depot.shows(f"/certificates?station_id={name}", lambda v: v["certificates"][0]["answer"] != "")
        assert shown["certificates"][0]["answer"] == "refused"
        assert "InvalidChargePointCertificate" in await _events(depot, station)


async def test_tc_078_invalid_central_system_certificate(depot: Depot, tmp_path: Path) -> None:
    async with depot.station() as station:
        station.answers["InstallCertificate"] = {"status": "Rejected"}
        body = {"station_id": station.id, "certificate": Ca("Acme root", tmp_path).root, "reason": "case"}
        refused = await depot.post("/certificates/installed", body, expect=(409,))
        assert "answered Rejected" in refused["detail"]
        await station.say(
            "SecurityEventNotification", type="InvalidCentralSystemCertificate", timestamp=now(), tech_info="as the case says"
        )
        assert "InvalidCentralSystemCertificate" in await _events(depot, station)


async def test_tc_088_sub_protocol_negotiation(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        assert station.connection.subprotocol == "ocpp1.6"
        assert (await station.boot()).status == "Accepted"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{depot.settings.ocpp_port}/ocpp/{name}", subprotocols=[Subprotocol("ocpp1.2")], proxy=None):
            pass
    assert refused.value.response.status_code in (400, 401)
