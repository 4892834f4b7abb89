"""Keys, profiles and certificates from order to fact, over real sockets with a station that keeps the whitepaper.

Names as ``tc_073`` are those of the public list of OCPP 1.6 test cases.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from ocpp_fakes import FakeDepot, until
from pki import Ca, csr
from wallbox import USE, Wallbox, named

from controller.access_book import Base, DepotAccess
from controller.certificates import Certificates
from controller.port_certificate import PortCertificate, authority_path, keep_authority
from controller.raw_calls import RawCalls
from controller.secrets import SecretError
from controller.sections import OcppTlsSection
from controller.security_view import CertificatesView, InstalledView, SecurityEventsView, SecurityView
from controller.station_security import Doors, StationSecurity
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandResult, CommandStatus
from ocpp_server import Central, OcppSettings, keyed_digest
from ocpp_server.authority import Authority
from ocpp_server.desks import Desks
from tests.unit.small_yard import SPEC, SmallYard

pytestmark = pytest.mark.anyio

SECRET = b"0123456789abcdef0123456789abcdef"
KEY = "00112233445566778899aabbccddeeff00112233"
CP = "CP-1"


@dataclass
class Depot:
    small: SmallYard
    book: DepotAccess
    keys: StationSecurity
    certificates: Certificates
    central: Central
    box: Wallbox
    bases: dict[str, Base]
    port: PortCertificate

    async def noticed(self, station_id: str, kind: str, detail: str, reported_at: datetime | None) -> None:
        await self.keys.noticed(station_id, kind, detail, reported_at)

    async def sign_wanted(self, station_id: str, csr: str, use: str = "", number: int | None = None) -> bool:
        return await self.certificates.sign_wanted(station_id, csr, use, number)

    def sign_answered(self, station_id: str) -> None:
        self.certificates.sign_answered(station_id)

    async def order(self, kind: type[cmd.Command], **what: Any) -> CommandResult:
        what.setdefault("station_id", CP)
        return await self.small.orders.execute(kind(command_id=str(uuid4()), actor="meena", reason="as planned", **what))

    def facts(self, kind: type[ev.Event]) -> list[Any]:
        return [e.data for e in self.small.journal.facts if isinstance(e.data, kind)]

    async def ended(self, result: CommandResult) -> ev.CommandFinished:
        """How an accepted command ended."""
        found = lambda: [f for f in self.facts(ev.CommandFinished) if f.command_id == result.command_id]  # noqa: E731
        await until(found, within_s=5)
        return found()[0]  # type: ignore[no-any-return]

    async def comes_by(self, profile: int) -> None:
        await until(lambda: CP in self.book.came and self.book.came[CP].profile == profile and self.central.connected(CP), within_s=5)


@asynccontextmanager
async def depot(folder: Path, *, profile: int = 1, **settings: Any) -> AsyncIterator[Depot]:
    """A depot with both ports, and a station that is connected by ``profile``; it has nothing else yet."""
    small = SmallYard()
    small.clock.at = datetime.now(UTC)
    section = OcppTlsSection(port=0, names=("localhost", "127.0.0.1"), **settings)
    authority = keep_authority(authority_path(folder, "small"), name="Small root", organization=section.owner, now=small.clock.at)
    port = PortCertificate(section, authority, path=folder / "small-port.pem", now=small.clock.at)
    bases = {s.station_id: Base(1, keyed_digest(SECRET, s.station_id, KEY)) for s in SPEC.stations}
    book = DepotAccess(
        key=SECRET, base=bases.get, state=lambda: small.journal.state.security, clock=small.clock, organization=section.owner
    )
    settle = small.orders.settle
    keys = StationSecurity(small.yard, book, secret=SECRET, doors=Doors(tls=True), settle=settle)
    certificates = Certificates(
        small.yard, book, authority=authority, v2g=None, port=port, owner=section.owner, days=section.station_days,
        renew=timedelta(days=section.renew_days), note=keys.note, settle=settle,
    )  # fmt: skip
    for room in (keys, certificates):
        small.orders.carriers.update(room.commands)
    made = Depot(small, book, keys, certificates, None, None, bases, port)  # type: ignore[arg-type]
    options = OcppSettings(call_timeout_s=0.5, refusals_per_s=1000)
    async with Central(
        spec=SPEC, events=FakeDepot(), clock=small.clock, credentials=book, settings=options, desks=Desks(security=made)
    ) as central:
        keys.stations = certificates.stations = made.central = central
        raw = RawCalls(small.yard, small.loop, central, reinstall=lambda station_id: None)
        raw.heard.append(keys.heard)
        raw.announced.append(certificates.announced)
        small.orders.carriers.update(raw.commands)
        await central.listen("127.0.0.1", 0)
        await central.listen_tls("127.0.0.1", 0, port.context)
        made.box = Wallbox(CP, central.port, central.tls_port, folder, key=KEY)
        if profile > 1:
            made.box.roots[USE].append(authority.root_pem)
            made.bases[CP] = replace(made.bases[CP], profile=2)
            made.box.profile = 2
        tasks = [asyncio.create_task(room.run()) for room in (keys, certificates)]
        async with made.box.running():
            await made.comes_by(min(profile, 2))
            yield made
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_tc_073_a_new_key_counts_once_the_station_comes_with_it(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        before = d.book.access(CP)
        result = await d.order(cmd.RotateStationKey)
        assert result.status in (CommandStatus.ACCEPTED, CommandStatus.DONE)
        await until(lambda: d.facts(ev.StationKeySet), within_s=5)
        assert d.box.key != KEY
        assert len(d.box.key) == 40
        after = d.book.access(CP)
        assert before is not None
        assert after is not None
        assert after.keys == (keyed_digest(SECRET, CP, d.box.key),), "the one before is closed"
        (offered,) = d.facts(ev.StationKeyOffered)
        assert offered.digest == after.keys[0]
        if result.status is CommandStatus.ACCEPTED:
            assert (await d.ended(result)).outcome == "done"
        journal = repr(d.small.journal.facts) + repr(d.small.orders.recent)
        assert d.box.key not in journal, "no secret in facts, nor in what the screens keep"


async def test_a_station_that_refuses_a_key_keeps_the_one_it_has(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        d.box.say["ChangeConfiguration"] = {"status": "Rejected"}
        result = await d.order(cmd.RotateStationKey)
        assert result.status is CommandStatus.REFUSED
        assert "answered Rejected" in result.message
        assert d.book.access(CP).keys == (keyed_digest(SECRET, CP, KEY),)  # type: ignore[union-attr]


async def test_a_station_that_says_nothing_to_a_key_may_come_with_either(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        d.box.say["ChangeConfiguration"] = None
        result = await d.order(cmd.RotateStationKey)
        assert result.status is CommandStatus.ACCEPTED
        assert "both keys count" in result.message
        assert len(d.book.access(CP).keys) == 2  # type: ignore[union-attr]
        again = await d.order(cmd.RotateStationKey)
        assert again.status is CommandStatus.REFUSED, "a third key would close one that the station may have"
        assert not d.facts(ev.StationKeySet)


async def test_a_key_by_hand_is_told_once_and_no_old_key_locks_anybody_out(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        result = await d.order(cmd.RotateStationKey, by_hand=True)
        assert result.answer is not None
        password = result.answer["password"]
        assert password not in result.message
        assert d.central.connected(CP)
        d.box.key = password
        await d.box.hang_up()
        assert (await d.ended(result)).outcome == "done"
        assert d.book.access(CP).keys == (keyed_digest(SECRET, CP, password),)  # type: ignore[union-attr]
        d.bases[CP] = Base(1, keyed_digest(SECRET, CP, "what the settings say anew!"))
        assert d.book.access(CP).keys == (d.bases[CP].digest,), "the settings' newer word holds"  # type: ignore[union-attr]


async def test_tc_083_a_station_moves_up_and_never_down_again(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        refused = await d.order(cmd.SetSecurityProfile, profile=2)
        assert refused.status is CommandStatus.REFUSED, "it has no root yet, and says so"
        assert d.book.access(CP).upgrade is None  # type: ignore[union-attr]
        assert (await d.order(cmd.InstallCertificate)).status is CommandStatus.DONE
        result = await d.order(cmd.SetSecurityProfile, profile=2)
        assert result.status in (CommandStatus.ACCEPTED, CommandStatus.DONE)
        await d.comes_by(2)
        await until(lambda: d.facts(ev.SecurityProfileSet), within_s=5)
        assert d.facts(ev.SecurityProfileSet) == [ev.SecurityProfileSet(CP, 2, "reached")]
        d.box.profile = 1
        await d.box.hang_up()
        await until(lambda: d.box.refused, within_s=5)
        await until(lambda: d.facts(ev.SecurityEventNoticed), within_s=5)
        assert d.facts(ev.SecurityEventNoticed)[0].kind == "downgrade"
        assert [c.kind for c in d.keys.conditions(d.small.clock.now())] == ["security_event", "station_refused"]
        lowered = await d.order(cmd.SetSecurityProfile, profile=1)
        assert lowered.status is CommandStatus.DONE
        await d.comes_by(1)
        assert [c.kind for c in d.keys.conditions(d.small.clock.now())] == ["security_event"]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"profile": 3}, "no certificate of this depot"),
        ({"profile": 0}, "want profile 1 or more"),
        ({"profile": 4}, "there are 0, 1, 2 and 3"),
        ({"profile": 2, "station_id": "CP-2"}, "offline"),
        ({"profile": 2, "station_id": "CP-9"}, "not in the registry"),
    ],
)
async def test_profiles_that_cannot_be_are_refused_before_anything_happens(tmp_path: Path, what: dict[str, Any], why: str) -> None:
    async with depot(tmp_path) as d:
        result = await d.order(cmd.SetSecurityProfile, **what)
        assert result.status is CommandStatus.REFUSED
        assert why in result.message
        assert not d.facts(ev.SecurityUpgradeOrdered)


async def test_a_profile_by_hand_waits_for_the_station(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        assert (await d.order(cmd.InstallCertificate)).status is CommandStatus.DONE
        result = await d.order(cmd.SetSecurityProfile, profile=2, by_hand=True)
        assert result.status is CommandStatus.ACCEPTED
        assert d.box.profile == 1, "the station was not told"
        d.box.profile = 2
        await d.box.hang_up()
        assert (await d.ended(result)).message.startswith(f"{CP} came by profile 2")
        view = await d.keys.views[SecurityView]({"station": CP})
        assert isinstance(view, SecurityView)
        assert (view.stations[0].security_profile, view.stations[0].came_by, view.stations[0].upgrade_to) == (2, 2, None)


async def test_tc_074_a_station_gets_a_certificate_and_comes_with_it(tmp_path: Path) -> None:
    async with depot(tmp_path, profile=2) as d:
        result = await d.order(cmd.RenewCertificate)
        assert result.status is CommandStatus.ACCEPTED
        assert (await d.ended(result)).outcome == "done"
        (issued,) = d.facts(ev.CertificateIssued)
        assert d.facts(ev.CertificateAnswered) == [ev.CertificateAnswered(issued.fingerprint, "accepted")]
        order = [type(e.data) for e in d.small.journal.facts]
        assert order.index(ev.CertificateIssued) < order.index(ev.CertificateAnswered)
        assert (await d.order(cmd.SetSecurityProfile, profile=3)).status in (CommandStatus.ACCEPTED, CommandStatus.DONE)
        await d.comes_by(3)
        assert d.book.came[CP].fingerprint == issued.fingerprint
        view = await d.certificates.views[CertificatesView]({})
        assert isinstance(view, CertificatesView)
        assert [(c.serial, c.status, c.in_use, c.answer) for c in view.certificates] == [(issued.serial, "valid", True, "accepted")]
        assert view.authority is not None
        assert "PRIVATE" not in repr(view)
        number = await d.box.call("SignCertificate", {"csr": csr(d.box.private, CP)})
        await until(lambda: len(d.facts(ev.CertificateIssued)) == 2, within_s=5)
        assert [3, number, {"status": "Accepted"}] in d.box.answered, "over TLS it may renew by itself"


async def test_nobody_locks_a_station_out_by_a_call_of_his_own(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        new = "FFEEDDCCBBAA99887766554433221100FFEEDDCC"
        change = {"key": "AuthorizationKey", "value": new}
        assert (await d.order(cmd.CallStation, action="ChangeConfiguration", payload=change)).status is CommandStatus.DONE
        await until(lambda: d.facts(ev.StationKeySet), within_s=5)
        assert d.facts(ev.StationKeySet)[0].digest == keyed_digest(SECRET, CP, new.lower())
        assert not d.box.refused
        await d.order(cmd.CallStation, action="ExtendedTriggerMessage", payload={"requestedMessage": "SignChargePointCertificate"})
        await until(lambda: d.facts(ev.CertificateIssued), within_s=5)
        await d.order(cmd.InstallCertificate)
        change = {"key": "SecurityProfile", "value": "2"}
        assert (await d.order(cmd.CallStation, action="ChangeConfiguration", payload=change)).status is CommandStatus.DONE
        await d.comes_by(2)
        await until(lambda: d.facts(ev.SecurityProfileSet), within_s=5)
        assert not d.box.refused


async def test_revoking_a_certificate_cuts_the_connection_and_closes_the_door(tmp_path: Path) -> None:
    async with depot(tmp_path, profile=2) as d:
        await d.ended(await d.order(cmd.RenewCertificate))
        await d.order(cmd.SetSecurityProfile, profile=3)
        await d.comes_by(3)
        (issued,) = d.facts(ev.CertificateIssued)
        other = await d.order(cmd.RevokeCertificate, serial=issued.serial, station_id="CP-2")
        assert other.status is CommandStatus.REFUSED
        assert d.central.connected(CP)
        result = await d.order(cmd.RevokeCertificate, serial=issued.serial.upper())
        assert result.status is CommandStatus.DONE
        assert "was cut" in result.message
        await until(lambda: d.box.refused > 1, within_s=5)
        assert "its certificate is revoked" in d.box.lost
        assert not d.central.connected(CP)
        await until(lambda: d.facts(ev.SecurityEventNoticed), within_s=5)
        assert d.facts(ev.SecurityEventNoticed)[0].kind == "certificate_revoked"
        assert (await d.order(cmd.RevokeCertificate, serial=issued.serial)).status is CommandStatus.DONE, "once more changes nothing"
        assert len(d.facts(ev.CertificateRevoked)) == 1


async def test_over_a_plain_link_nothing_is_signed_that_nobody_asked_for(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        number = await d.box.call("SignCertificate", {"csr": csr(d.box.private, CP)})
        await until(lambda: [a for a in d.box.answered if a[1] == number], within_s=5)
        assert [3, number, {"status": "Rejected"}] in d.box.answered
        assert not d.facts(ev.CertificateIssued)
        await until(lambda: d.facts(ev.SecurityEventNoticed), within_s=5)
        assert d.facts(ev.SecurityEventNoticed)[0].detail == "nobody asked for it, and it did not come over TLS"


async def test_a_request_for_another_station_ends_the_command(tmp_path: Path) -> None:
    async with depot(tmp_path, profile=2) as d:
        d.box.common_name = "CP-2"
        result = await d.order(cmd.RenewCertificate)
        done = await d.ended(result)
        assert done.outcome == "failed"
        assert "common name is 'CP-2'" in done.message
        assert not d.facts(ev.CertificateIssued)


async def test_requests_of_a_station_are_signed_in_bounds(tmp_path: Path) -> None:
    async with depot(tmp_path, profile=2) as d:
        for _ in range(8):
            await d.box.call("SignCertificate", {"csr": csr(d.box.private, CP)})
        await until(lambda: sum(a[2].get("status") == "Rejected" for a in d.box.answered if a[0] == 3) == 2, within_s=5)
        await until(lambda: len(d.facts(ev.CertificateAnswered)) == 6, within_s=5)


async def test_what_ends_soon_is_renewed_and_told(tmp_path: Path) -> None:
    async with depot(tmp_path, profile=2, station_days=10, renew_days=9) as d:
        await d.ended(await d.order(cmd.RenewCertificate))
        await d.order(cmd.SetSecurityProfile, profile=3)
        await d.comes_by(3)
        assert [c.subject for c in d.certificates.conditions(d.small.clock.now())] == [CP]
        assert d.certificates._to_renew() == []
        d.small.clock.at += timedelta(days=2)
        assert d.certificates._to_renew() == [CP]


async def test_tc_075_and_076_authorities_are_installed_listed_and_deleted(tmp_path: Path) -> None:
    async with depot(tmp_path, profile=2) as d:
        maker = Ca("maker", tmp_path)
        result = await d.order(cmd.InstallCertificate, use="ManufacturerRootCertificate", certificate=maker.root)
        assert result.status is CommandStatus.DONE
        view = await d.certificates.views[InstalledView]({"station": CP, "use": "ManufacturerRootCertificate"})
        assert isinstance(view, InstalledView)
        (row,) = view.certificates
        data = named(maker.root)
        assert (row.issuer_name_hash, row.issuer_key_hash, row.serial_number) == (
            data["issuerNameHash"], data["issuerKeyHash"], data["serialNumber"],
        )  # fmt: skip
        assert not row.own
        ours = await d.certificates.views[InstalledView]({"station": CP})
        assert isinstance(ours, InstalledView)
        assert [row.own for row in ours.certificates] == [True]
        names = {"serial": row.serial_number, "issuer_name_hash": row.issuer_name_hash, "issuer_key_hash": row.issuer_key_hash}
        assert (await d.order(cmd.DeleteCertificate, **names)).status is CommandStatus.DONE
        again = await d.order(cmd.DeleteCertificate, **names)
        assert (again.status, "NotFound" in again.message) == (CommandStatus.REFUSED, True)
        for bad in ("nothing", maker.root * 2, "x" * 6000):
            assert (await d.order(cmd.InstallCertificate, certificate=bad)).status is CommandStatus.REFUSED
        assert (await d.order(cmd.InstallCertificate, use="V2GRootCertificate")).status is CommandStatus.REFUSED


async def test_tc_077_security_events_are_facts_in_bounds(tmp_path: Path) -> None:
    async with depot(tmp_path) as d:
        for n in range(30):
            event = {"type": "InvalidChargePointCertificate", "timestamp": "2026-11-20T16:30:00Z", "techInfo": f"line {n}\nand \u202emore"}
            await d.box.call("SecurityEventNotification", event)
        await until(lambda: len(d.box.answered) > 30, within_s=5)
        noticed = d.facts(ev.SecurityEventNoticed)
        assert len(noticed) == 20
        assert noticed[0].detail == "line 0 and  more"
        assert d.keys.log.counted[("station", "alarm")] == 30
        d.small.clock.at += timedelta(hours=1)
        await d.noticed(CP, "SettingSystemTime", "", None)
        assert d.facts(ev.SecurityEventNoticed)[-1].unlisted == 10
        view = await d.keys.views[SecurityEventsView]({"limit": "2"})
        assert isinstance(view, SecurityEventsView)
        assert [row.kind for row in view.events] == ["SettingSystemTime", "InvalidChargePointCertificate"]
        assert view.before == view.events[-1].seq


async def test_what_was_reached_stands_after_a_restart(tmp_path: Path) -> None:
    async with depot(tmp_path, profile=2) as d:
        await d.ended(await d.order(cmd.RenewCertificate))
        await d.order(cmd.SetSecurityProfile, profile=3)
        await d.comes_by(3)
        await until(lambda: d.facts(ev.SecurityProfileSet), within_s=5)
        again = DepotAccess(key=SECRET, base=d.bases.get, state=lambda: d.small.journal.state.security, clock=d.small.clock)
        assert again.access(CP).profile == 3  # type: ignore[union-attr]


def test_the_authority_is_made_once_and_guarded(tmp_path: Path) -> None:
    path, now = authority_path(tmp_path, "d"), datetime.now(UTC)
    first = keep_authority(path, name="D root", organization="", now=now)
    assert path.stat().st_mode & 0o777 == 0o600
    assert keep_authority(path, name="other", organization="", now=now).root_pem == first.root_pem
    path.chmod(0o644)
    with pytest.raises(SecretError, match="can be read by others"):
        keep_authority(path, name="D root", organization="", now=now)
    path.chmod(0o600)
    path.write_text("nothing")
    with pytest.raises(SecretError, match="restore it from a backup"):
        keep_authority(path, name="D root", organization="", now=now)


def test_the_ports_certificate_is_made_anew_in_time_and_when_its_names_change(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = keep_authority(authority_path(tmp_path, "d"), name="D root", organization="", now=now)
    path = tmp_path / "d-port.pem"
    section = OcppTlsSection(names=("localhost",))
    port = PortCertificate(section, authority, path=path, now=now)
    assert path.stat().st_mode & 0o777 == 0o600
    first = port.shown.serial
    assert not port.refresh(now)
    assert PortCertificate(section, authority, path=path, now=now).shown.serial == first
    assert port.refresh(now + timedelta(days=380))
    assert port.shown.serial != first
    second = port.shown.serial
    assert PortCertificate(OcppTlsSection(names=("localhost", "10.0.0.5")), authority, path=path, now=now).shown.serial != second
    path.write_text("broken")
    assert port.refresh(now), "what is broken is made anew"
    with pytest.raises(SecretError, match="No such file"):
        PortCertificate(OcppTlsSection(certificate=tmp_path / "no.pem", key=tmp_path / "no.key"), authority, path=path, now=now)


async def test_a_v2g_certificate_is_signed_by_an_authority_of_its_own_and_opens_no_door(tmp_path: Path) -> None:
    async with depot(tmp_path, profile=2) as d:
        request = csr(ec.generate_private_key(ec.SECP256R1()), CP)
        assert not await d.certificates.sign_wanted(CP, request, "V2GCertificate")
        (refused,) = [fact for fact in await noticed(d) if fact.kind == "signing_request_refused"]
        assert "contracts.v2g_authority" in refused.detail
        d.certificates._v2g = Authority.new("V2G sub", organization="", now=d.small.clock.at)
        assert await d.certificates.sign_wanted(CP, request, "V2GCertificate")
        d.certificates.sign_answered(CP)
        await until(lambda: d.facts(ev.CertificateAnswered), within_s=5)
        (issued,) = d.facts(ev.CertificateIssued)
        assert issued.use == "V2GCertificate"
        assert d.small.journal.state.security.certificates_of(CP) == ()  # the way to profile 3 stays shut
        result = await d.order(cmd.RevokeCertificate, serial=issued.serial)
        assert "by the authority that vehicles trust" in result.message


async def noticed(d: Depot) -> list[ev.SecurityEventNoticed]:
    await until(lambda: d.facts(ev.SecurityEventNoticed), within_s=5)
    return d.facts(ev.SecurityEventNoticed)
