"""Calls to stations that people and machines make up themselves: checked, counted for, sent, and told as they ended.

    CallStation --check--> effect --room?--> claim --> station --> answer, facts of profiles by hand, our own said again

The depot knows what its own calls do. Such a call it does not, so what could let power flow that nobody has counted is
counted before it leaves, or it does not leave (invariant 1); and what a tripped pack has shut stays shut (invariant 7).
A vendor's DataTransfer may do anything: nothing is assumed of it, its connectors are watched by their meters as always.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from controller.loop import ControlLoop
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.values import ConnectorId, DepotError, InvalidValue, Outcome, UnknownThing
from ocpp_server.actions import CALLS, Change, Effect, check_call, effect_of
from ocpp_server.errors import PayloadViolation
from ocpp_server.reply import NEVER_LEFT, Reply
from ocpp_server.schemas import schema_of
from ocpp_server.version import Version

ASK_S = 8.0
"""Whoever looks at a page or asks the API waits so long for a station's answer; the link's patience is ten seconds."""

CLAIM_S = 90.0
"""So long what such a call may have let flow is counted at its most, depot seconds; then the loop's own levels hold."""


class Stations(Protocol):
    """What of the charger side is needed here."""

    def version(self, station_id: str) -> Version | None: ...
    async def call(self, station_id: str, action: str, payload: dict[str, Any]) -> Reply: ...


Listener = Callable[[str, str, Mapping[str, Any], Reply], Awaitable[None]]
"""(station, action, payload, reply): hears of every such call that may have been carried out."""

Guard = Callable[[str, str, Mapping[str, Any]], None]
"""(station, action, payload): raises :class:`~depot.values.DepotError` for a call by hand that would break somebody's books."""


class InvalidCall(InvalidValue):
    """A call that the station's OCPP version does not have, or that breaks its schema. ``code``: OCPP's error code for it."""

    def __init__(self, violation: PayloadViolation) -> None:
        super().__init__(violation.description)
        self.code = violation.code.value


class CallForm(Struct, frozen=True, kw_only=True):
    """What a station may be asked: ``actions`` of its OCPP version; ``schema`` of the payload of ``action``, as the norm has
    it, null where none was named."""

    station_id: str
    version: str
    actions: list[str]
    action: str
    payload_schema: dict[str, Any] | None


