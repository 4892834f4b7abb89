"""/api/v1/display-messages and /customer-information: what stations of OCPP 2.x show to drivers, and what they keep about them.

POST /display-messages            one station, several, all, or that of a transaction -> one message a station, each its own id
POST /display-messages/refresh    the station is asked what it shows
POST /customer-information        report, clear or both -> a number; GET /customer-information/{number} tells the data, for an hour
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.customer_information import CustomerRow, CustomersView
from controller.display_messages import DisplaysView, MessageRow
from depot import commands as cmd
from depot.display_messages import MAX_ID, MOST_CONTENT, MOST_TEXTS, DisplayMessage, MessageState, Text
from depot.tokens import MAX_TOKEN_LENGTH, TokenType
from depot.values import InvalidValue
from web import actions
from web.api import Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, Reason, StationName, order

MessageId = Annotated[int, Path(ge=0, le=MAX_ID, description="Of GET /display-messages")]
RequestId = Annotated[int, Path(ge=1, le=MAX_ID, description="Of POST /customer-information")]
AnyStation = Annotated[str, Query(max_length=48, description="Only of this station")]
Priority = Literal["AlwaysFront", "InFront", "NormalCycle"]
ShownWhile = Literal["", "Charging", "Faulted", "Idle", "Unavailable", "Suspended", "Discharging"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class TextBody(BaseModel):
    """One text. ``format`` QRCODE, more than 512 characters and more than one text: OCPP 2.1 only."""

    model_config = ConfigDict(extra="forbid")
    content: str = Field(min_length=1, max_length=MOST_CONTENT)
    format: Literal["ASCII", "HTML", "URI", "UTF8", "QRCODE"] = "UTF8"
    language: str = Field(default="", max_length=8)


class MessageBody(_Body):
    """``shown_while`` "": always. ``evse`` 0: the station's main display."""

    priority: Priority = "NormalCycle"
    texts: list[TextBody] = Field(min_length=1, max_length=MOST_TEXTS)
    shown_while: ShownWhile = ""
    start_at: AwareDatetime | None = None
    end_at: AwareDatetime | None = None
    evse: int = Field(default=0, ge=0, le=99)

    def checked(self) -> dict[str, Any]:
        """The words of the command. Raises :class:`Problem`."""
        try:
            texts = tuple(Text(t.content, t.format, t.language) for t in self.texts)
            DisplayMessage(1, self.priority, texts, self.shown_while, self.start_at, self.end_at)
        except InvalidValue as error:
            raise Problem("invalid_request", str(error), errors={"texts": str(error)}) from None
        return {
            "priority": self.priority, "texts": texts, "shown_while": self.shown_while, "start_at": self.start_at, "end_at": self.end_at,
            "evse": self.evse,
        }  # fmt: skip


class NewMessageBody(MessageBody):
    """``station_ids`` null: all of OCPP 2.x, or that of ``transaction_id`` (the depot's number), with which the message ends."""

    station_ids: list[Annotated[str, Field(min_length=1, max_length=48)]] | None = Field(default=None, min_length=1, max_length=500)
    transaction_id: int | None = Field(default=None, ge=1, le=MAX_ID)


class RefreshBody(_Body):
    """``message_ids`` null: all; ``priority``, ``shown_while``: only these."""

    station_id: str = Field(min_length=1, max_length=48)
    message_ids: list[Annotated[int, Field(ge=0, le=MAX_ID)]] | None = Field(default=None, min_length=1, max_length=100)
    priority: Literal["", "AlwaysFront", "InFront", "NormalCycle"] = ""
    shown_while: ShownWhile = ""


class CertificateBody(BaseModel):
    """Whose contract certificate this is (CertificateHashDataType)."""

    model_config = ConfigDict(extra="forbid")
    hash_algorithm: Literal["SHA256", "SHA384", "SHA512"] = "SHA256"
    issuer_name_hash: str = Field(min_length=1, max_length=128, pattern="^[0-9A-Fa-f]+$")
    issuer_key_hash: str = Field(min_length=1, max_length=128, pattern="^[0-9A-Fa-f]+$")
    serial_number: str = Field(min_length=1, max_length=40)

    def to_wire(self) -> dict[str, str]:
        return {
            "hashAlgorithm": self.hash_algorithm, "issuerNameHash": self.issuer_name_hash, "issuerKeyHash": self.issuer_key_hash,
            "serialNumber": self.serial_number,
        }  # fmt: skip


class CustomerBody(_Body):
    """``report``: tell what is kept; ``clear``: forget it. Named by one of ``id_token``, ``certificate`` and ``identifier``."""

    station_id: str = Field(min_length=1, max_length=48)
    report: bool = True
    clear: bool = False
    id_token: str = Field(default="", max_length=MAX_TOKEN_LENGTH)
    token_type: TokenType = TokenType.ISO14443
    certificate: CertificateBody | None = None
    identifier: str = Field(default="", max_length=64)


class MessagesAnswer(Struct, frozen=True, kw_only=True):
    """What became of an order. ``messages``: one for each station that was told."""

    command_id: str
    status: str
    message: str
    audit_seq: int
    messages: list[MessageRow] = []


class RefreshAnswer(Struct, frozen=True, kw_only=True):
    """What a station shows. ``state``: its word; ``complete`` false: parts are missing, null: it is still telling."""

    command_id: str
    status: str
    message: str
    audit_seq: int
    station_id: str = ""
    request_id: int = 0
    state: str | None = None
    outcome: str = ""
    complete: bool | None = None
    note: str = ""
    messages: list[MessageRow] = []


