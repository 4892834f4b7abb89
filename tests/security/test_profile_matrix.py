"""Security profiles 0 to 3 against everything that may come: only the cells that docs/security.md names connect.

Real sockets and real TLS; the certificates are made here. Each cell knocks once, and what the operator is told is compared.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ocpp_fakes import FakeDepot, depot_spec, until
from pki import Ca, station_context
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from controller.clock import SystemClock
from ocpp_server import Access, Admitted, Central, OcppSettings, Refused, keyed_digest
from ocpp_server.tls import described, server_context

pytestmark = pytest.mark.anyio

KEY = b"0123456789abcdef"
PASSWORD = "4f1c9e0b7a5d48c2b6e3"
OTHERS = "0" * 20
TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@dataclass
class Book:
    """Every station with one profile; remembers what it is told."""

    profile: int
    upgrade: int | None = None
    organization: str = ""
    revoked: frozenset[str] = frozenset()
    came: list[Admitted] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def access(self, station_id: str) -> Access | None:
        if station_id not in ("CP1", "CP2"):
            return None
        keys = (keyed_digest(KEY, station_id, PASSWORD if station_id == "CP1" else OTHERS),)
        return Access(
            station_id=station_id, profile=self.profile, upgrade=self.upgrade, keys=keys, organization=self.organization,
            revoked=self.revoked,
        )  # fmt: skip

    def digest(self, station_id: str, password: str) -> str:
        return keyed_digest(KEY, station_id, password)

    def admitted(self, admitted: Admitted) -> None:
        self.came.append(admitted)

    def refused(self, refused: Refused, remote: str) -> None:
        self.reasons.append(refused.reason.value)

    def tls_failed(self, reason: str, remote: str) -> None:
        self.reasons.append(reason)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("pki")
    ours, foreign = Ca("ours", folder), Ca("foreign", folder)
    return {
        "root": ours.root,
        "server": ours.issue("localhost", server=True).path,
        "right": ours.issue("CP1"),
        "other": ours.issue("CP2"),
        "expired": ours.issue("CP1", days=(-20, -1)),
        "early": ours.issue("CP1", days=(1, 20)),
        "foreign": foreign.issue("CP1"),
        "a server's": ours.issue("CP1", server=True),
        "owned": ours.issue("CP1", organization="Depot Ltd"),
    }


@asynccontextmanager
async def listening(book: Book, pki: dict[str, Any], **settings: Any) -> AsyncIterator[Central]:
    options = OcppSettings(**settings)
    async with Central(spec=depot_spec(), events=FakeDepot(), clock=SystemClock(), credentials=book, settings=options) as central:
        await central.listen("127.0.0.1", 0)
        server: Path = pki["server"]
        await central.listen_tls("127.0.0.1", 0, server_context(shown=[(server, server)], authorities=pki["root"]))
        yield central


def dial(
    central: Central, pki: dict[str, Any], *, tls: bool, station: str = "CP1", user: str | None = None, password: str | bytes | None = None,
    certificate: str | None = None, most: ssl.TLSVersion | None = None,
) -> Any:  # fmt: skip
    headers = {}
    if password is not None:
        secret = password.encode() if isinstance(password, str) else password
        headers["Authorization"] = "Basic " + base64.b64encode((user or station).encode() + b":" + secret).decode()
    context = station_context(pki["root"], None if certificate is None else pki[certificate].path, most=most) if tls else None
    where = f"wss://localhost:{central.tls_port}" if tls else f"ws://127.0.0.1:{central.port}"
    return connect(
        f"{where}/ocpp/{station}",
        additional_headers=headers,
        subprotocols=[Subprotocol("ocpp1.6")],
        ssl=context,
        host="127.0.0.1",
        proxy=None,
        open_timeout=5,
        close_timeout=1,
    )


async def comes_in(central: Central, book: Book, pki: dict[str, Any], **how: Any) -> bool:
    """Whether the station is let in; True only once the central system serves it."""
    told = len(book.reasons)
    try:
        async with dial(central, pki, **how) as connection:
            await until(lambda: central.connected(how.get("station", "CP1")))
            await connection.close()
            return True
    except (InvalidStatus, InvalidMessage, OSError, EOFError, ConnectionClosed):
        async with asyncio.timeout(5):
            await until(lambda: len(book.reasons) > told)
        return False


PLAIN: dict[str, Any] = {"tls": False}
TLS: dict[str, Any] = {"tls": True}
CASES: dict[str, tuple[dict[str, Any], dict[int, str]]] = {
    # case: (how it knocks, profile -> what the operator is told; "" where it comes in)
    "plain, right password": (PLAIN | {"password": PASSWORD}, {0: "", 1: "", 2: "downgrade", 3: "downgrade"}),
    "plain, wrong password": (PLAIN | {"password": OTHERS}, {0: "", 1: "wrong_password", 2: "downgrade", 3: "downgrade"}),
    "plain, nothing": (PLAIN, {0: "", 1: "no_password", 2: "downgrade", 3: "downgrade"}),
    "plain, another's user": (PLAIN | {"user": "CP2", "password": OTHERS}, dict.fromkeys(range(4), "other_user")),
    "plain, unknown station": (PLAIN | {"station": "CP9", "password": PASSWORD}, dict.fromkeys(range(4), "unknown_station")),
    "TLS, right password": (TLS | {"password": PASSWORD}, {0: "other_profile", 1: "other_profile", 2: "", 3: "downgrade"}),
    "TLS, wrong password": (
        TLS | {"password": OTHERS},
        {0: "other_profile", 1: "other_profile", 2: "wrong_password", 3: "no_certificate"},
    ),
    "TLS, nothing": (TLS, {0: "other_profile", 1: "other_profile", 2: "no_password", 3: "no_certificate"}),
    "TLS, another's user": (TLS | {"user": "CP2", "password": OTHERS}, dict.fromkeys(range(4), "other_user")),
    "TLS, unknown station": (TLS | {"station": "CP9", "password": PASSWORD}, dict.fromkeys(range(4), "unknown_station")),
    "certificate": (TLS | {"certificate": "right"}, {0: "other_profile", 1: "other_profile", 2: "no_password", 3: ""}),
    "certificate and right password": (
        TLS | {"certificate": "right", "password": PASSWORD},
        {0: "other_profile", 1: "other_profile", 2: "", 3: ""},
    ),
    "certificate of another": (TLS | {"certificate": "other"}, dict.fromkeys(range(4), "certificate_of_another")),
    "certificate of another, right password": (
        TLS | {"certificate": "other", "password": PASSWORD},
        dict.fromkeys(range(4), "certificate_of_another"),
    ),
    "certificate of another on its own path, user of another": (
        TLS | {"certificate": "right", "user": "CP2", "password": OTHERS},
        dict.fromkeys(range(4), "other_user"),
    ),
    "certificate expired": (
        TLS | {"certificate": "expired", "password": PASSWORD},
        dict.fromkeys(range(4), "certificate_not_in_date"),
    ),
    "certificate not yet valid": (TLS | {"certificate": "early", "password": PASSWORD}, dict.fromkeys(range(4), "certificate_not_in_date")),
    "certificate of a foreign authority": (
        TLS | {"certificate": "foreign", "password": PASSWORD},
        dict.fromkeys(range(4), "certificate_foreign"),
    ),
    "certificate made for servers": (
        TLS | {"certificate": "a server's", "password": PASSWORD},
        dict.fromkeys(range(4), "certificate_invalid"),
    ),
    "TLS 1.0": (TLS | {"certificate": "right", "password": PASSWORD, "most": TLS_1_0}, dict.fromkeys(range(4), "tls_version")),
    "TLS 1.1": (TLS | {"certificate": "right", "password": PASSWORD, "most": TLS_1_1}, dict.fromkeys(range(4), "tls_version")),
    "TLS 1.2": (
        TLS | {"certificate": "right", "password": PASSWORD, "most": TLS_1_2},
        {0: "other_profile", 1: "other_profile", 2: "", 3: ""},
    ),
    "TLS 1.3": (
        TLS | {"certificate": "right", "password": PASSWORD, "most": TLS_1_3},
        {0: "other_profile", 1: "other_profile", 2: "", 3: ""},
    ),
}


@pytest.mark.parametrize("profile", range(4))
async def test_profile_matrix_only_the_documented_cells_connect(profile: int, pki: dict[str, Any]) -> None:
    book = Book(profile)
    found: dict[str, str] = {}
    async with listening(book, pki, refusals_per_s=1000.0) as central:
        for case, (how, _) in CASES.items():
            entered = await comes_in(central, book, pki, **how)
            found[case] = "" if entered else book.reasons[-1]
            await until(lambda: not central.connected("CP1"))
    assert found == {case: told[profile] for case, (_, told) in CASES.items()}
    assert {came.profile for came in book.came} == {profile}


GOOD: dict[int, dict[str, Any]] = {
    0: PLAIN,
    1: PLAIN | {"password": PASSWORD},
    2: TLS | {"password": PASSWORD},
    3: TLS | {"certificate": "right"},
}


async def still_open(connection: ClientConnection) -> bool:
    try:
        await asyncio.wait_for(await connection.ping(), 5)
    except ConnectionClosed:
        return False
    return True


@pytest.mark.parametrize("profile", range(4))
async def test_profile_matrix_a_second_connection_with_proof_takes_over(profile: int, pki: dict[str, Any]) -> None:
    how = GOOD[profile]
    async with listening(Book(profile), pki) as central, dial(central, pki, **how) as first, dial(central, pki, **how) as second:
        await asyncio.wait_for(first.wait_closed(), 5)
        assert first.close_code == 1008
        assert await still_open(second)
        assert central.violations("CP1")["second_connection"] == 1


@pytest.mark.parametrize("profile", range(1, 4))
async def test_profile_matrix_a_second_connection_without_proof_disturbs_nothing(profile: int, pki: dict[str, Any]) -> None:
    book = Book(profile)
    async with listening(book, pki, refusals_per_s=1000.0) as central, dial(central, pki, **GOOD[profile]) as first:
        await until(lambda: central.connected("CP1"))
        for how in (PLAIN, PLAIN | {"password": OTHERS}, TLS | {"password": OTHERS}, TLS | {"certificate": "other"}):
            with pytest.raises(InvalidStatus) as refused:
                async with dial(central, pki, **how):
                    pass
            assert refused.value.response.status_code == 401
        assert await still_open(first)


async def test_an_upgrade_leaves_both_profiles_open_until_the_book_closes_the_lower(pki: dict[str, Any]) -> None:
    book = Book(1, upgrade=3)
    async with listening(book, pki) as central:
        assert await comes_in(central, book, pki, **GOOD[1])
        assert not await comes_in(central, book, pki, **GOOD[2]), "what is between was not ordered"
        assert await comes_in(central, book, pki, **GOOD[3])
        book.profile, book.upgrade = 3, None
        assert not await comes_in(central, book, pki, **GOOD[1])
    assert [came.profile for came in book.came] == [1, 3]
    assert book.reasons == ["other_profile", "downgrade"]


async def test_a_revoked_certificate_is_refused_with_the_right_password_too(pki: dict[str, Any]) -> None:
    for profile in (2, 3):
        book = Book(profile, revoked=frozenset({described(pki["right"].certificate).fingerprint}))
        async with listening(book, pki) as central:
            assert not await comes_in(central, book, pki, tls=True, certificate="right", password=PASSWORD)
        assert book.reasons == ["certificate_revoked"]


async def test_a_certificate_names_its_owner_where_the_depot_wants_it(pki: dict[str, Any]) -> None:
    book = Book(3, organization="Depot Ltd")
    async with listening(book, pki) as central:
        assert await comes_in(central, book, pki, tls=True, certificate="owned")
        assert not await comes_in(central, book, pki, tls=True, certificate="right")
    assert book.reasons == ["certificate_of_other_owner"]


async def test_the_bytes_of_the_key_are_the_password_too(pki: dict[str, Any]) -> None:
    """OCPP-J 1.6 writes the key's bytes into the header, most stations its digits, some in capitals."""
    book = Book(1)
    digits = "00ff" * 10
    book.access = lambda station_id: Access(station_id=station_id, profile=1, keys=(keyed_digest(KEY, station_id, digits),))  # type: ignore[method-assign]
    async with listening(book, pki) as central:
        for password in (digits, digits.upper(), bytes.fromhex(digits)):
            assert await comes_in(central, book, pki, tls=False, password=password)
        assert not await comes_in(central, book, pki, tls=False, password=bytes.fromhex(digits)[1:])


