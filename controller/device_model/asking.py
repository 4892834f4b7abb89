"""Orders to stations about variables and monitors: in batches that each station takes, checked as any call by hand is.

    items --room (by a person, by its own word, a few)--> in_batches over RawCalls --> a result for each item

What lets a station start by itself is counted before it is set (:mod:`controller.raw_calls`). What a station answers is kept
by the desk, whoever asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from controller.device_model.store import ModelStore
from controller.device_model.views import named
from controller.device_model.writer import Writer
from controller.raw_calls import ASK_S, RawCalls, as_answer
from controller.yard import Yard
from depot import events as ev
from depot.device_model import MonitorWish, Variable, VariableSetting
from depot.values import DepotError, InvalidValue, Outcome
from ocpp_server.device_model import (
    CLEAR_MONITORS,
    GET,
    SET,
    SET_MONITORS,
    Answered,
    Batched,
    Room,
    get_item,
    in_batches,
    monitor_item,
    room_of,
    set_item,
)
from ocpp_server.redaction import HIDDEN, is_secret
from ocpp_server.reply import Reply
from ocpp_server.session import Payload
from ocpp_server.version import Version

_BY_HAND = {GET.action: "get_variables", SET.action: "set_variables"}
"""Item limits that a person can set (:data:`depot.events.ITEM_LIMITS`)."""
_LISTED = 500
"""Items that one order may name."""

Send = Callable[[str, Payload], Awaitable[Reply]]


class Asking:
    """See the module."""

    def __init__(self, yard: Yard, calls: RawCalls, store: ModelStore, writer: Writer) -> None:
        self._yard = yard
        self._calls = calls
        self._store = store
        self._writer = writer

    def need_2x(self, station_id: str) -> Version:
        """The version that the station speaks. Raises :class:`~depot.values.DepotError` where it has no device model."""
        version = self._calls.version(station_id)
        if version is Version.V16:
            raise InvalidValue(f"{station_id} speaks OCPP 1.6, which has configuration keys instead of variables")
        return version

    async def get(self, station_id: str, wanted: Sequence[tuple[Variable, str]]) -> list[dict[str, Any]]:
        """What the station says of these (variable, attribute) now; nothing is changed."""
        self._check(station_id, len(wanted))

        async def ask(action: str, payload: Payload) -> Reply:
            return await self._calls.ask(station_id, action, payload, within_s=ASK_S)

        items = [get_item(variable, attribute) for variable, attribute in wanted]
        answered = await in_batches(ask, GET, items, await self._room(station_id, GET))
        return [
            named(variable) | {"attribute": attribute} | _told(one, "attributeStatus") | {"value": _value(variable, one)}
            for (variable, attribute), one in zip(wanted, answered, strict=True)
        ]

    async def set(self, station_id: str, settings: Sequence[VariableSetting], cause: ev.Envelope) -> list[dict[str, Any]]:
        """Write them; the station's word on each."""
        self._check(station_id, len(settings))
        items = [set_item(setting) for setting in settings]
        self._calls.guard(station_id, SET.action, {SET.items: items})
        answered = await in_batches(self._sending(station_id, cause), SET, items, await self._room(station_id, SET))
        return [
            named(setting.variable) | {"attribute": setting.attribute} | _told(one, "attributeStatus")
            for setting, one in zip(settings, answered, strict=True)
        ]

    async def set_monitors(self, station_id: str, wishes: Sequence[MonitorWish], cause: ev.Envelope) -> list[dict[str, Any]]:
        self._check(station_id, len(wishes))
        items = [monitor_item(wish) for wish in wishes]
        answered = await in_batches(self._sending(station_id, cause), SET_MONITORS, items, await self._room(station_id, SET_MONITORS))
        return [
            named(wish.variable)
            | {"kind": wish.kind, "severity": wish.severity, "monitor_id": (one.result or {}).get("id")}
            | _told(one, "status")
            for wish, one in zip(wishes, answered, strict=True)
        ]

    async def clear_monitors(self, station_id: str, ids: Sequence[int], cause: ev.Envelope) -> list[dict[str, Any]]:
        self._check(station_id, len(ids))
        room = await self._room(station_id, CLEAR_MONITORS)
        answered = await in_batches(self._sending(station_id, cause), CLEAR_MONITORS, list(ids), room)
        return [{"monitor_id": number} | _told(one, "status") for number, one in zip(ids, answered, strict=True)]

    def _sending(self, station_id: str, cause: ev.Envelope) -> Send:
        async def send(action: str, payload: Payload) -> Reply:
            return await self._calls.send(station_id, action, payload, cause)

        return send

    def _check(self, station_id: str, count: int) -> None:
        self.need_2x(station_id)
        if not 0 < count <= _LISTED:
            raise DepotError(f"1 to {_LISTED} at once, not {count}")

    async def _room(self, station_id: str, kind: Batched) -> Room:
        """By a person, by what the station said once, or, where it never did, by asking it."""
        facts = self._yard.state.stations.get(station_id)
        by_hand = None if facts is None else facts.item_limits.get(_BY_HAND.get(kind.action, ""))
        wanted = (kind.items_at_once, kind.bytes_at_once)
        found = await self._writer.read(lambda connection: self._store.by_keys(connection, station_id, [one.key for one in wanted]))
        values = {row.told.variable.key: row.actual.value for row in found if row.actual is not None}
        if wanted[0].key not in values:
            payload = {GET.items: [get_item(wanted[0])]}
            reply = await self._calls.ask(station_id, GET.action, payload)
            result: Payload = next(iter(reply.payload.get(GET.results, ())), {})
            if result.get("attributeStatus") == "Accepted":
                values[wanted[0].key] = result.get("attributeValue")
        room = room_of(values.get(wanted[0].key), values.get(wanted[1].key))
        return room if by_hand is None else Room(by_hand, room.bytes)


def _told(one: Answered, status: str) -> dict[str, Any]:
    result = one.result or {}
    info = result.get("attributeStatusInfo") or result.get("statusInfo") or {}
    words = " ".join(part for part in (info.get("reasonCode"), info.get("additionalInfo")) if part)
    outcome = as_answer(one.reply)["outcome"]
    if one.result is None and not words:
        words = one.reply.code or ("the answer says nothing of it" if one.reply.outcome is Outcome.ACCEPTED else "")
    return {"status": result.get(status, ""), "reason": words, "outcome": outcome}


def _value(variable: Variable, one: Answered) -> str | None:
    value = None if one.result is None else one.result.get("attributeValue")
    return HIDDEN if value is not None and is_secret(variable.name) else value