class CustomerAnswer(Struct, frozen=True, kw_only=True):
    """How far it got: ``state`` asked, refused, telling, done, incomplete. ``local_list``: what the station said to its list
    without this token, null where it was not on it."""

    command_id: str
    status: str
    message: str
    audit_seq: int
    request_id: int = 0
    station_id: str = ""
    state: str = ""
    said: str = ""
    note: str = ""
    outcome: str = ""
    local_list: str | None = None


class MessageList(Struct, frozen=True, kw_only=True):
    """Messages, newest first."""

    at: datetime
    messages: list[MessageRow]


SCHEMAS: Sequence[type] = (DisplaysView, MessageList, MessageRow, MessagesAnswer, RefreshAnswer, CustomersView, CustomerRow, CustomerAnswer)
"""What these routes answer with, for the OpenAPI document."""


def told_api(web: Web) -> APIRouter:
    """Routes of display messages and customer information."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": reason}

    def said(result: cmd.CommandResult) -> dict[str, Any]:
        known = {"command_id": result.command_id, "status": result.status.value, "message": result.message, "audit_seq": result.audit_seq}
        return known | dict(result.answer or {})

    # -- display messages ---------------------------------------------------------------------------------------

    @router.get(
        "/display-messages", responses=answers("DisplaysView", 404, 422), response_class=Response,
        summary="What stations show to drivers, newest first",
    )  # fmt: skip
    async def listed(station_id: AnyStation = "", state: Annotated[MessageState | None, Query()] = None) -> Response:
        return reply(await shown_messages(web, station_id=station_id, state=state.value if state is not None else ""))

    @router.post(
        "/display-messages", responses=answers("MessagesAnswer", 409, 422, success=201), response_class=Response,
        summary="Have stations show a message (SetDisplayMessage)",
    )  # fmt: skip
    async def show(request: Request, body: NewMessageBody, key: Key = "") -> Response:
        command = cmd.ShowMessage(
            **who(request, body.reason, key),
            **body.checked(),
            station_ids=tuple(body.station_ids or ()),
            transaction_id=body.transaction_id,
        )
        return reply(msgspec.convert(said(await order(web, command)), MessagesAnswer), 201)

    @router.post(
        "/display-messages/refresh", responses=answers("RefreshAnswer", 409, 422), response_class=Response,
        summary="Ask a station what it shows (GetDisplayMessages)",
    )  # fmt: skip
    async def refresh(request: Request, body: RefreshBody, key: Key = "") -> Response:
        command = cmd.RefreshMessages(
            **who(request, body.reason, key), station_id=body.station_id, ids=tuple(body.message_ids or ()), priority=body.priority,
            shown_while=body.shown_while,
        )  # fmt: skip
        return reply(msgspec.convert(said(await order(web, command)), RefreshAnswer))

    @router.put(
        "/display-messages/{station_id}/{message_id}", responses=answers("MessagesAnswer", 404, 409, 422), response_class=Response,
        summary="Replace a message on a station",
    )  # fmt: skip
    async def replace(request: Request, station_id: StationName, message_id: MessageId, body: MessageBody, key: Key = "") -> Response:
        command = cmd.ShowMessage(**who(request, body.reason, key), **body.checked(), station_ids=(station_id,), message_id=message_id)
        return reply(msgspec.convert(said(await order(web, command)), MessagesAnswer))

    @router.delete(
        "/display-messages/{station_id}/{message_id}", responses=answers("MessagesAnswer", 404, 409, 422), response_class=Response,
        summary="Show it no more (ClearDisplayMessage)",
    )  # fmt: skip
    async def clear(request: Request, station_id: StationName, message_id: MessageId, reason: Reason = BY_API, key: Key = "") -> Response:
        command = cmd.ClearMessage(**who(request, reason, key), station_id=station_id, message_id=message_id)
        return reply(msgspec.convert(said(await order(web, command)), MessagesAnswer))

    # -- customer information -----------------------------------------------------------------------------------

    async def customers(**args: str) -> CustomersView:
        found = await web.link.show(CustomersView, **{name: value for name, value in args.items() if value})
        if found is None:
            raise Problem("not_found", "This core has no room of customer information.")
        return found

    @router.get(
        "/customer-information", responses=answers("CustomersView", 404, 422), response_class=Response,
        summary="Who was asked about customers, newest first; without what was told",
    )  # fmt: skip
    async def requests(station_id: AnyStation = "") -> Response:
        return reply(await customers(station_id=station_id))

    @router.post(
        "/customer-information", responses=answers("CustomerAnswer", 409, 422, success=201), response_class=Response,
        summary="Have a station tell, or forget, what it keeps about a customer (CustomerInformation)",
    )  # fmt: skip
    async def ask(request: Request, body: CustomerBody, key: Key = "") -> Response:
        command = cmd.AskCustomerInformation(
            **who(request, body.reason, key), station_id=body.station_id, report=body.report, clear=body.clear, id_token=body.id_token,
            token_type=body.token_type, certificate=body.certificate.to_wire() if body.certificate else None, identifier=body.identifier,
        )  # fmt: skip
        return reply(msgspec.convert(said(await order(web, command)), CustomerAnswer), 201)

    @router.get(
        "/customer-information/{request_id}", responses=answers("CustomerRow", 404, 422), response_class=Response,
        summary="One request with what was told, as long as it is kept",
    )  # fmt: skip
    async def one(request_id: RequestId) -> Response:
        found = (await customers(request_id=str(request_id))).requests
        if not found:
            raise Problem("not_found", "Nobody asked under this number; old requests are forgotten.")
        return reply(found[0])

    return router


async def shown_messages(web: Web, **args: str) -> DisplaysView:
    """What stations show; empty arguments do not count."""
    found = await web.link.show(DisplaysView, **{name: value for name, value in args.items() if value})
    if found is None:
        raise Problem("unknown_station", "GET /api/v1/stations lists all.")
    return found
