"""The room of contracts: a charger's questions, a real responder on a socket, and whom the depot trusts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from contract_pki import Node, Responder, listening, made, utc
from cryptography.x509 import ocsp
from small_yard import SmallYard

from controller.contracts.providers import PATH, HttpEvCertificates, MockEvCertificates
from controller.contracts.responders import Reach, Responders, Unreachable, all_public
from controller.contracts.room import Contracts, TrustedRootsView
from depot import commands as cmd
from depot import events as ev
from depot.contracts import CertificateStatus, EvRequest, Revocation, RootUse
from depot.events import Envelope
from depot.values import InvalidValue, UnknownThing
from ocpp_server.ocsp import peek

pytestmark = pytest.mark.anyio
EMAID = "DEABCC123ABC56"
ASK = EvRequest("CP-1", "urn:iso:15118:2:2013:MsgDef", update=False, exi="UkVR")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class World(SmallYard):
    """``tree``: a root, an authority under it, a vehicle's contract."""

    def __init__(self, responder: Responder, *, lenient: bool = False, hosts: tuple[str, ...] = ("localhost",)) -> None:
        super().__init__()
        self.clock.at = utc()
        self.notes: list[tuple[str, str, str]] = []
        self.responder = responder
        self.responders = Responders(Reach(hosts, 2.0), now=utc)

        def note(station_id: str, kind: str, *, detail: str = "") -> None:
            self.notes.append((station_id, kind, detail))

        self.room = Contracts(self.yard, self.responders, provider=None, lenient=lenient, note=note)

    async def order(self, command: cmd.Command) -> str:
        cause = Envelope("c", "small", 0, "x", 1, utc(), None, utc(), "anna", None, None, ev.ContractRootDistrusted(""))
        answer = await self.room.commands[type(command)](command, cause)
        return answer[1]

    async def trust(self, node: Node) -> str:
        who = {"command_id": "1", "actor": "anna", "reason": "test"}
        return await self.order(cmd.TrustContractRoot(**who, use=RootUse.MO, certificate=node.pem))


@pytest.fixture
def root() -> Node:
    return made("MO root")


@pytest.fixture
def sub(root: Node) -> Node:
    return made("MO sub", root)


@pytest.fixture
async def responder(root: Node, sub: Node) -> AsyncIterator[Responder]:
    async with listening(Responder([root, sub])) as served:
        yield served


async def test_a_contract_of_a_trusted_authority_counts_and_is_asked_about_once(root: Node, sub: Node, responder: Responder) -> None:
    world = World(responder)
    middle = made("MO sub 2", root, url=responder.url)
    responder.issuers.append(middle)
    leaf = made(EMAID, middle, authority=False, url=responder.url)
    chain = leaf.pem + middle.pem
    assert await world.room.contract("CP-1", EMAID, chain, []) is CertificateStatus.CHAIN  # nobody is trusted yet
    await world.trust(root)
    assert [await world.room.contract("CP-1", EMAID, chain, []) for _ in range(3)] == [CertificateStatus.ACCEPTED] * 3
    assert responder.asked == 2  # the vehicle's and the authority's, each until its next update
    assert await world.room.contract("CP-1", "DEABCC999ABC56", chain, []) is CertificateStatus.NONE
    assert [kind for _, kind, _ in world.notes] == ["contract_refused", "contract_refused"]
    assert EMAID not in str(world.notes) + str(world.journal.facts)


async def test_a_revoked_contract_is_refused(root: Node, sub: Node, responder: Responder) -> None:
    world = World(responder)
    await world.trust(root)
    await world.trust(sub)
    leaf = made(EMAID, sub, authority=False, url=responder.url)
    responder.revoked.add(leaf.certificate.serial_number)
    assert await world.room.contract("CP-1", EMAID, leaf.pem, []) is CertificateStatus.REVOKED
    unknown = made(EMAID, sub, authority=False, url=responder.url)
    responder.strange.add(unknown.certificate.serial_number)
    assert await world.room.contract("CP-1", EMAID, unknown.pem, []) is CertificateStatus.NONE


