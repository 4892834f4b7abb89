"""Block A, security: who is let in, keys, certificates, and the way to a higher profile."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from octt.station import Payload, now
from pki import Ca, csr, key_pem, station_context
from websockets.exceptions import InvalidMessage, InvalidStatus

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio


async def _root(depot: Depot) -> str:
    root: str = (await depot.get("/certificates"))["authority"]["pem"]
    return root


async def _events(depot: Depot, station: Station) -> list[str]:
    return [event["kind"] for event in (await depot.get("/security/events", station_id=station.id))["events"]]


async def _refused(depot: Depot, name: str, password: str, *, tls: ssl.SSLContext | None = None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with depot.connected(name, password, tls=tls):
            pass
    assert refused.value.response.status_code == 401


@case("TC_A_01_CSMS")
async def test_basic_authentication(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        assert (await station.boot())["status"] == "Accepted"
        await station.status("Available")


@case("TC_A_02_CSMS")
async def test_a_user_that_is_not_the_station(depot: Depot) -> None:
    (name, _), (other, password) = await depot.new(), await depot.new()
    await _refused(depot, name, password)  # of another station
    async with depot.connected(other, password) as station:
        assert (await station.boot())["status"] == "Accepted"


@case("TC_A_03_CSMS")
async def test_a_wrong_password(depot: Depot) -> None:
    name, password = await depot.new()
    await _refused(depot, name, password[:-1] + ("x" if password[-1] != "x" else "y"))
    await _refused(depot, name, "")


@case("TC_A_04_CSMS")
async def test_tls_with_a_server_certificate(depot: Depot, tmp_path: Path) -> None:
    name, password = await depot.new(security_profile=2)
    await _refused(depot, name, password)  # its profile is TLS: the plain port is closed to it
    with pytest.raises((OSError, InvalidMessage)):  # it trusts somebody else
        async with depot.connected(name, password, tls=station_context(Ca("Elsewhere", tmp_path).root)):
            pass
    async with depot.connected(name, password, tls=station_context(await _root(depot))) as station:
        assert (await station.boot())["status"] == "Accepted"


@case("TC_A_06_CSMS")
async def test_a_tls_version_that_is_too_low(depot: Depot) -> None:
    name, password = await depot.new(security_profile=2)
    root = await _root(depot)
    with pytest.raises((OSError, InvalidMessage)):
        async with depot.connected(name, password, tls=station_context(root, most=ssl.TLSVersion.TLSv1_1)):
            pass
    async with depot.connected(name, password, tls=station_context(root, most=ssl.TLSVersion.TLSv1_2)) as station:
        assert (await station.boot())["status"] == "Accepted"


async def _signed(depot: Depot, station: Station, kind: str = "ChargingStationCertificate") -> tuple[str, ec.EllipticCurvePrivateKey]:
    """The station is asked to renew, and what it is sent: a chain for its new key. Of a combined one it says no type."""
    asked = {"station_id": station.id, "certificate_type": kind, "reason": "case"}
    assert (await depot.post("/certificates", asked))["status"] == "accepted"
    assert (await station.told("TriggerMessage", where=lambda p: p["requestedMessage"] == f"Sign{kind}"))["requestedMessage"]
    private = ec.generate_private_key(ec.SECP256R1())
    wanted = {} if kind == "CombinedCertificate" else {"certificateType": kind}
    assert await station.say("SignCertificate", csr=csr(private, station.id), **wanted) == {"status": "Accepted"}
    told = await station.told("CertificateSigned")
    assert told.get("certificateType", "CombinedCertificate") == kind
    return told["certificateChain"], private


def _takes_triggers(station: Station) -> None:
    station.answers["TriggerMessage"] = {"status": "Accepted"}


@case("TC_A_07_CSMS")
async def test_tls_with_a_client_certificate(depot: Depot, tmp_path: Path) -> None:
    name, password = await depot.new(security_profile=2)
    root = await _root(depot)
    async with depot.connected(name, password, tls=station_context(root)) as station:
        _takes_triggers(station)
        await depot.booted(station)
        chain, private = await _signed(depot, station)
        await depot.shows(f"/certificates?station_id={name}", lambda v: v["certificates"][0]["answer"] == "accepted")
    await depot.put(f"/stations/{name}/security-profile", {"security_profile": 3, "by_hand": True, "reason": "case"})
    path = tmp_path / "station.pem"
    path.write_text(chain + key_pem(private))
    async with depot.connected(name, "", tls=station_context(root, path)) as station:
        assert (await station.boot())["status"] == "Accepted"
    await _refused(depot, name, password, tls=station_context(root))


@case("TC_A_08_CSMS")
async def test_a_client_certificate_of_nobody_that_is_trusted(depot: Depot, tmp_path: Path) -> None:
    name, password = await depot.new(security_profile=2)
    root = await _root(depot)
    foreign = Ca("Elsewhere", tmp_path).issue(name)
    with pytest.raises((OSError, InvalidMessage)):
        async with depot.connected(name, password, tls=station_context(root, foreign.path)) as station:
            await station.boot()


@case("TC_A_09_CSMS")
async def test_a_new_password(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await depot.booted(station)
        await depot.post(f"/stations/{name}/key", {"reason": "case"})
        (row,) = (await station.told("SetVariables", where=_sets_password))["setVariableData"]
        assert 16 <= len(row["attributeValue"]) <= 40
    async with depot.connected(name, row["attributeValue"]) as station:
        assert (await station.boot())["status"] == "Accepted"
    await _refused(depot, name, password)


@case("TC_A_10_CSMS")
async def test_a_new_password_that_the_station_refuses(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await depot.booted(station)
        station.answers["SetVariables"] = lambda asked: {
            "setVariableResult": [
                {"component": r["component"], "variable": r["variable"], "attributeStatus": "Rejected"} for r in asked["setVariableData"]
            ]
        }
        refused = await depot.post(f"/stations/{name}/key", {"reason": "case"}, expect=(409,))
        assert "keeps its key" in refused["detail"]
        (row,) = (await station.told("SetVariables", where=_sets_password))["setVariableData"]
    await _refused(depot, name, row["attributeValue"])
    async with depot.connected(name, password) as station:
        assert (await station.boot())["status"] == "Accepted"


def _sets_password(payload: Payload) -> bool:
    return any(row["variable"]["name"] == "BasicAuthPassword" for row in payload["setVariableData"])


@case("TC_A_11_CSMS")
async def test_a_new_certificate_of_the_station(depot: Depot) -> None:
    async with depot.station() as station:
        _takes_triggers(station)
        chain, private = await _signed(depot, station)
        made = x509.load_pem_x509_certificate(chain.encode())
        made.verify_directly_issued_by(x509.load_pem_x509_certificate((await _root(depot)).encode()))
        assert made.public_key() == private.public_key()
        (common,) = made.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert common.value == station.id
        shown = await depot.shows(f"/certificates?station_id={station.id}", lambda v: v["certificates"][0]["answer"] != "")
        assert shown["certificates"][0]["answer"] == "accepted"


@case("TC_A_12_CSMS")
async def test_a_new_v2g_certificate(depot: Depot) -> None:
    async with depot.station() as station:
        _takes_triggers(station)
        chain, private = await _signed(depot, station, "V2GCertificate")
        leaf, sub = x509.load_pem_x509_certificates(chain.encode())
        leaf.verify_directly_issued_by(sub)
        assert leaf.public_key() == private.public_key()
        view = await depot.shows(f"/certificates?station_id={station.id}", lambda v: v["certificates"][0]["answer"] != "")
        assert view["v2g_authority"]["common_name"] == "V2G sub"
        assert view["certificates"][0]["use"] == "V2GCertificate"


@case("TC_A_13_CSMS")
async def test_a_new_certificate_for_all_that_the_station_does(depot: Depot) -> None:
    async with depot.station() as station:
        _takes_triggers(station)
        chain, private = await _signed(depot, station, "CombinedCertificate")
        assert x509.load_pem_x509_certificate(chain.encode()).public_key() == private.public_key()


@case("TC_A_14_CSMS")
async def test_a_certificate_that_the_station_finds_invalid(depot: Depot) -> None:
    async with depot.station() as station:
        _takes_triggers(station)
        station.answers["CertificateSigned"] = {"status": "Rejected"}
        await _signed(depot, station)
        await station.say("SecurityEventNotification", type="InvalidChargingStationCertificate", timestamp=now())
        shown = await depot.shows(f"/certificates?station_id={station.id}", lambda v: v["certificates"][0]["answer"] != "")
        assert shown["certificates"][0]["answer"] == "refused"
        assert "InvalidChargingStationCertificate" in await _events(depot, station)


@case("TC_A_19_CSMS")
async def test_a_higher_security_profile(depot: Depot) -> None:
    name, password = await depot.new()
    root = await _root(depot)
    async with depot.connected(name, password) as station:
        station.variables |= {"OCPPCommCtrlr.NetworkConfigurationPriority": "1", "OCPPCommCtrlr.ActiveNetworkProfile": "1"}
        await depot.booted(station)
        ordered = await depot.put(f"/stations/{name}/security-profile", {"security_profile": 2, "reason": "case"}, expect=(202,))
        assert ordered["status"] == "accepted"
        (told,) = station.calls("SetNetworkProfile")
        assert told["configurationSlot"] != 1
        data = told["connectionData"]
        assert (data["securityProfile"], data["ocppTransport"]) == (2, "JSON")
        assert data["ocppCsmsUrl"] == f"wss://localhost:{depot.settings.ocpp_tls_port}/ocpp"
        assert station.variables["OCPPCommCtrlr.NetworkConfigurationPriority"] == f"{told['configurationSlot']},1"
        assert station.calls("Reset") == [{"type": "OnIdle"}]
    async with depot.connected(name, password, tls=station_context(root)) as station:
        assert (await station.boot("RemoteReset"))["status"] == "Accepted"
        await depot.shows(f"/security?station_id={name}", lambda v: v["stations"][0]["security_profile"] == 2)
    await _refused(depot, name, password)  # no way back
