"""Messages of the security whitepaper and of 2.0.1's block A: what is built keeps the schemas, what is heard is passed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from ocpp_fakes import START, FakeDepot, central_of, connected, connected_201

from controller.clock import VirtualClock, run_virtual
from depot.values import InvalidValue
from ocpp_server import Version
from ocpp_server.authority import HashData
from ocpp_server.desks import Desks
from ocpp_server.schemas import validator
from ocpp_server.security_messages import (
    ROOT_USES,
    Installed,
    ask_to_sign,
    certificate_signed,
    change_key,
    changed_by,
    delete,
    install,
    installed,
    installed_in,
    raise_profile,
)

KEY = "00112233445566778899aabbccddeeff00112233"
NAMED = HashData("ab" * 32, "cd" * 32, "1a2b")


_KNOWN = {
    Version.V16: {"CentralSystemRootCertificate", "CSMSRootCertificate", "ManufacturerRootCertificate"},
    Version.V201: set(ROOT_USES) - {"OEMRootCertificate"},
}


@pytest.mark.parametrize("version", list(Version))
def test_every_call_keeps_the_schema_of_its_version(version: Version) -> None:
    calls = [ask_to_sign(version), certificate_signed(version, "PEM"), delete(NAMED), change_key(version, KEY)]
    for use in ROOT_USES:
        if version is Version.V21 or use in _KNOWN[version]:
            calls += [install(version, use, "PEM"), installed(version, [use])]
        else:
            with pytest.raises(InvalidValue):
                install(version, use, "PEM")
    if version is not Version.V16:
        calls += [installed(version, ()), installed(version, ["MORootCertificate", "V2GCertificateChain"])]
        calls += [certificate_signed(version, "PEM", ""), certificate_signed(version, "PEM", "V2GCertificate")]
        calls += [ask_to_sign(version, "V2GCertificate"), ask_to_sign(version, "CombinedCertificate")]
    if version is Version.V21:
        calls += [ask_to_sign(version, "V2G20Certificate"), certificate_signed(version, "PEM", "V2G20Certificate", 7)]
    else:
        with pytest.raises(InvalidValue):
            ask_to_sign(version, "V2G20Certificate")
    calls += [raise_profile(2)] if version is Version.V16 else []
    for action, payload in calls:
        assert isinstance(payload, dict)
        validator(action, version)(payload)


def test_what_a_call_changes_is_read_from_both_versions() -> None:
    assert changed_by(*change_key(Version.V16, KEY)) == [("AuthorizationKey", KEY)]  # type: ignore[arg-type]
    assert changed_by(*change_key(Version.V201, KEY)) == [("BasicAuthPassword", KEY)]  # type: ignore[arg-type]
    assert changed_by(*raise_profile(3)) == [("SecurityProfile", "3")]  # type: ignore[arg-type]
    assert changed_by("Reset", {"type": "Soft"}) == []


def test_what_is_installed_is_read_from_both_versions() -> None:
    data = {"hashAlgorithm": "SHA256", "issuerNameHash": "ab" * 32, "issuerKeyHash": "cd" * 32, "serialNumber": "1a2b"}
    assert installed_in({"status": "Accepted", "certificateHashData": [data]}) == [Installed(NAMED)]
    chain = [{"certificateType": "V2GCertificateChain", "certificateHashData": data, "childCertificateHashData": [data]}]
    assert installed_in({"status": "Accepted", "certificateHashDataChain": chain}) == [Installed(NAMED, "V2GCertificateChain", (NAMED,))]
    assert installed_in({"status": "NotFound"}) == []


@dataclass
class Desk:
    """Signs for CP1; ``told`` is what it heard, in order."""

    told: list[Any] = field(default_factory=list)

    async def noticed(self, station_id: str, kind: str, detail: str, reported_at: datetime | None) -> None:
        self.told.append((kind, detail, reported_at is not None))

    async def sign_wanted(self, station_id: str, csr: str, use: str = "", number: int | None = None) -> bool:
        self.told.append(csr if use in ("", "ChargingStationCertificate") else f"{csr}{use}")
        return csr == "good"

    def sign_answered(self, station_id: str) -> None:
        self.told.append("answered")


@pytest.mark.parametrize("version", list(Version))
def test_security_messages_reach_the_desk_in_both_versions(version: Version) -> None:
    async def run(clock: VirtualClock) -> None:
        desk = Desk()
        dial = connected if version is Version.V16 else connected_201
        async with central_of(FakeDepot(), clock, desks=Desks(security=desk)) as central, dial(central) as peer:
            await peer.boot()
            event = {"type": "TamperDetectionActivated", "timestamp": "2026-03-01T12:00:00Z", "techInfo": "lid"}
            assert (await peer.call("SecurityEventNotification", event))[2] == {}
            assert (await peer.call("SignCertificate", {"csr": "bad"}))[2] == {"status": "Rejected"}
            assert (await peer.call("SignCertificate", {"csr": "good"}))[2] == {"status": "Accepted"}
            if version is Version.V201:
                other = {"csr": "good", "certificateType": "V2GCertificate"}
                assert (await peer.call("SignCertificate", other))[2] == {"status": "Accepted"}
                assert desk.told[-2:] == ["goodV2GCertificate", "answered"]
        assert desk.told[:4] == [("TamperDetectionActivated", "lid", True), "bad", "good", "answered"]

    run_virtual(run, start=START)
