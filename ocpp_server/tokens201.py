"""Id tokens as 2.x has them: what a station shows, and what the one who shows it may do. Pure."""

from __future__ import annotations

from depot.tokens import Authorization, Presented, TokenType
from ocpp_server.schemas import Payload
from ocpp_server.skew import wire_time


def presented(token: Payload) -> Presented:
    """An IdTokenType that a station sent."""
    more = ((extra["additionalIdToken"].casefold(), extra["type"].casefold()) for extra in token.get("additionalInfo", ()))
    return Presented(token["idToken"], token["type"], frozenset(more))


def token_info(answer: Authorization) -> Payload:
    """IdTokenInfoType, as the answer to Authorize or TransactionEvent has it."""
    return {"idTokenInfo": id_token_info(answer)}


def id_token_info(answer: Authorization) -> Payload:
    """IdTokenInfoType. A refusal says no more than why."""
    info: Payload = {"status": answer.status}
    if answer.expires_at is not None:
        info["cacheExpiryDateTime"] = wire_time(answer.expires_at)
    if answer.group:
        info["groupIdToken"] = {"idToken": answer.group, "type": answer.group_type or TokenType.CENTRAL.value}
    if answer.language:
        info["language1"] = answer.language
    if answer.message:
        spoken = {"language": answer.language} if answer.language else {}
        info["personalMessage"] = {"format": "UTF8", "content": answer.message} | spoken
    if answer.accepted:
        info |= {"chargingPriority": answer.priority} if answer.priority else {}
        info |= {"evseId": list(answer.evses)} if answer.evses else {}
    return info
