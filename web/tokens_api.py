"""/api/v1/id-tokens: who may charge. A token is a card's number or an account's; it is shown to those who manage stations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.stations_view import TokensView
from depot import commands as cmd
from depot.tokens import (
    MAX_ADDITIONAL,
    MAX_MESSAGE_LENGTH,
    MAX_PLACES,
    MAX_TOKEN_LENGTH,
    MAX_TYPE_LENGTH,
    AdditionalId,
    IdToken,
    Place,
    TokenStatus,
    keys_for,
)
from depot.values import InvalidValue
from web import actions
from web.api import COMMAND, Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, Reason, order

TokenName = Annotated[
    str, Path(min_length=1, max_length=MAX_TOKEN_LENGTH, description="The token as a station sends it; case does not count")
]


TokenKind = Annotated[
    str,
    Query(
        alias="type",
        max_length=MAX_TYPE_LENGTH,
        description="Its type; empty: the one without, else any",
    ),
]
_OF_TYPE = "^[A-Za-z0-9 ._-]*$"
_KIND = "Central, eMAID, ISO14443, ISO15693, KeyCode, Local, MacAddress, or what else stations of 2.1 say; empty: whatever they say"


class TokenList(Struct, frozen=True):
    """One page of tokens. ``next_cursor``: give it to get the next page; null at the end."""

    tokens: list[IdToken]
    next_cursor: str | None


class AdditionalBody(BaseModel):
    """What must be shown beside a token (2.x additionalInfo)."""

    model_config = ConfigDict(extra="forbid")
    id: str = Field(max_length=MAX_TOKEN_LENGTH, pattern="^[!-~]+$")
    type: str = Field(max_length=50, pattern="^[!-~]+$")


class PlaceBody(BaseModel):
    """Where a token may be used. ``connector`` 0: at any of the station's."""

    model_config = ConfigDict(extra="forbid")
    station_id: str = Field(min_length=1, max_length=48)
    connector: int = Field(default=0, ge=0, le=99)


class TokenBody(BaseModel):
    """What the list says of a token. ``expires_at`` null: it does not expire. ``group``: the parentIdTag, groupIdToken.
    ``additional``: all of it must be shown beside the token; ``only_at`` empty: everywhere."""

    model_config = ConfigDict(extra="forbid")
    status: TokenStatus = TokenStatus.ACCEPTED
    expires_at: AwareDatetime | None = None
    group: str = Field(default="", max_length=MAX_TOKEN_LENGTH)
    type: str = Field(default="", max_length=MAX_TYPE_LENGTH, pattern=_OF_TYPE, description=_KIND)
    group_type: str = Field(default="", max_length=MAX_TYPE_LENGTH, pattern=_OF_TYPE)
    additional: list[AdditionalBody] = Field(default_factory=list, max_length=MAX_ADDITIONAL)
    only_at: list[PlaceBody] = Field(default_factory=list, max_length=MAX_PLACES)
    personal_message: str = Field(default="", max_length=MAX_MESSAGE_LENGTH)
    language: str = Field(default="", pattern="^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,4})?)?$", description="RFC 5646, like en or hi-IN")
    charging_priority: int = Field(default=0, ge=-9, le=9)
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")

    def to_token(self, token: str) -> IdToken:
        try:
            return IdToken(
                token, self.status, self.expires_at, self.group, self.type, self.group_type,
                tuple(AdditionalId(more.id, more.type) for more in self.additional),
                tuple(Place(place.station_id, place.connector) for place in self.only_at),
                self.personal_message, self.language, self.charging_priority,
            )  # fmt: skip
        except InvalidValue as error:
            raise Problem("invalid_request", str(error)) from None


class NewTokenBody(TokenBody):
    """A token to list."""

    token: str = Field(min_length=1, max_length=MAX_TOKEN_LENGTH)


SCHEMAS: Sequence[type] = (TokenList, IdToken)
"""What these routes answer with, for the OpenAPI document."""


def tokens_api(web: Web) -> APIRouter:
    """Routes of id tokens."""
    router = APIRouter(prefix="/api/v1")

    async def all_tokens() -> list[IdToken]:
        found = await web.link.show(TokensView)
        if found is None:
            raise Problem("not_found", "This core has no stations room.")
        return found.tokens

    async def change(request: Request, reason: str, key: str, *, listed: Sequence[IdToken] = (), remove: Sequence[str] = ()) -> Response:
        command = cmd.ChangeTokens(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=reason, tokens=tuple(listed), remove=tuple(remove)
        )
        return reply(await order(web, command))

    async def one(token: str, kind: str) -> IdToken:
        listed = {known.key: known for known in await all_tokens()}
        for key in keys_for(token, kind):
            if key in listed and (not kind or listed[key].type):
                return listed[key]
        raise Problem("not_found", "This token is not in the list; registered vehicles and drivers carry tags of their own.")

    @router.get("/id-tokens", responses=answers("TokenList", 422), response_class=Response, summary="Listed id tokens, page by page")
    async def tokens(
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        cursor: Annotated[str, Query(max_length=300, description="next_cursor of the page before")] = "",
    ) -> Response:
        rest = [token for token in await all_tokens() if token.key > cursor]
        return reply(TokenList(rest[:limit], rest[limit - 1].key if len(rest) > limit else None))

    @router.post("/id-tokens", **COMMAND, summary="List a token, or change what the list says of it")
    async def add(request: Request, body: NewTokenBody, key: Key = "") -> Response:
        return await change(request, body.reason, key, listed=[body.to_token(body.token)])

    @router.get(
        "/id-tokens/{token}", responses=answers("IdToken", 404, 422), response_class=Response, summary="What the list says of a token"
    )
    async def token(token: TokenName, kind: TokenKind = "") -> Response:
        return reply(await one(token, kind))

    @router.put("/id-tokens/{token}", **COMMAND, summary="List a token, or change what the list says of it")
    async def put(request: Request, token: TokenName, body: TokenBody, key: Key = "") -> Response:
        return await change(request, body.reason, key, listed=[body.to_token(token)])

    @router.delete("/id-tokens/{token}", **COMMAND, summary="Remove a token from the list")
    async def remove(request: Request, token: TokenName, kind: TokenKind = "", reason: Reason = BY_API, key: Key = "") -> Response:
        return await change(request, reason, key, remove=[(await one(token, kind)).key])

    return router