async def test_hashes_alone_are_believed_only_of_trusted_authorities(root: Node, sub: Node, responder: Responder) -> None:
    world = World(responder)
    leaf = made(EMAID, sub, authority=False)
    targets = [leaf.target(sub, responder.url), sub.target(root, responder.url)]
    assert await world.room.contract("CP-1", EMAID, "", targets) is CertificateStatus.CHAIN
    await world.trust(root)
    assert await world.room.contract("CP-1", EMAID, "", targets) is CertificateStatus.CHAIN  # who signed for the sub is not known
    assert "put the authority into the list" in world.notes[-1][2]
    await world.trust(sub)
    world.responders = world.room._responders = Responders(Reach(("localhost",), 2.0), now=utc)  # what failed is left alone for 30 s
    assert await world.room.contract("CP-1", EMAID, "", targets) is CertificateStatus.ACCEPTED
    responder.revoked.add(sub.certificate.serial_number)
    fresh = [made(EMAID, sub, authority=False).target(sub, responder.url), made("MO sub", root).target(root, responder.url)]
    assert await world.room.contract("CP-1", EMAID, "", fresh) is CertificateStatus.ACCEPTED


@pytest.mark.parametrize(("lenient", "said"), [(False, CertificateStatus.CHAIN), (True, CertificateStatus.ACCEPTED)])
async def test_a_responder_that_cannot_be_asked_means_what_the_settings_say(
    root: Node, sub: Node, responder: Responder, lenient: bool, said: CertificateStatus
) -> None:
    world = World(responder, lenient=lenient)
    await world.trust(sub)
    responder.status = "503 Busy"
    leaf = made(EMAID, sub, authority=False, url=responder.url)
    assert await world.room.contract("CP-1", EMAID, leaf.pem, []) is said
    assert "503" in world.notes[-1][2]
    silent = made(EMAID, sub, authority=False)
    assert await world.room.contract("CP-1", EMAID, silent.pem, []) is said
    assert await world.room.contract("CP-1", EMAID, "no certificate", []) is CertificateStatus.NONE


async def test_nobody_is_sent_to_private_addresses_or_other_schemes(root: Node, sub: Node, responder: Responder) -> None:
    open_world, named = World(responder, hosts=()), World(responder, hosts=("ocsp.example",))
    for world, url in (
        (open_world, responder.url), (open_world, "http://127.0.0.1:1/"), (open_world, "http://[::1]/"), (open_world, "http://169.254.169.254/x"),
        (open_world, "file:///etc/passwd"), (open_world, "http://user:pw@example.org/"), (open_world, "http://"), (open_world, "http://x:99999/"),
        (named, responder.url), (open_world, "ftp://example.org/"), (open_world, "http://ex\nample.org/"),
    ):  # fmt: skip
        target = sub.target(root, url)
        with pytest.raises(Unreachable):
            await world.responders.ask(target, partial(peek, target=target))
    assert responder.asked == 0
    assert not all_public(["8.8.8.8", "10.0.0.1"])
    assert not all_public(["::ffff:127.0.0.1"])
    assert not all_public(["2002:7f00:1::"])
    assert all_public(["8.8.8.8", "2606:4700::1111"])


@pytest.mark.parametrize("broken", [b"", b"<html>", b"x" * 100_000])
async def test_an_answer_that_is_none_is_no_answer(root: Node, sub: Node, responder: Responder, broken: bytes) -> None:
    world = World(responder)
    responder.broken = broken
    answer = await world.room.status_of("CP-1", sub.target(root, responder.url))
    assert (answer.status, answer.der) == (Revocation.FAILED, b"")
    assert answer.why


async def test_a_responder_that_says_nothing_is_given_up(root: Node, sub: Node) -> None:
    gone = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    async with server:
        url = f"http://localhost:{server.sockets[0].getsockname()[1]}/"
        asked = Responders(Reach(("localhost",), 0.2), now=utc).ask(sub.target(root, url), lambda der: peek(der, sub.target(root)))
        with pytest.raises(Unreachable, match=r"within 0\.2 s"):
            await asked
        await gone.wait()


async def test_the_status_for_a_station_is_the_signed_answer_and_a_forged_one_is_not_handed_on(
    root: Node, sub: Node, responder: Responder
) -> None:
    world = World(responder)
    answer = await world.room.status_of("CP-1", sub.target(root, responder.url))  # its authority is not known: the station checks it
    assert ocsp.load_der_ocsp_response(answer.der).serial_number == sub.certificate.serial_number
    assert (answer.status, answer.next_update is not None) == (Revocation.GOOD, True)
    await world.trust(root)
    responder.signer = made("MO root")
    assert (await world.room.status_of("CP-1", sub.target(root, responder.url))).status is Revocation.FAILED


