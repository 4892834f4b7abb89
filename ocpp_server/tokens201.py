"""What an idToken may do, in the words of OCPP 2.0.1. Pure."""

from __future__ import annotations

from depot.tokens import Authorization
from ocpp_server.schemas import Payload
from ocpp_server.skew import wire_time


def token_info(answer: Authorization) -> Payload:
    """OCPP 2.0.1 IdTokenInfoType. Of a group's token only the name is known, not its type."""
    info: Payload = {"status": answer.status}
    if answer.expires_at is not None:
        info["cacheExpiryDateTime"] = wire_time(answer.expires_at)
    if answer.group:
        info["groupIdToken"] = {"idToken": answer.group, "type": "Central"}
    return {"idTokenInfo": info}
