"""A station's side of one OCPP connection, on the ``ocpp`` package's client side.

A :class:`Link` of some version translates between the package's messages and a :class:`StationSide`, which decides;
what the versions say is in :mod:`simulator.link16` and :mod:`simulator.link201`. What the package does slowly for
thousands of stations in one process is replaced here, from its own material: its JSON schemas, compiled once (its
interpreted validation still has the word where the compiled one says no, and writes the error), its renaming of keys,
remembered, and its deep copies, left out. It is told not to validate in threads.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import fastjsonschema
import ocpp.charge_point
import ocpp.messages
import ocpp.routing
from ocpp.charge_point import ChargePoint

from depot.ports import Clock
from simulator.configuration import Configuration
from simulator.profiles import Profile
from simulator.shown16 import Shown
from simulator.wire import Wire

RESPONSE_TIMEOUT_S = 30.0
"""A call without an answer for so long (loop time) has failed."""

_PACKAGE = Path(ocpp.messages.__file__).parent
_SCHEMAS = {"1.6": ("v16", ""), "2.0.1": ("v201", "Request"), "2.1": ("v21", "Request")}
"""Folder of a version's schemas, and what the names of its calls end with."""
_CALLS_WAITING = 32
_NO_MESSAGE_ID = inspect.Signature()
_PLAIN = (str, int, float, bool, dict, list, type(None))

F = TypeVar("F", bound=Callable[..., Any])


@functools.cache
def _compiled(ocpp_version: str, message_type: int, action: str) -> Callable[[Any], Any] | None:
    """The package's schema of one message, compiled; None where it has none."""
    folder, of_call = _SCHEMAS[ocpp_version]
    what = "Response" if message_type == ocpp.messages.MessageType.CallResult else of_call
    path = _PACKAGE / folder / "schemas" / f"{action}{what}.json"
    if not path.is_file():
        return None
    schema = json.loads(path.read_text(encoding="utf-8-sig"))
    schema.pop("id", None)  # draft 4's id is an address that nobody serves
    compiled: Callable[[Any], Any] = fastjsonschema.compile(schema)
    return compiled


async def _validate(message: Any, ocpp_version: str) -> None:
    """The package's ``validate_payload``, fast where the message is valid; raises the package's errors where it is not."""
    check = _compiled(ocpp_version, message.message_type_id, message.action)
    if check is not None:
        try:
            check(message.payload)
        except fastjsonschema.JsonSchemaException:
            pass  # the interpreter knows decimals exactly, and explains
        else:
            return
    ocpp.messages._validate_payload(message, ocpp_version)


