"""The device model of 2.x on the wire: names of components and variables, and messages that carry as many items at once as the
station can take.

    items --in_batches--> GetVariables, SetVariables, SetVariableMonitoring … --> a result for each item

A station says how many items and bytes it takes in one message; where it refuses a batch all the same, its items are asked
for one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from depot.device_model import ACTUAL, Monitor, MonitorWish, Told, Variable, VariableSetting
from depot.values import Outcome
from ocpp_server.link import Link, Priority
from ocpp_server.redaction import is_secret
from ocpp_server.reply import Reply
from ocpp_server.session import Payload

Ask = Callable[[str, Payload], Awaitable[Reply]]
"""(action, payload) -> how the call ended."""

A_FEW = 4
MOST_AT_ONCE = 100
LEAST_BYTES = 200


class Batched(NamedTuple):
    """How a message that carries many items is spelled, and where a station says how many it takes."""

    action: str
    items: str
    results: str
    controller: str

    @property
    def items_at_once(self) -> Variable:
        return Variable(self.controller, "ItemsPerMessage", self.action)

    @property
    def bytes_at_once(self) -> Variable:
        return Variable(self.controller, "BytesPerMessage", self.action)


GET = Batched("GetVariables", "getVariableData", "getVariableResult", "DeviceDataCtrlr")
SET = Batched("SetVariables", "setVariableData", "setVariableResult", "DeviceDataCtrlr")
SET_MONITORS = Batched("SetVariableMonitoring", "setMonitoringData", "setMonitoringResult", "MonitoringCtrlr")
CLEAR_MONITORS = Batched("ClearVariableMonitoring", "id", "clearMonitoringResult", "MonitoringCtrlr")
NOTED_MODEL = frozenset(kind.action for kind in (GET, SET, SET_MONITORS, CLEAR_MONITORS))
"""Calls whose answers say something of a station's variables or monitors."""
GET_ITEMS, SET_ITEMS = GET.items_at_once, SET.items_at_once


class Room(NamedTuple):
    """What a station takes in one message. ``bytes`` None: it does not say."""

    items: int = A_FEW
    bytes: int | None = None


class Answered(NamedTuple):
    """An item, what the station said of it (None: nothing), and how the call that carried it ended."""

    item: Any
    result: Payload | None
    reply: Reply


# -- names ------------------------------------------------------------------------------------------------------------------


def on_wire(variable: Variable) -> Payload:
    """``component`` and ``variable`` of a message. A variable without a name stands for all of its component's."""
    component: Payload = {"name": variable.component}
    if variable.component_instance:
        component["instance"] = variable.component_instance
    if variable.evse is not None:
        component["evse"] = {"id": variable.evse} | ({} if variable.connector is None else {"connectorId": variable.connector})
    if not variable.name:
        return {"component": component}
    return {"component": component, "variable": {"name": variable.name} | ({"instance": variable.instance} if variable.instance else {})}


def variable_of(named: Payload) -> Variable:
    """The variable that a part of a message names."""
    component, variable = named["component"], named.get("variable") or {}
    evse = component.get("evse") or {}
    return Variable(
        component["name"].strip(),
        variable.get("name", "").strip(),
        variable.get("instance") or None,
        component.get("instance") or None,
        evse.get("id"),
        evse.get("connectorId"),
    )


def get_item(variable: Variable, attribute: str = ACTUAL) -> Payload:
    return on_wire(variable) | ({} if attribute == ACTUAL else {"attributeType": attribute})


def set_item(setting: VariableSetting) -> Payload:
    return get_item(setting.variable, setting.attribute) | {"attributeValue": setting.value}


def monitor_item(wish: MonitorWish) -> Payload:
    item = on_wire(wish.variable) | {"type": wish.kind, "value": wish.value, "severity": wish.severity, "transaction": wish.transaction}
    return item if wish.monitor_id is None else item | {"id": wish.monitor_id}


# -- batches ----------------------------------------------------------------------------------------------------------------


async def in_batches(ask: Ask, kind: Batched, items: Sequence[Any], room: Room) -> list[Answered]:
    """Every item with its result, in the order given. Nothing more is asked of a station that has gone."""
    found: list[Answered] = []
    for part in _parts(kind, items, room):
        if found and found[-1].reply.outcome is Outcome.OFFLINE:
            found += [Answered(item, None, found[-1].reply) for item in part]
            continue
        reply = await ask(kind.action, {kind.items: part})
        if reply.refused and len(part) > 1:  # it cannot take so many after all
            found += await in_batches(ask, kind, part, Room(1))
        else:
            found += _matched(part, reply.payload.get(kind.results, ()), reply)
    return found


def _parts(kind: Batched, items: Sequence[Any], room: Room) -> Iterable[list[Any]]:
    """As many items in a part as fit, one at least."""
    part: list[Any] = []
    size = overhead = len(json.dumps({kind.items: []}))
    for item in items:
        length = len(json.dumps(item, separators=(",", ":"))) + 1
        if part and (len(part) >= room.items or (room.bytes is not None and size + length > room.bytes)):
            yield part
            part, size = [], overhead
        part.append(item)
        size += length
    if part:
        yield part