class RawCalls:
    """The room. ``reinstall(station_id)``: say the depot's own profiles again. ``heard``: who else wants to know;
    ``announced``: who must know before such a call leaves, because the station may act on it before it has answered;
    ``guards``: who else may refuse a call that a person makes up."""

    def __init__(self, yard: Yard, loop: ControlLoop, stations: Stations, *, reinstall: Callable[[str], None]) -> None:
        self._yard = yard
        self._loop = loop
        self._stations = stations
        self._reinstall = reinstall
        self.heard: list[Listener] = []
        self.announced: list[Callable[[str, str, Mapping[str, Any]], None]] = []
        self.guards: list[Guard] = []
        self._asking: set[asyncio.Task[Reply]] = set()
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.CallStation: self._call}
        self.views: Mapping[type[Struct], Viewer] = {CallForm: self._form}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _form(self, args: Mapping[str, str]) -> CallForm | None:
        """``station_id``, ``action``; None for a station that is not known, or an action that its version does not have."""
        station_id, action = args.get("station_id", ""), args.get("action", "")
        version = self._stations.version(station_id)
        if version is None or (action and action not in CALLS[version]):
            return None
        schema = schema_of(action, version) if action else None
        return CallForm(station_id=station_id, version=version.value, actions=sorted(CALLS[version]), action=action, payload_schema=schema)

    async def _call(self, command: cmd.CallStation, cause: ev.Envelope) -> Answered:
        station_id, action, payload = command.station_id, command.action, dict(command.payload)
        self.guard(station_id, action, payload)
        try:
            reply = await self.send(station_id, action, payload, cause)
        except InvalidCall as bad:
            return Answered(CommandStatus.REFUSED, str(bad), {"invalid": bad.code})
        answer = as_answer(reply)
        done = CommandStatus.DONE if answer["outcome"] == "result" else CommandStatus.FAILED
        return Answered(done, f"{action}: {in_words(reply)}", answer)

    def guard(self, station_id: str, action: str, payload: Mapping[str, Any]) -> None:
        """Raises :class:`~depot.values.DepotError` for what a person made up and somebody's books would not survive."""
        for guard in self.guards:
            guard(station_id, action, payload)

    def knows(self, station_id: str) -> bool:
        """Whether the station is declared."""
        return self._stations.version(station_id) is not None

    def version(self, station_id: str) -> Version:
        """Of OCPP, as the station speaks it. Raises :class:`~depot.values.UnknownThing`."""
        version = self._stations.version(station_id)
        if version is None:
            raise UnknownThing(f"station {station_id} is not known: GET /api/v1/stations lists all")
        return version

    async def send(self, station_id: str, action: str, payload: dict[str, Any], cause: ev.Envelope) -> Reply:
        """Check a call, count what it could let flow, send it, and see to what it changed. Raises :class:`InvalidCall`, and
        :class:`~depot.values.DepotError` for one that may not leave; then nothing was sent."""
        try:
            check_call(action, payload, self.version(station_id))
        except PayloadViolation as bad:
            raise InvalidCall(bad) from None
        effect = effect_of(action, payload)
        keys = self._keys(station_id, effect)
        self._check(effect, keys)
        claims = self._claim(self._levels(effect, keys))
        for announce in self.announced:
            announce(station_id, action, payload)
        reply = await self._stations.call(station_id, action, payload)
        if _had_no_effect(reply):
            for key, number in claims.items():
                self._loop.claims.unclaim(key, number)
        else:
            await self._follow(station_id, effect, keys, reply, cause)
            for listener in self.heard:
                await listener(station_id, action, payload, reply)
        return reply

    async def ask(self, station_id: str, action: str, payload: dict[str, Any], *, within_s: float = ASK_S) -> Reply:
        """A question that changes nothing, for somebody who looks: a slow station is waited for so long only, and its answer
        is noted when it comes."""
        assert not effect_of(action, payload).changes
        task = asyncio.create_task(self._stations.call(station_id, action, payload), name=f"ask {station_id} {action}")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        done, _ = await asyncio.wait({task}, timeout=within_s)
        return task.result() if done else Reply(Outcome.TIMEOUT)

    def _keys(self, station_id: str, effect: Effect) -> tuple[ConnectorId, ...]:
        """The connectors on which the call could act."""
        if not effect.changes and effect.operative is None:
            return ()
        own = [key for key in self._yard.spec.connectors if key.station_id == station_id]
        return tuple(key for key in own if effect.number in (0, key.connector))

    def _check(self, effect: Effect, keys: tuple[ConnectorId, ...]) -> None:
        """What a person may not do beside the depot. Raises :class:`~depot.values.DepotError`."""
        for key in keys:
            facts = self._yard.state.connector(key)
            if effect.changes & {Change.START, Change.ENABLE} and (key in self._yard.isolated or facts.isolated_by is not None):
                raise DepotError(f"{key} is shut because a battery is tripped; a safety officer resets it on the page Safety")
            if effect.changes & {Change.START, Change.ENABLE} and key in self._yard.cut:
                raise DepotError(f"{key}: {self._yard.cut[key]}; a safety officer resets it on the page Safety")
            if Change.START in effect.changes and effect.number and not facts.operative:
                raise DepotError(f"{key} is out of service ({facts.inoperative_reason}); put it back in service first")
            if Change.ENABLE in effect.changes and not facts.operative and facts.inoperative_reason != ev.OUT_BY_CALL:
                raise DepotError(f"{key} is out of service for the depot; put it back with the command, which keeps the books")

    def _levels(self, effect: Effect, keys: tuple[ConnectorId, ...]) -> dict[ConnectorId, int]:
        """What each connector could draw by the call, W, where that is more than is counted anyway."""
        raising = Change.PROFILES in effect.changes and (effect.profile is None or effect.profile.may_raise)
        levels = {}
        for key in keys:
            grant = self._yard.grants[key]
            begins = bool(effect.changes & {Change.START, Change.AUTONOMY})
            rated = raising or grant.all_or_nothing or grant.default_w is None
            if begins or (raising and (grant.in_session or grant.autonomous)):
                levels[key] = grant.rated_w if rated else grant.default_w or 0
        return levels

    def _claim(self, levels: dict[ConnectorId, int]) -> dict[ConnectorId, int]:
        """Count these levels; the numbers of the claims. Raises :class:`~depot.values.DepotError` where there is no room."""
        lacking_w = self._loop.claims.lacks_w(levels) if levels else 0
        if lacking_w:
            raise DepotError(
                f"this could let {', '.join(map(str, levels))} draw up to {sum(levels.values()) / 1000:g} kW, and "
                f"{lacking_w / 1000:.1f} kW of that are not free now: stop or lower other sessions first"
            )
        return {key: self._loop.claims.claim(key, level_w, for_s=CLAIM_S) for key, level_w in levels.items() if level_w}

    async def _follow(self, station_id: str, effect: Effect, keys: tuple[ConnectorId, ...], reply: Reply, cause: ev.Envelope) -> None:
        """What holds at the station from now on: facts first, then our own profiles again."""
        facts: list[ev.Event] = []
        if effect.profile is not None and effect.profile.may_raise:
            profile = effect.profile
            facts.append(ev.ProfileSetByHand(station_id, profile.number, profile.profile_id, profile.purpose))
        elif effect.clears is not None and reply.outcome is Outcome.ACCEPTED:
            facts.append(ev.HandProfilesCleared(station_id, effect.number, effect.clears))
        if effect.operative is not None and reply.outcome is Outcome.ACCEPTED:
            facts += [
                ev.ConnectorAvailabilitySet(key, effect.operative, "" if effect.operative else ev.OUT_BY_CALL)
                for key in keys
                if self._yard.state.connector(key).operative is not effect.operative
            ]
        if facts:
            now = self._yard.clock.now()
            await self._yard.journal.append([ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id) for fact in facts])
            self._loop.claims.by_hand([key for key in self._yard.spec.connectors if key.station_id == station_id])
        if Change.AUTONOMY in effect.changes:
            for key in keys:
                self._yard.grants[key].autonomous = True
        if Change.AUTONOMY in effect.changes or effect.operative is not None:
            self._loop.wake()
        if effect.clears is not None:
            self._reinstall(station_id)


