"""The 2.0.1 device model as far as it is asked: variables read and written in batches that the station can take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from depot.values import Outcome
from ocpp_server.link import Link, Priority
from ocpp_server.reply import Reply
from ocpp_server.session import Payload

T = TypeVar("T")


class Variable(NamedTuple):
    """A variable of a component of the station as a whole; ``instance`` is the variable's."""

    component: str
    name: str
    instance: str | None = None

    def __str__(self) -> str:
        return f"{self.component}.{self.name}" + (f"[{self.instance}]" if self.instance else "")

    @property
    def on_wire(self) -> Payload:
        variable = {"name": self.name} | ({"instance": self.instance} if self.instance else {})
        return {"component": {"name": self.component}, "variable": variable}


_A_FEW = 4
GET_ITEMS = Variable("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables")
SET_ITEMS = Variable("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables")


@dataclass(frozen=True, slots=True)
class Batches:
    """How many variables a station takes in one message. One that does not say is tried with a few, and asked for one
    at a time where it refuses."""

    get: int
    set: int


async def batches(link: Link, priority: Priority = Priority.HOUSEKEEPING) -> Batches:
    """Ask for the sizes, one at a time because they are not known yet."""
    values: dict[Variable, str] = {}
    for wanted in (GET_ITEMS, SET_ITEMS):
        values |= await get_variables(link, [wanted], size=1, priority=priority)
    return Batches(_size(values.get(GET_ITEMS)), _size(values.get(SET_ITEMS)))


async def get_variables(link: Link, wanted: Sequence[Variable], *, size: int, priority: Priority = Priority.NORMAL) -> dict[Variable, str]:
    """Actual values of those that the station has and shows."""
    found: dict[Variable, str] = {}
    for part in _parts(wanted, size):
        reply = await _ask(link, "GetVariables", "getVariableData", [variable.on_wire for variable in part], priority)
        if reply.refused and len(part) > 1:  # it cannot take so many after all
            found |= await get_variables(link, part, size=1, priority=priority)
            continue
        for variable, result in _matched(part, reply.payload.get("getVariableResult", ())):
            if result["attributeStatus"] == "Accepted":
                found[variable] = result.get("attributeValue", "")
        if reply.outcome is Outcome.OFFLINE:
            break
    return found


async def set_variables(
    link: Link, values: Mapping[Variable, str], *, size: int, priority: Priority = Priority.NORMAL
) -> dict[Variable, str]:
    """The station's word on each: ``Accepted``, ``RebootRequired``, ``Rejected`` …; one without an answer is missing."""
    said: dict[Variable, str] = {}
    for part in _parts(list(values), size):
        data = [{**variable.on_wire, "attributeValue": values[variable]} for variable in part]
        reply = await _ask(link, "SetVariables", "setVariableData", data, priority)
        if reply.refused and len(part) > 1:
            said |= await set_variables(link, {variable: values[variable] for variable in part}, size=1, priority=priority)
            continue
        said |= {variable: result["attributeStatus"] for variable, result in _matched(part, reply.payload.get("setVariableResult", ()))}
        if reply.outcome is Outcome.OFFLINE:
            break
    return said


async def _ask(link: Link, action: str, name: str, data: list[Payload], priority: Priority) -> Reply:
    return await link.call(action, {name: data}, priority=priority)


def _parts(items: Sequence[T], size: int) -> Iterable[list[T]]:
    return (list(items[at : at + size]) for at in range(0, len(items), size))


def _matched(asked: Sequence[Variable], results: Iterable[Payload]) -> Iterable[tuple[Variable, Payload]]:
    """Results with the variable that each is about; names are compared as the norm does, without case."""
    by_name = {_key(variable): variable for variable in asked}
    for result in results:
        answered = Variable(result["component"]["name"], result["variable"]["name"], result["variable"].get("instance"))
        if _key(answered) in by_name:
            yield by_name[_key(answered)], result


def _key(variable: Variable) -> tuple[str, ...]:
    return tuple((part or "").lower() for part in variable)


def _size(text: str | None) -> int:
    try:
        return min(100, max(1, int(text or "")))
    except ValueError:
        return _A_FEW