async def test_what_is_no_tls_is_counted_and_ends(pki: dict[str, Any]) -> None:
    book = Book(2)
    async with listening(book, pki, tls_handshake_timeout_s=0.3) as central:
        for said, reason in ((b"GET /ocpp/CP1 HTTP/1.1\r\n\r\n", "not_tls"), (b"\x00" * 64, "not_tls"), (b"", "timeout")):
            reader, writer = await asyncio.open_connection("127.0.0.1", central.tls_port)
            writer.write(said)
            with pytest.raises((OSError, EOFError)):
                await asyncio.wait_for(reader.readexactly(100), 5)
            writer.close()
            await until(lambda reason=reason: central.tls_failures.get(reason))  # type: ignore[misc]
        reader, writer = await asyncio.open_connection("127.0.0.1", central.tls_port)
        writer.close()
        await until(lambda: central.tls_failures.get("broken_off"))
    assert central.tls_failures == {"not_tls": 2, "timeout": 1, "broken_off": 1}
    assert not book.came


async def test_half_open_tls_handshakes_have_a_cap(pki: dict[str, Any]) -> None:
    book = Book(2)
    async with listening(book, pki, handshakes=3, handshakes_per_address=3, tls_handshake_timeout_s=5.0) as central:
        silent = [await asyncio.open_connection("127.0.0.1", central.tls_port) for _ in range(3)]
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", central.tls_port)
        with pytest.raises((OSError, EOFError)):
            await asyncio.wait_for(reader.readexactly(1), 3)
        writer.close()
        for _, held in silent:
            held.close()
        await until(lambda: central.tls_failures.get("broken_off") == 3)
        assert await comes_in(central, book, pki, **GOOD[2]), "who left made room"


async def test_a_session_that_is_resumed_is_still_who_it_was(pki: dict[str, Any]) -> None:
    """TLS does not verify a certificate again when a session is resumed: the table does."""
    book = Book(3)
    async with listening(book, pki) as central:
        context = station_context(pki["root"], pki["right"].path, most=TLS_1_2)
        first = await asyncio.to_thread(_shake, central.tls_port, context, None, "CP1")
        again = await asyncio.to_thread(_shake, central.tls_port, context, first[1], "CP1")
        assert (first[0], again[0]) == ("HTTP/1.1 101", "HTTP/1.1 101")
        assert again[2], "the session was reused"
        book.revoked = frozenset({described(pki["right"].certificate).fingerprint})
        assert (await asyncio.to_thread(_shake, central.tls_port, context, first[1], "CP1"))[0] == "HTTP/1.1 401"


def _shake(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None, station: str) -> tuple[str, ssl.SSLSession, bool]:
    """A WebSocket handshake by hand, blocking: status line, TLS session, whether it was a resumed one."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as secure,
    ):
        secure.sendall(
            f"GET /ocpp/{station} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n".encode()
        )
        status = secure.recv(12).decode()
        return status, secure.session, secure.session_reused  # type: ignore[return-value]
