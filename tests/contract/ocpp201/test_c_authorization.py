"""Block C, authorization: tokens and what they may, groups, master passes, contracts of vehicles."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from contract_pki import Node, Responder, listening, made

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station, id_token

pytestmark = pytest.mark.anyio


@case("TC_C_02_CSMS")
async def test_a_token_that_nobody_knows(depot: Depot) -> None:
    async with depot.station() as station:
        assert (await station.authorize("STRANGER"))["status"] in ("Invalid", "Unknown")
        running = station.transaction()
        said = await running.started("Authorized", token="STRANGER", chargingState="EVConnected")
        assert said["idTokenInfo"]["status"] in ("Invalid", "Unknown")


@case("TC_C_06_CSMS")
async def test_a_token_that_is_blocked(depot: Depot) -> None:
    async with depot.station() as station:
        assert (await station.authorize("BLOCKED"))["status"] == "Blocked"


@case("TC_C_07_CSMS")
async def test_a_token_that_has_expired(depot: Depot) -> None:
    async with depot.station() as station:
        assert (await station.authorize("EXPIRED"))["status"] == "Expired"


@case("TC_C_08_CSMS")
async def test_a_token_of_the_cache_that_is_accepted(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000)
        said = await running.updated("Authorized", token="VALID", chargingState="EVConnected")
        assert said["idTokenInfo"]["status"] == "Accepted"


@case("TC_C_20_CSMS")
async def test_a_token_of_the_cache_that_is_not_accepted_any_more(depot: Depot) -> None:
    token = f"CACHED-{uuid.uuid4().hex[:8]}"
    await depot.post("/id-tokens", {"token": token})
    async with depot.station() as station:
        assert (await station.authorize(token))["status"] == "Accepted"
        await depot.put(f"/id-tokens/{token}", {"status": "blocked"})
        running = station.transaction()
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000)
        said = await running.updated("Authorized", token=token, chargingState="EVConnected")
        assert said["idTokenInfo"]["status"] == "Blocked"


@case("TC_C_37_CSMS")
async def test_clear_the_cache(depot: Depot) -> None:
    async with depot.station() as station:
        assert await depot.call(station, "ClearCache") == {"status": "Accepted"}
        assert station.calls("ClearCache") == [{}]


@case("TC_C_38_CSMS")
async def test_clear_the_cache_is_refused(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["ClearCache"] = {"status": "Rejected"}
        assert await depot.call(station, "ClearCache") == {"status": "Rejected"}


async def _two_of_one_group(depot: Depot, station: Station) -> None:
    first = await station.authorize("FAMILY-1")
    running = await station.session("FAMILY-1")
    second = await station.authorize("FAMILY-2")
    assert first["status"] == second["status"] == "Accepted"
    assert first["groupIdToken"] == second["groupIdToken"]
    said = await running.ended("StopAuthorized", token="FAMILY-2", wh=2000)
    assert said["idTokenInfo"]["status"] == "Accepted"
    assert (await depot.connector(station))["transaction_id"] is None


@case("TC_C_39_CSMS")
async def test_who_is_of_the_group_may_stop(depot: Depot) -> None:
    async with depot.station() as station:
        await _two_of_one_group(depot, station)


@case("TC_C_40_CSMS")
async def test_who_is_of_the_group_may_stop_by_the_local_list(depot: Depot) -> None:
    async with depot.station() as station:
        entries = [{"token": token, "group": "FAMILY"} for token in ("FAMILY-1", "FAMILY-2")]
        await depot.put(f"/local-lists/{station.id}", {"update_type": "full", "entries": entries, "version": 1})
        (told,) = station.calls("SendLocalList")
        assert {row["idTokenInfo"]["groupIdToken"]["idToken"] for row in told["localAuthorizationList"]} == {"FAMILY"}
        running = await station.session("FAMILY-1")
        await running.ended("StopAuthorized", token="FAMILY-2", wh=2000)


@case("TC_C_43_CSMS")
async def test_a_token_of_the_group_that_is_not_valid(depot: Depot) -> None:
    async with depot.station() as station:
        entries = [{"token": "FAMILY-1", "group": "FAMILY"}, {"token": "FAMILY-X", "group": "FAMILY", "status": "invalid"}]
        await depot.put(f"/local-lists/{station.id}", {"update_type": "full", "entries": entries, "version": 1})
        rows = {row["idToken"]["idToken"]: row["idTokenInfo"] for row in station.calls("SendLocalList")[0]["localAuthorizationList"]}
        assert rows["FAMILY-X"]["status"] == "Invalid"
        assert (await station.authorize("FAMILY-X"))["status"] in ("Invalid", "Unknown")


async def _stopped_by_master_pass(depot: Depot, station: Station, evses: tuple[int, ...], shown_at: int) -> None:
    """Sessions on these EVSEs; a master pass ends those that its holder chose."""
    running = [await station.session("VALID" if evse == 1 else "FAMILY-1", evse) for evse in (1, 2)]
    said = await station.authorize("GUARD")
    assert said["status"] == "Accepted"
    assert said["groupIdToken"]["idToken"] == "MASTERS"
    for evse in evses:
        ended = await running[evse - 1].ended("StopAuthorized", stoppedReason="MasterPass", token="GUARD", wh=2000)
        assert ended["idTokenInfo"]["status"] == "Accepted"
    open_ = [evse for evse in (1, 2) if (await depot.connector(station, evse))["transaction_id"] is not None]
    assert open_ == [evse for evse in (1, 2) if evse not in evses]
    trail = (await depot.get("/audit", limit=50))["entries"]
    assert sum(entry["kind"] == "MasterPassStop" and entry["target"].startswith(f"{station.id}/") for entry in trail) == len(evses)
    fresh = station.transaction(shown_at)
    begun = await fresh.started("Authorized", token="GUARD", chargingState="EVConnected")
    assert begun["idTokenInfo"]["status"] == "Blocked"  # it begins nothing


@case("TC_C_47_CSMS")
async def test_a_master_pass_stops_all(depot: Depot) -> None:
    async with depot.station() as station:
        await _stopped_by_master_pass(depot, station, (1, 2), 1)


@case("TC_C_48_CSMS")
async def test_a_master_pass_stops_the_one_that_was_chosen(depot: Depot) -> None:
    async with depot.station() as station:
        await _stopped_by_master_pass(depot, station, (2,), 2)


@case("TC_C_49_CSMS")
async def test_a_master_pass_without_a_display(depot: Depot) -> None:
    async with depot.station() as station:
        await _stopped_by_master_pass(depot, station, (1, 2), 2)


@dataclass
class Contract:
    """A vehicle's contract whose authorities the depot trusts, and their responder."""

    emaid: str
    root: Node
    sub: Node
    leaf: Node
    responder: Responder


