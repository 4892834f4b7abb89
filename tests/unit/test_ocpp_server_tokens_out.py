"""Tokens as stations are told them: every payload keeps the schema of its version, and is read back as it was meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from depot.local_lists import Part, UpdateType
from depot.reservations import Reservation
from depot.tokens import IdToken, TokenStatus, TokenType
from depot.values import Outcome
from ocpp_server.actions import check_call
from ocpp_server.configuration import ConfigurationBook
from ocpp_server.reply import Reply
from ocpp_server.tokens_out import cancel_reservation, fits, list_version_of, read_local_list, reserve_now, send_local_list
from ocpp_server.version import Version

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
VERSIONS = (Version.V16, Version.V201)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("connector", [0, 2])
@pytest.mark.parametrize("group", ["", "CREW"])
def test_reservations_keep_the_schema(version: Version, connector: int, group: str) -> None:
    reservation = Reservation(2**31 - 1, "CP", connector, "ANNA", group, NOW, NOW)
    check_call("ReserveNow", reserve_now(reservation, TokenType.ISO14443, version), version)
    check_call("CancelReservation", cancel_reservation(7), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_local_lists_keep_the_schema_and_are_read_back(version: Version) -> None:
    listed = (
        IdToken("ANNA"),
        IdToken("BERTA", TokenStatus.BLOCKED),
        IdToken("CARLA", TokenStatus.ACCEPTED, NOW + timedelta(days=1), "CREW"),
    )
    part = Part(UpdateType.DIFFERENTIAL, 4, listed, ("DORA",))
    payload = send_local_list(part, version, now=NOW)
    check_call("SendLocalList", payload, version)
    read = read_local_list(payload, version)
    plain = [replace(token, type=TokenType.CENTRAL) for token in read.listed]
    assert plain == [replace(token, type=TokenType.CENTRAL) for token in listed]
    assert (read.update, read.version, read.removed) == (UpdateType.DIFFERENTIAL, 4, ("DORA",))
    empty = send_local_list(Part(UpdateType.FULL, 5), version, now=NOW)
    check_call("SendLocalList", empty, version)
    check_call("GetLocalListVersion", {}, version)


def test_what_has_expired_is_listed_as_expired() -> None:
    payload = send_local_list(Part(UpdateType.FULL, 1, (IdToken("A", TokenStatus.ACCEPTED, NOW),)), Version.V16, now=NOW)
    assert payload["localAuthorizationList"][0]["idTagInfo"]["status"] == "Expired"


def test_a_token_that_a_version_cannot_hold_is_not_cut() -> None:
    assert fits("x" * 20, Version.V16)
    assert not fits("x" * 21, Version.V16)
    assert fits("x" * 36, Version.V201)


@pytest.mark.parametrize(("answer", "version"), [({"listVersion": -1}, -1), ({"versionNumber": 3}, 3), ({}, None)])
def test_the_version_of_a_list(answer: dict[str, int], version: int | None) -> None:
    assert list_version_of(answer) == version


def test_configuration_is_what_was_heard_last_without_secrets() -> None:
    book = ConfigurationBook()
    rows = [
        {"key": "HeartbeatInterval", "value": "300", "readonly": False},
        {"key": "AuthorizationKey", "value": "0123456789abcdef0123", "readonly": False},
        {"key": "SendLocalListMaxLength", "value": "20", "readonly": True},
        {"key": "Silent", "readonly": True},
    ]
    book.note("GetConfiguration", {}, Reply(Outcome.ACCEPTED, {"configurationKey": rows}), NOW)
    book.note("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}, Reply(Outcome.ACCEPTED), NOW)
    book.note("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "1"}, Reply(Outcome.REFUSED), NOW)
    assert {row.key: row.value for row in book.known()} == {
        "AuthorizationKey": "(hidden)", "HeartbeatInterval": "60", "SendLocalListMaxLength": "20", "Silent": None,
    }  # fmt: skip
    assert (book.number("SendLocalListMaxLength"), book.number("Silent"), book.number("Nothing")) == (20, None, None)
    book.note("GetConfiguration", {}, Reply(Outcome.ACCEPTED, {"unknownKey": ["HeartbeatInterval"]}), NOW)
    assert "HeartbeatInterval" not in {row.key for row in book.known()}