def as_answer(reply: Reply) -> dict[str, Any]:
    """How a call ended, as the API says it: ``result`` with the payload as the station wrote it, ``error`` with what went
    wrong, ``timeout``, or ``offline``."""
    answer: dict[str, Any] = {"message_id": reply.message_id}
    if reply.said is not None:
        answer |= {"outcome": "result", "payload": reply.said}
        if reply.outcome is Outcome.UNKNOWN:
            answer["error"] = {
                "code": reply.code,
                "description": "the answer breaks the schema; the station may have done it",
                "details": {},
            }
    elif reply.outcome is Outcome.TIMEOUT:
        answer |= {"outcome": "timeout", "error": _error(reply, "the station did not answer in time; it may have done it all the same")}
    elif reply.outcome is Outcome.OFFLINE or reply.code in ("ConnectionLost", "NeverSent"):
        answer |= {"outcome": "offline", "error": _error(reply, "the station is not connected, or the connection broke meanwhile")}
    else:
        answer |= {"outcome": "error", "error": _error(reply, "the station could not carry it out")}
    return answer


def _error(reply: Reply, otherwise: str) -> dict[str, Any]:
    return {"code": reply.code, "description": reply.description or otherwise, "details": dict(reply.details)}


def _had_no_effect(reply: Reply) -> bool:
    return reply.outcome is Outcome.OFFLINE or reply.refused or reply.code in NEVER_LEFT


def in_words(reply: Reply) -> str:
    """How it ended, in a word or two."""
    said = reply.payload.get("status")
    words = str(said) if isinstance(said, str) else reply.outcome.value
    return f"{words} ({reply.code})" if reply.code else words