def _matched(part: Sequence[Any], results: Iterable[Payload], reply: Reply) -> list[Answered]:
    """A result belongs to the first item that it could be about; a station may answer in another order."""
    waiting: dict[object, list[Payload]] = {}
    for result in results:
        waiting.setdefault(_identity(result), []).append(result)
    matched = []
    for item in part:
        queue = waiting.get(_identity(item))
        matched.append(Answered(item, queue.pop(0) if queue else None, reply))
    return matched


def _identity(item: Any) -> object:
    if not isinstance(item, dict):
        return item  # the id of a monitor
    if "component" not in item:
        return item.get("id")
    return variable_of(item).key, item.get("attributeType", ACTUAL), item.get("type"), item.get("severity")


def room_of(items: str | None, size: str | None) -> Room:
    """What the station's own variables say, as far as it can be true."""
    number, most = _number(items), _number(size)
    return Room(A_FEW if number is None else min(MOST_AT_ONCE, max(1, number)), None if most is None else max(LEAST_BYTES, most))


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


# -- what an answer says ----------------------------------------------------------------------------------------------------


def told_by(action: str, payload: Payload, reply: Reply) -> Told:
    """What is known of variables and monitors now that a call of :data:`NOTED_MODEL` has ended so. A secret's value is not told."""
    match action:
        case GET.action:
            return Told(values={named: value for named, value in map(_read, reply.payload.get(GET.results, ())) if named is not None})
        case SET.action:
            taken: dict[tuple[Variable, str], str | None] = {}
            waiting: dict[Variable, str] = {}
            for item, result, _ in _matched(payload.get(SET.items, ()), reply.payload.get(SET.results, ()), reply):
                variable, attribute = variable_of(item), item.get("attributeType", ACTUAL)
                status = None if result is None else result["attributeStatus"]
                if status == "Accepted":
                    taken[(variable, attribute)] = _shown(variable, item["attributeValue"])
                elif status == "RebootRequired" and attribute == ACTUAL and not is_secret(variable.name):
                    waiting[variable] = item["attributeValue"]
            return Told(taken, waiting)
        case SET_MONITORS.action:
            answered = _matched(payload.get(SET_MONITORS.items, ()), reply.payload.get(SET_MONITORS.results, ()), reply)
            return Told(monitors=[_monitor(i, r) for i, r, _ in answered if r is not None and r["status"] == "Accepted" and "id" in r])
        case CLEAR_MONITORS.action:
            gone = ("Accepted", "NotFound")
            return Told(cleared=[r["id"] for r in reply.payload.get(CLEAR_MONITORS.results, ()) if r["status"] in gone])
    return Told()


def _read(result: Payload) -> tuple[tuple[Variable, str] | None, str | None]:
    if result["attributeStatus"] != "Accepted":
        return None, None
    variable = variable_of(result)
    return (variable, result.get("attributeType", ACTUAL)), _shown(variable, result.get("attributeValue", ""))


def _shown(variable: Variable, value: str) -> str | None:
    return None if is_secret(variable.name) else value


def _monitor(item: Payload, result: Payload) -> Monitor:
    return Monitor(
        result["id"], variable_of(item), item["type"], item["value"], item["severity"], item.get("transaction", False), "CustomMonitor"
    )


# -- over a link, for the depot's own questions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batches:
    """What the station takes in one message. One that does not say is tried with a few."""

    get: Room
    set: Room


def over(link: Link, priority: Priority) -> Ask:
    """Ask over this link."""

    async def ask(action: str, payload: Payload) -> Reply:
        return await link.call(action, payload, priority=priority)

    return ask


async def batches(link: Link, priority: Priority = Priority.HOUSEKEEPING) -> Batches:
    """Ask for the sizes, first for the one that says how many can be asked for."""
    values = await get_variables(link, [GET.items_at_once], room=Room(1), priority=priority)
    others = (SET.items_at_once, GET.bytes_at_once, SET.bytes_at_once)
    values |= await get_variables(link, others, room=Room(room_of(values.get(GET.items_at_once), None).items), priority=priority)
    return Batches(*(room_of(values.get(kind.items_at_once), values.get(kind.bytes_at_once)) for kind in (GET, SET)))


async def get_variables(link: Link, wanted: Sequence[Variable], *, room: Room, priority: Priority = Priority.NORMAL) -> dict[Variable, str]:
    """Actual values of those that the station has and shows."""
    answered = await in_batches(over(link, priority), GET, [get_item(variable) for variable in wanted], room)
    return {
        variable: result.get("attributeValue", "")
        for variable, (_, result, _) in zip(wanted, answered, strict=True)
        if result is not None and result["attributeStatus"] == "Accepted"
    }


async def set_variables(
    link: Link, values: Mapping[Variable, str], *, room: Room, priority: Priority = Priority.NORMAL
) -> dict[Variable, str]:
    """The station's word on each: ``Accepted``, ``RebootRequired``, ``Rejected`` …; one without an answer is missing."""
    items = [set_item(VariableSetting(variable, value)) for variable, value in values.items()]
    answered = await in_batches(over(link, priority), SET, items, room)
    return {variable: result["attributeStatus"] for variable, (_, result, _) in zip(values, answered, strict=True) if result is not None}