@asynccontextmanager
async def _contract(depot: Depot) -> AsyncIterator[Contract]:
    root = made("MO root")
    async with listening(Responder([root])) as responder:
        sub = made("MO sub", root, url=responder.url)
        responder.issuers.append(sub)
        emaid = f"DEABCC{uuid.uuid4().hex[:8].upper()}"
        leaf = made(emaid, sub, authority=False, url=responder.url)
        for node in (root, sub):
            await depot.post("/trusted-roots", {"use": "mo", "certificate": node.pem, "reason": "case"})
        await depot.post("/id-tokens", {"token": emaid, "type": "eMAID"})
        yield Contract(emaid, root, sub, leaf, responder)


async def _asks(station: Station, contract: Contract, *, chain: bool = False) -> dict[str, object]:
    """Authorize as C07 has it: with hashes where the station checks by itself, with the chain where the central system shall."""
    url = contract.responder.url
    hashes = [contract.leaf.on_wire(contract.sub, url), contract.sub.on_wire(contract.root, url)]
    more = {"certificate": contract.leaf.pem + contract.sub.pem} if chain else {"iso15118CertificateHashData": hashes}
    return await station.say("Authorize", idToken=id_token(contract.emaid, "eMAID"), **more)


@case("TC_C_50_CSMS")
async def test_a_contract_that_the_station_has_checked(depot: Depot) -> None:
    async with _contract(depot) as contract, depot.station() as station:
        said = await _asks(station, contract)
        assert said == {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"}
        assert contract.responder.asked == 2


@case("TC_C_51_CSMS")
async def test_a_contract_that_was_revoked(depot: Depot) -> None:
    async with _contract(depot) as contract, depot.station() as station:
        contract.responder.revoked.add(contract.leaf.certificate.serial_number)
        said = await _asks(station, contract)
        assert said == {"idTokenInfo": {"status": "Invalid"}, "certificateStatus": "CertificateRevoked"}


@case("TC_C_52_CSMS")
async def test_a_contract_that_the_central_system_checks(depot: Depot) -> None:
    async with _contract(depot) as contract, depot.station() as station:
        said = await _asks(station, contract, chain=True)
        assert said == {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"}


async def test_a_contract_in_messages_is_seen_by_nobody(depot: Depot) -> None:
    async with _contract(depot) as contract, depot.station() as station:
        await _asks(station, contract, chain=True)
        log = str(await depot.get("/messages", station_id=station.id, action="Authorize"))
        assert "(hidden)" in log
        assert contract.emaid not in log
        assert "BEGIN CERTIFICATE" not in log


async def test_a_contract_whose_token_is_blocked_is_cancelled(depot: Depot) -> None:
    async with _contract(depot) as contract, depot.station() as station:
        await depot.put(f"/id-tokens/{contract.emaid}", {"status": "blocked", "type": "eMAID"})
        said = await _asks(station, contract, chain=True)
        assert said == {"idTokenInfo": {"status": "Blocked"}, "certificateStatus": "ContractCancelled"}