async def test_people_trust_and_distrust_authorities_and_nothing_else(root: Node, responder: Responder) -> None:
    world = World(responder)
    assert "MO root" in await world.trust(root)
    assert "already" in await world.trust(root)
    view = await world.room.views[TrustedRootsView]({})
    assert isinstance(view, TrustedRootsView)
    (row,) = view.roots
    assert (row.common_name, row.use, row.in_date, row.pem) == ("MO root", RootUse.MO, True, root.pem)
    for bad in (made("V", root, authority=False), made("Late", days=(-9, -1))):
        with pytest.raises(InvalidValue):
            await world.trust(bad)
    who = {"command_id": "2", "actor": "anna", "reason": "test"}
    assert "no more" in await world.order(cmd.DistrustContractRoot(**who, fingerprint=row.fingerprint))
    with pytest.raises(UnknownThing):
        await world.order(cmd.DistrustContractRoot(**who, fingerprint=row.fingerprint))
    assert world.yard.state.contract_roots == {}


# -- who installs contracts -----------------------------------------------------------------------------------------------------


async def test_without_a_provider_nothing_is_installed(responder: Responder) -> None:
    answer = await World(responder).room.ev_certificate(ASK)
    assert (answer.exi, answer.code) == ("", "NotConfigured")


async def test_the_mock_says_that_it_is_one() -> None:
    assert MockEvCertificates().name == "mock"
    assert (await MockEvCertificates().exchange(ASK)).exi


def content(*emaids: str) -> dict[str, Any]:
    rows = [{"messageDef": {"certificateInstallationRes": "UkVT" + "QQ==" if i else "UkVT", "emaid": e}} for i, e in enumerate(emaids)]
    return {"CCPResponse": {"emaidContent": rows}, "xsdMsgDefNamespace": ASK.schema}


@respx.mock
async def test_a_pool_over_http_is_asked_with_the_token_of_its_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t0ken-of-the-pool\n")
    token.chmod(0o600)
    route = respx.post(f"https://pool.example/api{PATH}").respond(json=content(EMAID))
    pool = HttpEvCertificates("https://pool.example/api", token_file=token, timeout_s=2)
    answer = await pool.exchange(ASK)
    assert (answer.exi, answer.code, answer.remaining) == ("UkVT", "", None)
    asked = route.calls.last.request
    assert asked.headers["authorization"] == "Bearer t0ken-of-the-pool"
    assert json.loads(asked.content) == {"certificateInstallationReq": "UkVR", "xsdMsgDefNamespace": ASK.schema}
    token.chmod(0o644)
    assert (await pool.exchange(ASK)).code == "NotConfigured"


@respx.mock
async def test_the_contract_that_the_vehicle_wants_first_is_taken() -> None:
    respx.post(f"https://pool.example{PATH}").respond(json={"CCPResponse": {"emaidContent": [
        {"messageDef": {"certificateInstallationRes": "QUFB", "emaid": "OTHER"}},
        {"messageDef": {"certificateInstallationRes": "QkJC", "emaid": "de-abc-c123abc56"}},
    ]}})  # fmt: skip
    wants = EvRequest("CP-1", ASK.schema, update=True, exi="UkVR", most=3, emaids=(EMAID,))
    answer = await HttpEvCertificates("https://pool.example", token_file=None, timeout_s=2).exchange(wants)
    assert (answer.exi, answer.remaining) == ("QkJC", 1)


BAD: list[tuple[Callable[[respx.Route], object], str]] = [
    (lambda route: route.respond(401), "Refused"),
    (lambda route: route.respond(text="<html>"), "BadAnswer"),
    (lambda route: route.respond(json={"CCPResponse": {"emaidContent": []}}), "BadAnswer"),
    (lambda route: route.respond(json=[1]), "BadAnswer"),
    (
        lambda route: route.respond(json={"CCPResponse": {"emaidContent": [{"messageDef": {"certificateInstallationRes": "%%"}}]}}),
        "BadAnswer",
    ),
    (lambda route: route.respond(content=b"x" * 200_000), "BadAnswer"),
    (lambda route: route.mock(side_effect=httpx.ConnectError("refused")), "NotReachable"),
    (lambda route: route.mock(side_effect=httpx.ReadTimeout("slow")), "NotReachable"),
]


@pytest.mark.parametrize(("behave", "code"), BAD)
@respx.mock
async def test_what_a_pool_does_wrong_is_told_and_nothing_is_installed(behave: Callable[[respx.Route], object], code: str) -> None:
    behave(respx.post(f"https://pool.example{PATH}"))
    answer = await HttpEvCertificates("https://pool.example", token_file=None, timeout_s=2).exchange(ASK)
    assert (answer.exi, answer.code) == ("", code)