def _remembering(rename: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``rename`` (keys of a payload, recursively), asked once for each key."""

    @functools.cache
    def key(text: str) -> str:
        return str(next(iter(rename({text: None}))))

    def renamed(data: Any) -> Any:
        if isinstance(data, dict):
            return {key(k): renamed(v) for k, v in data.items()}
        if isinstance(data, list):
            return [renamed(v) for v in data]
        return data

    return renamed


def _shallow(serialize: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """``serialize`` (a payload as a dict), without copying what a payload of plain values holds."""

    def serialized(payload: Any) -> dict[str, Any]:
        if all(isinstance(value, _PLAIN) for value in vars(payload).values()):
            return dict(vars(payload))
        return serialize(payload)

    return serialized


ocpp.messages.ASYNC_VALIDATION = False
ocpp.charge_point.serialize_as_dict = _shallow(ocpp.charge_point.serialize_as_dict)
ocpp.charge_point.validate_payload = _validate
ocpp.charge_point.camel_to_snake_case = _remembering(ocpp.charge_point.camel_to_snake_case)
ocpp.charge_point.snake_to_camel_case = _remembering(ocpp.charge_point.snake_to_camel_case)


def on(action: Any) -> Callable[[F], F]:
    """The package's decorator for the answer to a call, typed."""
    decorate: Callable[[F], F] = ocpp.routing.on(action)
    return decorate


def after(action: Any) -> Callable[[F], F]:
    """The package's decorator for what follows once the answer has left, typed."""
    decorate: Callable[[F], F] = ocpp.routing.after(action)
    return decorate


class _Handler:
    """A handler that states its signature, which the package asks for at every call and Python works out anew."""

    __slots__ = ("__signature__", "_handle")

    def __init__(self, handle: Callable[..., Any]) -> None:
        self._handle = handle
        self.__signature__ = _NO_MESSAGE_ID

    def __call__(self, **fields: Any) -> Any:
        return self._handle(**fields)


class StationSide(Protocol):
    """What a link asks of its station: the answers (texts are OCPP's words), and :meth:`carry_out` once they have left."""

    station_id: str
    clock: Clock
    configuration: Configuration
    shown: Shown

    def set_profile(self, connector: int, data: Mapping[str, Any]) -> str: ...
    def clear_profile(self, criteria: Mapping[str, Any]) -> bool: ...
    def composite_schedule(self, connector: int, seconds: int, unit: str | None) -> tuple[datetime, dict[str, Any]] | None: ...
    def accept_remote_start(self, tag: str, connector: int | None, profile_data: Mapping[str, Any] | None) -> bool: ...
    def accept_remote_stop(self, transaction_id: int | str) -> bool: ...
    def change_availability(self, connector: int, *, operative: bool) -> str: ...
    def change_configuration(self, key: str, value: str) -> str: ...
    def accept_trigger(self, requested: str, connector: int | None) -> str: ...
    def unlock(self, connector: int) -> str: ...
    def reset(self, *, hard: bool) -> None: ...
    def runs(self, transaction_id: int | str) -> bool: ...
    def held_profiles(self) -> Sequence[tuple[int, Profile]]: ...
    def say(self, build: Callable[[], Any]) -> None:
        """Say it after the answer that is being given."""

    def carry_out(self) -> None: ...
    def foresee_profile(self, connector: int, data: Mapping[str, Any]) -> None: ...
    def foresee_stop(self, transaction_id: int | str) -> None: ...


class Link(ChargePoint):  # type: ignore[misc]  # the package is untyped
    """One connection of ``station`` over ``wire``; the base of each version's.

    ``answer_s``: drawn for each call from the central system, by how much the station is late to act on it.
    """

    def __init__(self, station: StationSide, wire: Wire, *, message_id: Callable[[], str], answer_s: Callable[[], float] | None) -> None:
        super().__init__(station.station_id, wire, response_timeout=RESPONSE_TIMEOUT_S)
        self._unique_id_generator = message_id
        for handlers in self.route_map.values():
            handlers.update({when: _Handler(handlers[when]) for when in ("_on_action", "_after_action") if when in handlers})
        self._station = station
        self._answer_s = answer_s
        self._calls: asyncio.Queue[str] = asyncio.Queue(_CALLS_WAITING)
        self._audible = asyncio.Event()
        self._audible.set()

    @property
    def deaf(self) -> bool:
        return not self._audible.is_set()

    def go_deaf(self) -> None:
        """Hear and say nothing any more, though the wire stays open; for the rest of this connection."""
        self._audible.clear()

    async def call(self, *args: Any, **kwargs: Any) -> Any:
        """As in the package; a deaf link never gets to say it."""
        await self._audible.wait()
        return await super().call(*args, **kwargs)

    async def start(self) -> None:
        """Read until the wire is over (raises :class:`~simulator.wire.WireClosed`)."""
        if self._answer_s is None:
            await self._read(self.route_message)
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer_late(self._answer_s), name=f"{self.id} late answers")
            await self._read(self._sort)

    async def _read(self, handle: Callable[[str], Any]) -> None:
        while True:
            text = await self._connection.recv()
            if not self.deaf:
                await handle(text)
                await asyncio.sleep(0)  # an answer takes effect before the next frame is read: a station is one thread

    async def _sort(self, text: str) -> None:
        """Answers to our own calls go on at once, calls wait for their turn."""
        if text.lstrip("[ \n")[:1] != "2":
            await self.route_message(text)
            return
        try:
            _, _, action, payload = json.loads(text)
            self._foresee(action, ocpp.charge_point.camel_to_snake_case(payload))
        except (KeyError, TypeError, ValueError):
            pass  # malformed: the package will say so when its turn comes
        await self._calls.put(text)

    def _foresee(self, action: str, payload: dict[str, Any]) -> None:
        """A call has come in that will be acted on late: tell the station what it should be doing from now on."""
        raise NotImplementedError

    async def _answer_late(self, answer_s: Callable[[], float]) -> None:
        while True:
            text = await self._calls.get()
            await self._station.clock.sleep(answer_s())
            await self.route_message(text)

    async def _get_specific_response(self, unique_id: str, timeout: float) -> Any:
        """As in the package, but on the loop's clock, so that it also holds in virtual time."""
        async with asyncio.timeout(timeout):
            while True:
                response = await self._response_queue.get()
                if response.unique_id == unique_id:
                    return response

    async def _send(self, message: str) -> None:
        if not self.deaf:
            await self._connection.send(message)


def wire_time(at: datetime) -> str:
    """``at`` (UTC) as OCPP writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
