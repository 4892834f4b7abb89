"""Stations and tokens as people manage them while the depot runs.

    AddStation   --check--> facts --> it counts, may connect, and is answered: at once
    AdmitStation, SetItemLimits, ChangeTokens --> facts, and the station hears of it

Only what adds to what is counted takes effect at once (decision 11): a station that is new, a connector more. Whatever
makes the limiter count less (a lower rating, another feeder, a station that goes) waits for the core's next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from msgspec import Struct

from controller.access_book import DepotAccess
from controller.loop import ControlLoop
from controller.room import Answered, Carrier, Viewer
from controller.secrets import new_station_key
from controller.site_changes import check, fingerprint, overlay
from controller.station_security import Doors
from controller.stations_view import LoggedMessage, MessagesView, StationsView, Stranger, TokensView, station_detail
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.readings import LinkReading
from depot.registry import DepotSpec, StationSpec
from depot.tokens import MAX_TOKENS
from depot.values import DepotError, InvalidValue
from ocpp_server.access import PROFILES, keyed_digest
from ocpp_server.frames import Message
from ocpp_server.version import Version

MOST_MESSAGES = 1000
PASSWORD_LENGTH = range(8, 41)
"""OCPP 2.0.1 BasicAuthPassword; the security whitepaper of 1.6 asks for 16 to 40."""


class Stations(Protocol):
    """What of the charger side is needed here."""

    def version(self, station_id: str) -> Version | None: ...
    def link(self, station_id: str) -> LinkReading | None: ...
    def violations(self, station_id: str) -> Mapping[str, int]: ...
    def messages(self, station_id: str) -> Sequence[Message]: ...
    def declare(self, spec: StationSpec) -> None: ...
    async def admitted(self, station_id: str) -> None: ...


class StationsDesk:
    """The room. ``base``: the site by the settings file. Passwords and security profiles are facts, from which the door
    (``book``) knows them; ``doors``: which profiles the settings leave open."""

    def __init__(
        self,
        yard: Yard,
        loop: ControlLoop,
        stations: Stations,
        *,
        base: DepotSpec,
        secret: bytes,
        book: DepotAccess,
        doors: Doors,
    ) -> None:
        self._yard = yard
        self._loop = loop
        self._stations = stations
        self._base = base
        self._secret = secret
        self._book = book
        self._doors = doors
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.AddStation: self._add,
            cmd.AdmitStation: self._admit,
            cmd.RetireStation: self._retire,
            cmd.SetItemLimits: self._set_item_limits,
            cmd.ChangeTokens: self._change_tokens,
        }
        self.views: Mapping[type[Struct], Viewer] = {
            StationsView: self._show_stations,
            TokensView: self._show_tokens,
            MessagesView: self._show_messages,
        }

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    # -- stations -----------------------------------------------------------------------------------------------

    async def _add(self, command: cmd.AddStation, cause: ev.Envelope) -> Answered:
        station, state = command.station, self._yard.state
        now = next((s for s in self._yard.spec.stations if s.station_id == station.station_id), None)
        spec = grown(self._yard.spec, station)
        in_file = any(s.station_id == station.station_id for s in self._base.stations)
        password, digest = self._password(command, known=now is not None, in_file=in_file)
        wanted = cmd.ChangeSite(
            command_id="", actor="", stations=(station,), key_hashes={} if in_file else {station.station_id: digest} if digest else {}
        )
        check(self._base, state.declared_stations, state.declared_feeders, wanted)
        _check_item_limits(command.item_limits)
        profile = self._profile(command)
        over = fingerprint(next((s for s in self._base.stations if s.station_id == station.station_id), None))
        declared = state.declared_stations.get(station.station_id)
        key_hash = "" if in_file else digest or (declared.key_hash if declared is not None else "")
        facts: list[ev.Event] = [ev.StationDeclared(station, over, key_hash)]
        if state.registration(station.station_id) is not command.registration or now is None:
            facts.append(ev.StationAdmitted(station.station_id, command.registration))
        if profile is not None:
            facts.append(ev.SecurityProfileSet(station.station_id, profile))
        if command.item_limits:
            facts.append(ev.StationItemLimitsSet(station.station_id, dict(command.item_limits)))
        await self._append(cause, facts)
        self._loop.grow(spec)
        self._stations.declare(station)
        if now is not None:
            await self._stations.admitted(station.station_id)
        answer = {"station_id": station.station_id} | ({"password": password} if password else {})
        return Answered(CommandStatus.DONE, f"{station.station_id} belongs to the depot from now on", answer)

    def _profile(self, command: cmd.AddStation) -> int | None:
        """The security profile that the station is given; None: it keeps the one that it has."""
        known = self._book.access(command.station_id)
        wanted = command.security_profile
        if wanted is None or (known is not None and known.profile == wanted):
            return None
        if known is not None:
            raise DepotError(f"{command.station_id} comes by security profile {known.profile}; move it with its own command")
        if wanted not in PROFILES:
            raise InvalidValue(f"security profile {wanted}: there are 0, 1, 2 and 3")
        closed = self._doors.against(wanted)
        if closed:
            raise DepotError(closed)
        return wanted

    def _password(self, command: cmd.AddStation, *, known: bool, in_file: bool) -> tuple[str, str]:
        """The new password, where one is made up here, and its keyed hash; "" where the station keeps what it has."""
        if in_file and command.password:
            raise DepotError(f"the password of {command.station_id} stands in the settings file; change it there, or rotate it")
        if command.password:
            if len(command.password) not in PASSWORD_LENGTH:
                raise InvalidValue(f"a station's password has {PASSWORD_LENGTH.start} to {PASSWORD_LENGTH.stop - 1} characters")
            return "", keyed_digest(self._secret, command.station_id, command.password)
        if known or in_file:
            return "", ""
        return new_station_key(command.station_id, self._secret)

    async def _admit(self, command: cmd.AdmitStation, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        self._need(command.station_id)
        if self._yard.state.registration(command.station_id) is command.registration:
            return CommandStatus.DONE, f"{command.station_id} is {command.registration} already"
        if command.registration is not ev.Registration.ACCEPTED:
            self._need_idle(command.station_id)
        await self._append(cause, [ev.StationAdmitted(command.station_id, command.registration)])
        self._loop.wake()
        await self._stations.admitted(command.station_id)
        return CommandStatus.DONE, f"{command.station_id} is {command.registration}"

    async def _retire(self, command: cmd.RetireStation, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        self._need(command.station_id)
        self._need_idle(command.station_id)
        of_file = next((s for s in self._base.stations if s.station_id == command.station_id), None)
        gone: ev.Event = ev.DeclarationWithdrawn(station_id=command.station_id)
        if of_file is not None:
            gone = ev.StationRetired(command.station_id, fingerprint(of_file))
        await self._append(cause, [ev.StationAdmitted(command.station_id, ev.Registration.REJECTED), gone])
        self._loop.wake()
        await self._stations.admitted(command.station_id)
        return CommandStatus.DONE, f"{command.station_id} is rejected, and counted no more from the controller's next start on"

    def _need_idle(self, station_id: str) -> None:
        running = [t for t in self._yard.state.transactions.values() if t.connector.station_id == station_id]
        if running:
            raise DepotError(f"a session runs on {running[0].connector}; stop it first, so that its end is heard")

    async def _set_item_limits(self, command: cmd.SetItemLimits, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        self._need(command.station_id)
        _check_item_limits(command.limits)
        await self._append(cause, [ev.StationItemLimitsSet(command.station_id, dict(command.limits))])
        return CommandStatus.DONE, f"{command.station_id} is sent at most so many items at once"

    def _need(self, station_id: str) -> None:
        if all(station.station_id != station_id for station in self._yard.spec.stations):
            raise DepotError(f"station {station_id} is not known: GET /api/v1/stations lists all")

    # -- tokens -------------------------------------------------------------------------------------------------

    async def _change_tokens(self, command: cmd.ChangeTokens, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        known = self._yard.state.id_tokens
        if len(known.keys() | {token.key for token in command.tokens}) > MAX_TOKENS:
            raise DepotError(f"a depot lists at most {MAX_TOKENS} id tokens")
        gone = set(command.remove)
        facts: list[ev.Event] = [ev.IdTokenRemoved(key) for key in sorted(gone & known.keys())]
        facts += [ev.IdTokenListed(token) for token in command.tokens if known.get(token.key) != token]
        await self._append(cause, facts)
        return CommandStatus.DONE, f"{len(facts)} changed" if facts else "nothing was to be changed"

    async def _append(self, cause: ev.Envelope, facts: Sequence[ev.Event]) -> None:
        now = self._yard.clock.now()
        if facts:
            await self._yard.journal.append([ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id) for fact in facts])

    # -- views --------------------------------------------------------------------------------------------------

    async def _show_stations(self, args: Mapping[str, str]) -> StationsView:
        yard = self._yard
        wanted = args.get("station_id")
        known = {station.station_id for station in yard.spec.stations}
        later = overlay(self._base, yard.state.declared_stations, yard.state.declared_feeders).spec
        stay = {station.station_id for station in later.stations}
        rows = [
            station_detail(
                yard,
                spec,
                violations=self._stations.violations(spec.station_id),
                version=self._version(spec.station_id),
                link=self._stations.link(spec.station_id),
                access=self._book.access(spec.station_id),
                retiring=spec.station_id not in stay,
            )
            for spec in sorted(yard.spec.stations, key=lambda s: s.station_id)
            if wanted is None or spec.station_id == wanted
        ]
        strangers = [
            Stranger(station_id=s.station_id, remote=s.remote)
            for s in yard.state.stations.values()
            if s.quarantined and s.station_id not in known and wanted in (None, s.station_id)
        ]
        return StationsView(at=yard.clock.now(), stations=rows, quarantine=strangers)

    def _version(self, station_id: str) -> str:
        link = self._yard.links.get(station_id)
        version = self._stations.version(station_id)
        return version.value if link is not None and version is not None else ""

    async def _show_tokens(self, args: Mapping[str, str]) -> TokensView:
        tokens = self._yard.state.id_tokens
        return TokensView(at=self._yard.clock.now(), tokens=[tokens[key] for key in sorted(tokens)])

    async def _show_messages(self, args: Mapping[str, str]) -> MessagesView:
        """``station_id``, ``action``, ``direction``, ``text`` (anywhere in it, small or large letters), ``limit``."""
        limit = min(MOST_MESSAGES, int(args.get("limit", "100")))
        text = args.get("text", "").casefold()
        stations = [s.station_id for s in self._yard.spec.stations if args.get("station_id", s.station_id) == s.station_id]
        found: list[LoggedMessage] = []
        searched = 0
        for station_id in stations:
            for m in self._stations.messages(station_id):
                searched += 1
                if args.get("action", m.action) != m.action or args.get("direction", m.direction) != m.direction:
                    continue
                if text and text not in f"{m.action} {m.message_id} {m.payload} {m.note}".casefold():
                    continue
                found.append(
                    LoggedMessage(
                        at=m.at, station_id=station_id, direction=m.direction, kind=m.kind.value, message_id=m.message_id,
                        action=m.action, payload=m.payload, note=m.note, cut=m.cut,
                    )
                )  # fmt: skip
            await asyncio.sleep(0)  # a whole depot's log is much to read in one go
        found.sort(key=lambda m: m.at, reverse=True)
        return MessagesView(at=self._yard.clock.now(), messages=found[:limit], searched=searched, more=len(found) > limit)


def grown(spec: DepotSpec, station: StationSpec) -> DepotSpec:
    """The depot with a station that is new or has more connectors. Raises :class:`~depot.values.DepotError` for a change of
    what is counted already."""
    known = next((s for s in spec.stations if s.station_id == station.station_id), None)
    if known is not None:
        here = {c.connector: c for c in station.connectors}
        if known.feeder_id != station.feeder_id or any(here.get(c.connector) != c for c in known.connectors):
            raise DepotError(
                f"{station.station_id} is counted otherwise now; a change of its feeder or its connectors takes effect at the next start: "
                "make it on the page Registry"
            )
    others = [s for s in spec.stations if s.station_id != station.station_id]
    return replace(spec, stations=(*others, station))


def _check_item_limits(limits: Mapping[str, int]) -> None:
    for name, value in limits.items():
        if name not in ev.ITEM_LIMITS:
            raise InvalidValue(f"{name!r} is no item limit; known are {', '.join(ev.ITEM_LIMITS)}")
        if not 1 <= value <= 10_000:
            raise InvalidValue(f"item limit {name} must be within 1 and 10,000, not {value}")
