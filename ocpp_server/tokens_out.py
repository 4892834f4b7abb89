"""Id tokens as stations are told them: reservations and local authorization lists, in the words of each version. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from depot.local_lists import Part, UpdateType
from depot.reservations import Reservation
from depot.tokens import MAX_TOKEN_LENGTH, IdToken, TokenStatus, TokenType
from depot.values import InvalidValue
from ocpp_server.schemas import Payload
from ocpp_server.skew import parse_time, wire_time
from ocpp_server.tokens201 import id_token_info
from ocpp_server.version import Version

_STATUSES = {status.word: status for status in TokenStatus}
TAG_LENGTH = 20
"""OCPP 1.6 IdToken: CiString20Type."""
TOKEN_LENGTH_201 = 36
"""OCPP 2.0.1 IdTokenType.idToken; 2.1 takes all that the depot lists."""


def fits(token: str, version: Version) -> bool:
    """Whether a station of this version can hold the token; cut, it would be somebody else's."""
    return len(token) <= longest(version)


def longest(version: Version) -> int:
    """How many characters a token of this version has at most."""
    return {Version.V16: TAG_LENGTH, Version.V201: TOKEN_LENGTH_201}.get(version, MAX_TOKEN_LENGTH)


def reserve_now(reservation: Reservation, token_type: str, version: Version) -> Payload:
    """ReserveNow."""
    if version is Version.V16:
        payload: Payload = {
            "connectorId": reservation.connector,
            "expiryDate": wire_time(reservation.expires_at),
            "idTag": reservation.id_token,
            "reservationId": reservation.reservation_id,
        }
        return payload | ({"parentIdTag": reservation.group} if reservation.group else {})
    payload = {
        "id": reservation.reservation_id,
        "expiryDateTime": wire_time(reservation.expires_at),
        "idToken": {"idToken": reservation.id_token, "type": token_type},
    }
    payload |= {"evseId": reservation.connector} if reservation.connector else {}
    payload |= {"connectorType": reservation.connector_type} if reservation.connector_type else {}
    return payload | ({"groupIdToken": {"idToken": reservation.group, "type": token_type}} if reservation.group else {})


def cancel_reservation(number: int) -> Payload:
    """CancelReservation, the same in every version."""
    return {"reservationId": number}


def list_version_of(answer: Payload) -> int | None:
    """The version in a GetLocalListVersion answer; None: it says none. −1 (1.6): local lists are not supported."""
    found = answer.get("listVersion", answer.get("versionNumber"))
    return found if isinstance(found, int) else None


def send_local_list(part: Part, version: Version, *, now: datetime) -> Payload:
    """SendLocalList; a token without more is taken out of the list."""
    if version is Version.V16:
        rows = [{"idTag": token.token, "idTagInfo": _info_16(token, now)} for token in part.listed]
        rows += [{"idTag": token} for token in part.removed]
        payload: Payload = {"listVersion": part.version, "updateType": part.update.word}
    else:
        rows = [
            {"idToken": _token(token.token, token.wire_type), "idTokenInfo": id_token_info(token.authorization(now))}
            for token in part.listed
        ]
        rows += [{"idToken": _token(token, TokenType.CENTRAL.value)} for token in part.removed]
        payload = {"versionNumber": part.version, "updateType": part.update.word}
    return payload | ({"localAuthorizationList": rows} if rows else {})


def read_local_list(payload: Mapping[str, Any], version: Version) -> Part:
    """What a checked SendLocalList says; tokens that no depot lists (too long, no text) are left out."""
    listed, removed = [], []
    for row in payload.get("localAuthorizationList", ()):
        if version is Version.V16:
            token, info, kind = row["idTag"], row.get("idTagInfo"), ""
        else:
            token, info, kind = row["idToken"]["idToken"], row.get("idTokenInfo"), row["idToken"]["type"]
        if info is None:
            removed.append(token)
            continue
        until = parse_time(info.get("expiryDate", info.get("cacheExpiryDateTime")))
        group = info.get("parentIdTag") or info.get("groupIdToken", {}).get("idToken", "")
        known = _STATUSES.get(info["status"], TokenStatus.INVALID)
        said = _said_201(info) if version is not Version.V16 else {}
        with suppress(InvalidValue):
            listed.append(IdToken(token, known, until, group, kind, **said))
    number = payload.get("listVersion", payload.get("versionNumber", 0))
    return Part(UpdateType(payload["updateType"].lower()), number, tuple(listed), tuple(removed))


def _said_201(info: Payload) -> dict[str, Any]:
    """What 2.x says more of a token. The type of a group that has none is told as Central."""
    kind = info.get("groupIdToken", {}).get("type", "")
    return {
        "group_type": "" if kind == TokenType.CENTRAL else kind,
        "personal_message": info.get("personalMessage", {}).get("content", ""),
        "language": info.get("language1", ""),
        "charging_priority": info.get("chargingPriority", 0),
    }


def too_long(tokens: Sequence[IdToken], version: Version) -> list[IdToken]:
    """Those that the version has no room for."""
    return [token for token in tokens if not fits(token.token, version)]


def _info_16(token: IdToken, now: datetime) -> Payload:
    said = token.authorization(now)
    info: Payload = {"status": said.status}
    if said.expires_at is not None:
        info["expiryDate"] = wire_time(said.expires_at)
    if said.group and len(said.group) <= TAG_LENGTH:
        info["parentIdTag"] = said.group
    return info


def _token(token: str, kind: str) -> Payload:
    return {"idToken": token, "type": kind}
