"""Display messages on the wire (OCPP 2.0.1 block O, 2.1): built for stations, and read from what they tell.

station --NotifyDisplayMessages--> DisplayDesk.displayed, part by part
"""

from __future__ import annotations

from collections.abc import Sequence

from depot.display_messages import MOST_CONTENT, DisplayDesk, DisplayMessage, Text
from depot.values import InvalidValue
from ocpp_server.desks import Action
from ocpp_server.dialect import Call
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.skew import parse_time, wire_time
from ocpp_server.station import Station
from ocpp_server.version import Version

SET, GET, CLEAR = "SetDisplayMessage", "GetDisplayMessages", "ClearDisplayMessage"
_CONTENT_201 = 512
_ONLY_21 = frozenset({"QRCODE", "Suspended", "Discharging"})


class DisplayMessages:
    """What a station says of its displays: a :class:`~ocpp_server.desks.Block`."""

    def __init__(self, station: Station, desk: DisplayDesk) -> None:
        self._station = station
        self._desk = desk
        self.actions: dict[str, Action] = {"NotifyDisplayMessages": self._notified}

    async def _notified(self, req: Payload) -> Payload:
        found = []
        for row in req.get("messageInfo", ()):
            try:
                found.append(read_message(row))
            except InvalidValue:
                self._station.violations["odd_display_message"] += 1
        self._desk.displayed(self._station.station_id, req["requestId"], tuple(found), more=req.get("tbc", False))
        return {}

    def answered(self, call: CallReceived, payload: Payload) -> None: ...


def set_message(message: DisplayMessage, version: Version) -> Call:
    """SetDisplayMessage. Raises :class:`InvalidValue` for what this version does not have."""
    first, *others = message.texts
    if version is Version.V201:
        if others:
            raise InvalidValue("OCPP 2.0.1 has one text in one language; several languages came with 2.1")
        if len(first.content) > _CONTENT_201:
            raise InvalidValue(f"OCPP 2.0.1 has room for {_CONTENT_201} characters, 2.1 for {MOST_CONTENT}")
        newer = _ONLY_21 & {first.format, message.shown_while}
        if newer:
            raise InvalidValue(f"{', '.join(newer)} came with OCPP 2.1; this station speaks 2.0.1")
    info: Payload = {"id": message.message_id, "priority": message.priority, "message": _text(first)}
    info |= {"messageExtra": [_text(text) for text in others]} if others else {}
    info |= {"state": message.shown_while} if message.shown_while else {}
    info |= {"startDateTime": wire_time(message.start_at)} if message.start_at is not None else {}
    info |= {"endDateTime": wire_time(message.end_at)} if message.end_at is not None else {}
    info |= {"transactionId": message.transaction_id} if message.transaction_id else {}
    info |= {"display": {"name": "Display", "evse": {"id": message.evse}}} if message.evse else {}
    return Call(SET, {"message": info})


def get_messages(request_id: int, *, ids: Sequence[int] = (), priority: str = "", shown_while: str = "") -> Call:
    """GetDisplayMessages; what is empty does not filter."""
    payload: Payload = {"requestId": request_id}
    payload |= {"id": list(ids)} if ids else {}
    payload |= {"priority": priority} if priority else {}
    return Call(GET, payload | ({"state": shown_while} if shown_while else {}))


def clear_message(message_id: int) -> Call:
    """ClearDisplayMessage."""
    return Call(CLEAR, {"id": message_id})


def read_message(row: Payload) -> DisplayMessage:
    """A checked MessageInfoType. Raises :class:`InvalidValue` for one that cannot be."""
    texts = [row["message"], *row.get("messageExtra", ())]
    return DisplayMessage(
        row["id"],
        row["priority"],
        tuple(Text(text["content"], text["format"], text.get("language", "")) for text in texts),
        row.get("state", ""),
        parse_time(row.get("startDateTime")),
        parse_time(row.get("endDateTime")),
        row.get("transactionId", ""),
        row.get("display", {}).get("evse", {}).get("id", 0),
    )


def _text(text: Text) -> Payload:
    return {"format": text.format, "content": text.content} | ({"language": text.language} if text.language else {})
