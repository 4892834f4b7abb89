"""Local authorization lists: sent in parts that the station takes, and what it is believed to know from then on.

    SendLocalList --parts--> SendLocalList, one by one --accepted--> a fact each; the first that fails ends it
                                             `- VersionMismatch --> GetLocalListVersion, once more with a higher one

A list lets a station begin sessions while the depot is not reachable; whether it does is said by its configuration
(LocalAuthorizeOffline), which the probe switches off and a person may switch on where there is room for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from controller.raw_calls import RawCalls, as_answer
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.local_lists import MAX_VERSION, MOST_ENTRIES, LocalList, Part, UpdateType, parts
from depot.tokens import IdToken, Place
from depot.values import DepotError, InvalidValue, Outcome
from ocpp_server.configuration import LIST_MOST, ConfigurationBook
from ocpp_server.reply import Reply
from ocpp_server.tokens_out import list_version_of, read_local_list, send_local_list, too_long

PART_MOST = 500
"""Entries of one message where neither the station nor a person says how many it takes."""


class LocalListView(Struct, frozen=True, kw_only=True):
    """``station_version``: what the station says now (1.6: −1 not supported, 0 empty), null where it gave no answer;
    ``outcome``: of that question. ``version``, ``entries``: what it is believed to hold."""

    station_id: str
    station_version: int | None
    outcome: str
    version: int
    entries: list[IdToken]
    changed_at: datetime | None


class LocalLists:
    """The room. ``configuration(station_id)``: what the station said of its keys. ``masters``: the group whose tokens end sessions and
    begin none; "": nobody."""

    def __init__(self, yard: Yard, calls: RawCalls, configuration: Callable[[str], ConfigurationBook], *, masters: str = "") -> None:
        self._masters = masters.casefold()
        self._yard = yard
        self._calls = calls
        self._configuration = configuration
        calls.heard.append(self._heard)
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.SendLocalList: self._send}
        self.views: Mapping[type[Struct], Viewer] = {LocalListView: self._show}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _send(self, command: cmd.SendLocalList, cause: ev.Envelope) -> Answered:
        station_id = command.station_id
        believed = self._believed(station_id)
        listed, removed, left_out = self._wanted(command, believed)
        first = believed.version + 1 if command.list_version is None else command.list_version
        plan = parts(command.update, first, listed, removed, most=self._most(station_id))
        if not (believed.version < first and plan[-1].version <= MAX_VERSION):
            raise InvalidValue(f"the list's version must be above {believed.version}, which the station accepted last")
        told: list[dict[str, Any]] = []
        ahead = 0
        for part in plan:
            part = _later(part, ahead)
            reply = await self._tell(station_id, part, cause)
            if reply.payload.get("status") == "VersionMismatch" and command.list_version is None:
                said = list_version_of((await self._calls.ask(station_id, "GetLocalListVersion", {})).payload)
                if said is not None and part.version <= said < MAX_VERSION - len(plan):
                    told.append(_told(part, reply))
                    ahead += said + 1 - part.version
                    part = _later(part, said + 1 - part.version)
                    reply = await self._tell(station_id, part, cause)
            told.append(_told(part, reply))
            if reply.outcome is not Outcome.ACCEPTED:
                break
        done = reply.outcome is Outcome.ACCEPTED
        answer = {"station_id": station_id, "version": self._believed(station_id).version, "parts": told, "left_out": left_out}
        ended = told[-1]["status"] or told[-1]["outcome"]
        words = f"{len(told)} messages, {len(listed)} tokens listed, {len(removed)} removed: {ended}"
        return Answered(CommandStatus.DONE if done else CommandStatus.FAILED, words, answer)

    def _wanted(self, command: cmd.SendLocalList, believed: LocalList) -> tuple[list[IdToken], list[str], int]:
        """Tokens to list, tokens to remove, and how many of the depot's the station is not told of."""
        version = self._calls.version(command.station_id)
        left_out = 0
        if command.entries is not None:
            listed, removed = list(command.entries), list(command.remove)
            if too_long(listed, version):
                raise InvalidValue(f"a station of OCPP {version.value} takes tokens of at most 20 characters")
            if command.update is UpdateType.FULL and removed:
                raise InvalidValue("a full list replaces all: leave out what it shall not hold, or send a differential one")
        else:
            everybody = sorted(self._yard.state.id_tokens.values(), key=lambda token: token.key)
            long = {token.key for token in too_long(everybody, version)}
            listed = [token for token in everybody if token.key not in long and self._tells(token, command.station_id)]
            left_out, removed = len(everybody) - len(listed), []
            if command.update is UpdateType.DIFFERENTIAL:
                listed, removed = believed.changes_to(listed)
        if len(listed) + len(removed) > MOST_ENTRIES:
            raise DepotError(f"a local list has at most {MOST_ENTRIES} entries here")
        if len({token.text_key for token in listed} | {token.casefold() for token in removed}) != len(listed) + len(removed):
            raise InvalidValue("a local list names each token once")
        return listed, removed, left_out

    def _tells(self, token: IdToken, station_id: str) -> bool:
        """Whether a station can decide by itself of this token as the depot would: one for each text, and no condition that it
        does not know of. Of a master pass it would know that it is accepted, not that it begins nothing."""
        if self._masters and token.group.casefold() == self._masters:
            return False
        here = not token.only_at or Place(station_id) in token.only_at
        return here and not token.additional and self._yard.state.id_token(token.token) == token

    async def _tell(self, station_id: str, part: Part, cause: ev.Envelope) -> Reply:
        now = self._yard.clock.now()
        payload = send_local_list(part, self._calls.version(station_id), now=now)
        return await self._calls.send(station_id, "SendLocalList", payload, cause)

    async def _heard(self, station_id: str, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        """What a station accepted is noted, also where a person made up the call: one book for all."""
        if action != "SendLocalList" or reply.outcome is not Outcome.ACCEPTED:
            return
        part = read_local_list(payload, self._calls.version(station_id))
        removed = tuple(token.casefold() for token in part.removed)
        fact = ev.LocalListUpdated(station_id, part.version, part.update, part.listed, removed)
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now())])

    def _most(self, station_id: str) -> int:
        facts = self._yard.state.stations.get(station_id)
        by_hand = None if facts is None else facts.item_limits.get("local_list")
        return min(PART_MOST, by_hand or self._configuration(station_id).number(LIST_MOST) or PART_MOST)

    def _believed(self, station_id: str) -> LocalList:
        return self._yard.state.local_lists.get(station_id) or LocalList()

    async def _show(self, args: Mapping[str, str]) -> LocalListView | None:
        station_id = args.get("station_id", "")
        if not self._calls.knows(station_id):
            return None
        believed = self._believed(station_id)
        reply = await self._calls.ask(station_id, "GetLocalListVersion", {})
        return LocalListView(
            station_id=station_id, station_version=list_version_of(reply.payload), outcome=as_answer(reply)["outcome"],
            version=believed.version, entries=[believed.entries[key] for key in sorted(believed.entries)], changed_at=believed.changed_at,
        )  # fmt: skip


def _later(part: Part, by: int) -> Part:
    return Part(part.update, part.version + by, part.listed, part.removed)


def _told(part: Part, reply: Reply) -> dict[str, Any]:
    """How one message ended, for the answer."""
    answer = as_answer(reply)
    return {
        "update_type": part.update.value,
        "version": part.version,
        "entries": len(part.listed) + len(part.removed),
        "outcome": answer["outcome"],
        "status": reply.payload.get("status"),
        "error": answer.get("error"),
    }
