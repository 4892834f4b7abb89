"""Configuration keys of 1.6 stations: as they were read last, asked anew, and changed by people.

What is known is a reading of the charger side (:mod:`ocpp_server.configuration`); nothing of it is journaled. A change
is checked as any call by hand is: a key that lets a station start by itself is counted before it is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.values import InvalidValue
from ocpp_server.configuration import CHANGE, GET, GET_MOST, ConfigurationBook, ConfigurationKey
from ocpp_server.version import Version

ASKED_MOST = 100
"""Keys that one request may name."""


class ConfigurationView(Struct, frozen=True, kw_only=True):
    """``keys``: as heard last, each with its age; secrets hidden. ``unknown``: keys that were asked for and that the station
    does not have. ``outcome``: of the question to the station; "" where none was asked."""

    station_id: str
    at: datetime
    keys: list[ConfigurationKey]
    unknown: list[str]
    outcome: str


class Configurations:
    """The room. ``book(station_id)``: what the station said of its keys."""

    def __init__(self, yard: Yard, calls: RawCalls, book: Callable[[str], ConfigurationBook]) -> None:
        self._yard = yard
        self._calls = calls
        self._book = book
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.ChangeConfiguration: self._change}
        self.views: Mapping[type[Struct], Viewer] = {ConfigurationView: self._show}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _change(self, command: cmd.ChangeConfiguration, cause: ev.Envelope) -> Answered:
        self._need_16(command.station_id)
        reply = await self._calls.send(command.station_id, CHANGE, {"key": command.key, "value": command.value}, cause)
        said = as_answer(reply)
        answer: dict[str, Any] = {"station_id": command.station_id, "key": command.key, "status": reply.payload.get("status")}
        answer |= {name: said[name] for name in ("outcome", "error") if name in said}
        done = CommandStatus.DONE if said["outcome"] == "result" else CommandStatus.FAILED
        return Answered(done, f"{command.key[:50]}: {in_words(reply)}", answer)

    async def _show(self, args: Mapping[str, str]) -> ConfigurationView | None:
        """``key``: only these, separated by commas. ``refresh``: ask the station now."""
        station_id = args.get("station_id", "")
        if not self._calls.knows(station_id):
            return None
        self._need_16(station_id)
        wanted = [key for key in args.get("key", "").split(",") if key]
        if len(wanted) > ASKED_MOST or any(len(key) > 50 for key in wanted):
            raise InvalidValue(f"at most {ASKED_MOST} keys of at most 50 characters at once")
        outcome = ""
        unknown: list[str] = []
        if args.get("refresh"):
            outcome, unknown = await self._refresh(station_id, wanted)
        names = {key.casefold() for key in wanted}
        keys = [row for row in self._book(station_id).known() if not names or row.key.casefold() in names]
        return ConfigurationView(station_id=station_id, at=self._yard.clock.now(), keys=keys, unknown=unknown, outcome=outcome)

    async def _refresh(self, station_id: str, wanted: list[str]) -> tuple[str, list[str]]:
        """Ask for some keys, as many at once as the station takes, or for all."""
        if not wanted:
            reply = await self._calls.ask(station_id, GET, {})
            return as_answer(reply)["outcome"], []
        facts = self._yard.state.stations.get(station_id)
        by_hand = None if facts is None else facts.item_limits.get("get_configuration")
        most = by_hand or self._book(station_id).number(GET_MOST) or ASKED_MOST
        unknown: list[str] = []
        outcome = ""
        for i in range(0, len(wanted), most):
            reply = await self._calls.ask(station_id, GET, {"key": wanted[i : i + most]})
            unknown += reply.payload.get("unknownKey", [])
            outcome = as_answer(reply)["outcome"]
            if outcome != "result":
                break
        return outcome, unknown

    def _need_16(self, station_id: str) -> None:
        version = self._calls.version(station_id)
        if version is not Version.V16:
            raise InvalidValue(f"{station_id} speaks OCPP {version.value}, which has variables instead: call GetVariables or SetVariables")
