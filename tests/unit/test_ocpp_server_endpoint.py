"""Who may connect: keyed credentials, paths, and the sub-protocol."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from ocpp_fakes import FakeDepot, central_of
from ocpp_fakes import enters as comes_in
from websockets.exceptions import NegotiationError
from websockets.typing import Subprotocol

from controller.clock import SystemClock
from ocpp_server import KeyedCredentials, OpenDoor, keyed_digest
from ocpp_server.endpoint import _choose_subprotocol, _station_id
from ocpp_server.handshakes import Slowdown

KEY = b"0123456789abcdef"


def credentials() -> KeyedCredentials:
    return KeyedCredentials(key=KEY, digests={"CP1": keyed_digest(KEY, "CP1", "right"), "CP2": keyed_digest(KEY, "CP2", "other")})


@pytest.mark.parametrize(
    ("station_id", "password", "enters"),
    [
        ("CP1", "right", True),
        ("CP1", "wrong", False),
        ("CP1", "", False),
        ("CP1", None, False),
        ("CP1", "other", False),
        ("CP2", "right", False),
        ("NOBODY", "right", False),
        ("NOBODY", "", False),
        ("NOBODY", None, False),
        ("", None, False),
        ("CP1", "r\ud800", False),
    ],
)
def test_only_the_station_with_its_own_password_enters(station_id: str, password: str | None, enters: bool) -> None:
    assert comes_in(credentials(), station_id, password) is enters


def test_a_digest_fits_no_other_station() -> None:
    assert keyed_digest(KEY, "CP1", "right") != keyed_digest(KEY, "CP2", "right")
    assert keyed_digest(KEY, "CP1", "right") != keyed_digest(b"another key", "CP1", "right")


def test_a_station_declared_open_needs_no_password() -> None:
    known = KeyedCredentials(key=KEY, digests={}, open_stations=frozenset({"CP1"}))
    assert comes_in(known, "CP1", None)
    assert comes_in(known, "CP1", "any")
    assert not comes_in(known, "CP2", None)


def test_an_open_door_is_chosen_by_name() -> None:
    assert comes_in(OpenDoor(), "ANY", None)


def test_a_thousand_checks_are_cheap() -> None:
    known = credentials()
    before = time.process_time()
    for _ in range(1000):
        comes_in(known, "CP1", "right")
    assert time.process_time() - before < 0.5, "fault list: 1,000 chargers reconnect at once"


@pytest.mark.parametrize(
    ("path", "station_id"),
    [
        ("/ocpp/CP1", "CP1"),
        ("/ocpp/CP1/", "CP1"),
        ("/ocpp/CP1?x=1", "CP1"),
        ("/ocpp/CP%2D1", "CP-1"),
        ("/ocpp/", None),
        ("/ocpp", None),
        ("/CP1", None),
        ("/ocpp/a/b", None),
        ("/ocpp/..%2F..", None),
        ("/ocpp/CP%0A1", None),
        ("/ocpp/" + "x" * 49, None),
        ("/ocpp/" + "x" * 48, "x" * 48),
    ],
)
def test_paths(path: str, station_id: str | None) -> None:
    assert _station_id(path) == station_id


def choose(*offered: str) -> str | None:
    return _choose_subprotocol(None, [Subprotocol(name) for name in offered])  # type: ignore[arg-type]  # the connection plays no part


def test_problem_16_the_best_is_chosen_and_1_6_assumed_where_nothing_is_offered() -> None:
    assert choose("ocpp1.6", "ocpp2.0.1") == "ocpp2.0.1"
    assert choose("ocpp1.6", "ocpp2.0.1", "ocpp2.1") == "ocpp2.1"
    assert choose("ocpp2.0", "ocpp1.6") == "ocpp1.6"
    assert choose() is None


def test_problem_16_a_station_of_another_version_is_refused_clearly() -> None:
    with pytest.raises(NegotiationError, match=r"speaks ocpp2\.1, ocpp2\.0\.1, ocpp1\.6; offered were ocpp2\.2, ocpp2\.0"):
        choose("ocpp2.2", "ocpp2.0")


def test_fault_12_refusals_leave_one_address_slowly_and_no_other_waits() -> None:
    slow = Slowdown(10.0, most_s=5.0)
    waits = [slow.wait_s("10.0.0.9", 100.0) for _ in range(60)]
    assert waits[:3] == [0.0, pytest.approx(0.1), pytest.approx(0.2)]
    assert [w for w in waits if w is not None][-1] <= 5.0
    assert waits[-1] is None
    assert slow.wait_s("10.0.0.8", 100.0) == 0.0
    assert slow.wait_s("10.0.0.9", 200.0) == 0.0, "it is forgiven"


def test_fault_12_addresses_that_were_refused_are_forgotten_in_bounds() -> None:
    slow = Slowdown(10.0, most_s=5.0)
    for n in range(3 * Slowdown.REMEMBERED):
        slow.wait_s(f"fe80::{n:x}", n * 0.2)
    assert len(slow._next_s) <= Slowdown.REMEMBERED
    crowd = Slowdown(10.0, most_s=5.0)
    assert sum(crowd.wait_s(f"fe80::{n:x}", 0.0) is None for n in range(Slowdown.REMEMBERED + 10)) == 10


@pytest.mark.anyio
@pytest.mark.parametrize("said", [b"", b"GET /ocpp/CP1 HT"])
async def test_who_connects_and_goes_without_a_request_is_one_line_for_developers(caplog: pytest.LogCaptureFixture, said: bytes) -> None:
    caplog.set_level(logging.DEBUG)
    async with central_of(FakeDepot(), SystemClock()) as central:
        await central.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", central.port)
        writer.write(said)
        writer.write_eof()
        await reader.read()
        writer.close()
        await asyncio.sleep(0)
    told = [record for record in caplog.records if record.name.startswith("ocpp_server") and "before it asked" in record.message]
    assert [record.levelno for record in told] == [logging.DEBUG]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
