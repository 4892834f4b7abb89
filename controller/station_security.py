"""The room of security profiles and keys: moves stations from one profile to the next, changes their keys, and notes what
matters for security.

    SetSecurityProfile, RotateStationKey --> fact (both count) --> call --> the station comes by it --> fact (only that counts)
    SecurityEventNotification, refused at the door, TLS that failed --SecurityLog--> facts, alarms

The fact that opens the new way is on the disk before the station hears of it: whatever happens next, it can come in. A
station that says no takes the offer back; one that says nothing clear may come either way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from msgspec import Struct

from controller.access_book import DepotAccess
from controller.alarms import Condition
from controller.profile_upgrade import Caller, Moved, move
from controller.room import Answered, Carrier, Viewer
from controller.secrets import new_station_key
from controller.security_log import DOOR, REFUSED_FOR, STATION, SecurityLog, event_conditions
from controller.security_view import SecurityEventsView, SecurityView, events_view, security_view
from controller.yard import Yard
from depot import events as ev
from depot.commands import Command, CommandStatus, RotateStationKey, SetSecurityProfile
from depot.network_profiles import NetworkProfile
from depot.readings import LinkReading
from depot.values import DepotError, InvalidValue, Outcome, UnknownThing
from ocpp_server import Reply, Version
from ocpp_server.access import PROFILES, Access, Admitted, Reason, Refused, spelled
from ocpp_server.dialect import Call
from ocpp_server.schemas import Payload
from ocpp_server.security_messages import change_key, changed_by, raise_profile

_TOLD: Final = frozenset(
    {"tls_version", "tls_cipher", "certificate_not_in_date", "certificate_foreign", "certificate_invalid", "refused_ours"}
)
"""Failed TLS handshakes that are worth a fact; the others are what every open port sees, and only counted."""
_UNCLEAR: Final = frozenset({Outcome.TIMEOUT, Outcome.UNKNOWN})


class Stations(Protocol):
    """What of the charger side is needed here; the central system."""

    def link(self, station_id: str) -> LinkReading | None: ...
    def version(self, station_id: str) -> Version | None: ...
    async def call(self, station_id: str, action: str, payload: Payload) -> Reply: ...
    def cut(self, station_id: str, why: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Doors:
    """What the settings leave open. ``tls``: there is a TLS port; ``foreign``: certificates of other authorities are trusted.
    The addresses are those that stations are told, without their id."""

    plain: bool = True
    tls: bool = False
    unlocked: bool = False
    foreign: bool = False
    plain_url: str = ""
    tls_url: str = ""

    def url(self, profile: int) -> str:
        """How stations reach the depot by this profile; "" where no name is known."""
        return self.tls_url if profile >= 2 else self.plain_url

    def against(self, profile: int) -> str:
        """Why no station can come by this profile; "" where it can."""
        if profile == 0 and not self.unlocked:
            return "profile 0 lets anybody in as this station; ocpp.allow_open in the settings allows that"
        if profile < 2 and not self.plain:
            return f"ocpp.plain is off in the settings: nobody can come by profile {profile}"
        if profile >= 2 and not self.tls:
            return f"profile {profile} needs the TLS port: the section ocpp.tls in the settings"
        return ""


class StationSecurity:
    """The room. ``settle``: says how a command ended that was accepted before. ``stations`` is set once they are there."""

    kinds: Final = frozenset({"security_event", "station_refused"})

    def __init__(
        self, yard: Yard, book: DepotAccess, *, secret: bytes, doors: Doors, settle: Callable[[str, CommandStatus, str], Awaitable[None]]
    ) -> None:
        self._yard = yard
        self._book = book
        self._secret = secret
        self._doors = doors
        self._settle = settle
        self.stations: Stations | None = None
        self.calls: Caller | None = None
        self.log = SecurityLog()
        self._waiting: dict[tuple[type[Command], str], str] = {}
        """Commands that end when the station comes, by kind and station."""
        self._refused_at: dict[str, tuple[datetime, Reason]] = {}
        self._unrecorded: deque[ev.NewEvent] = deque(maxlen=1000)
        self._news = asyncio.Event()
        book.on_refused, book.on_tls_failed, book.on_admitted = self._refused, self._tls_failed, self._admitted
        self.commands: Mapping[type[Command], Carrier] = {SetSecurityProfile: self._set_profile, RotateStationKey: self._rotate_key}
        self.views: Mapping[type[Struct], Viewer] = {SecurityView: self._show, SecurityEventsView: self._show_events}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._record_what_came(), name="security: who came how")
            group.create_task(self._record_what_was_noticed(), name="security: noticed")

    # -- profiles -----------------------------------------------------------------------------------------------

    async def _set_profile(self, command: SetSecurityProfile, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        station_id, wanted = command.station_id, command.profile
        access = self._access(station_id)
        against = self._against(access, wanted)
        if against:
            return CommandStatus.REFUSED, against
        if wanted == access.profile:
            if access.upgrade is None:
                return CommandStatus.DONE, f"{station_id} comes by profile {wanted} already"
            await self._append(cause, ev.SecurityUpgradeWithdrawn(station_id, "ordered"))
            return CommandStatus.DONE, f"{station_id} stays at profile {wanted}"
        if wanted < access.profile:
            await self._append(cause, ev.SecurityProfileSet(station_id, wanted))
            return CommandStatus.DONE, (
                f"{station_id} may come by profile {wanted} from now on, and by no other: set it at the station itself, "
                "which takes no lower profile over the link"
            )
        if command.by_hand:
            await self._append(cause, ev.SecurityUpgradeOrdered(station_id, wanted))
            self._waiting[(SetSecurityProfile, station_id)] = command.command_id
            return CommandStatus.ACCEPTED, f"waits for {station_id} to come by profile {wanted}; until then profile {access.profile} counts"
        version = self._version(station_id)
        if version is not Version.V16:
            return await self._move(command, cause, version, access.profile)
        await self._append(cause, ev.SecurityUpgradeOrdered(station_id, wanted))
        self._waiting[(SetSecurityProfile, station_id)] = command.command_id
        reply = await self._call(station_id, raise_profile(wanted))
        if self._access(station_id).profile == wanted:
            self._waiting.pop((SetSecurityProfile, station_id), None)
            return CommandStatus.DONE, f"{station_id} came by profile {wanted}; no other counts any more"
        if reply.outcome is Outcome.ACCEPTED:
            return CommandStatus.ACCEPTED, f"{station_id} has taken it over{_reboot(reply)}; profile {wanted} counts once it comes by it"
        if reply.outcome in _UNCLEAR:
            return CommandStatus.ACCEPTED, f"{station_id} gave no clear answer: it may come by profile {access.profile} or {wanted}"
        self._waiting.pop((SetSecurityProfile, station_id), None)
        await self._append(cause, ev.SecurityUpgradeWithdrawn(station_id, reply.outcome.value))
        return CommandStatus.REFUSED, f"{station_id} stays at profile {access.profile}: {_said(reply)}"

    async def _move(self, command: SetSecurityProfile, cause: ev.Envelope, version: Version, before: int) -> tuple[CommandStatus, str]:
        """A05: by a network profile that the station tries first after its next restart."""
        station_id, wanted, url = command.station_id, command.profile, self._doors.url(command.profile)
        if not url or self.calls is None:
            return CommandStatus.REFUSED, "no name is set under which stations reach this depot (ocpp.tls.names): order it by hand"
        await self._append(cause, ev.SecurityUpgradeOrdered(station_id, wanted))
        self._waiting[(SetSecurityProfile, station_id)] = command.command_id
        try:
            moved = await move(self.calls, station_id, version, NetworkProfile(url, wanted, command.interface), cause)
        except DepotError as error:
            moved = Moved(Outcome.REFUSED, str(error))
        if self._access(station_id).profile == wanted:
            self._waiting.pop((SetSecurityProfile, station_id), None)
            return CommandStatus.DONE, f"{station_id} came by profile {wanted}; no other counts any more"
        if moved.outcome is Outcome.ACCEPTED:
            when = moved.said or "it restarts when it is idle"
            return CommandStatus.ACCEPTED, f"{station_id} has taken it over ({when}); profile {wanted} counts once it comes by it"
        if moved.outcome in _UNCLEAR:
            told = f"{station_id} gave no clear answer ({moved.said}): it may come by profile {before} or {wanted}"
            return CommandStatus.ACCEPTED, told
        self._waiting.pop((SetSecurityProfile, station_id), None)
        await self._append(cause, ev.SecurityUpgradeWithdrawn(station_id, moved.outcome.value))
        return CommandStatus.REFUSED, f"{station_id} stays at profile {before}: {moved.said}"

    def _against(self, access: Access, wanted: int) -> str:
        """Why a station can't be moved to a profile; "" where it can."""
        if wanted not in PROFILES:
            raise InvalidValue(f"security profile {wanted}: there are 0, 1, 2 and 3")
        who, doors, base = access.station_id, self._doors, self._book.base(access.station_id)
        assert base is not None
        if wanted < base.profile:
            return f"the settings want profile {base.profile} or more of {who}; only they can say less"
        closed = doors.against(wanted)
        if closed:
            return closed
        if wanted in (1, 2) and not access.keys:
            return f"{who} has no key: rotate it by hand first"
        if wanted == 3 and not doors.foreign:
            now = self._yard.clock.now()
            if not any(c.counts(now) for c in self._yard.state.security.certificates_of(who)):
                return f"{who} has no certificate of this depot: have one signed first (renew certificate)"
        return ""

    # -- keys ---------------------------------------------------------------------------------------------------

    async def _rotate_key(self, command: RotateStationKey, cause: ev.Envelope) -> tuple[CommandStatus, str] | Answered:
        station_id = command.station_id
        self._access(station_id)
        offered_at = self._book.facts(station_id).offered_at
        if not command.by_hand:
            if self._book.facts(station_id).offered:
                since = f"since {offered_at:%Y-%m-%d %H:%M} UTC " if offered_at is not None else ""
                return CommandStatus.REFUSED, f"a key is on its way to {station_id} {since}already; order another by hand if it got lost"
            version = self._version(station_id)
        password, digest = new_station_key(station_id, self._secret)
        await self._append(cause, ev.StationKeyOffered(station_id, digest))
        self._waiting[(RotateStationKey, station_id)] = command.command_id
        if command.by_hand:
            told = "the key is shown only now; it counts once the station comes with it, and the one before counts until then"
            return Answered(CommandStatus.ACCEPTED, told, {"station_id": station_id, "password": password})
        reply = await self._call(station_id, change_key(version, password))
        outcome = _of_variable(reply) if version is not Version.V16 else reply.outcome
        if not self._book.facts(station_id).offered:
            self._waiting.pop((RotateStationKey, station_id), None)
            return CommandStatus.DONE, f"{station_id} came with its new key; the one before counts no more"
        if outcome is Outcome.ACCEPTED:
            return CommandStatus.ACCEPTED, f"{station_id} has taken it over{_reboot(reply)}; the key before counts until it comes with it"
        if outcome in _UNCLEAR:
            return CommandStatus.ACCEPTED, f"{station_id} gave no clear answer: both keys count until it comes with the new one"
        self._waiting.pop((RotateStationKey, station_id), None)
        await self._append(cause, ev.StationKeyOfferWithdrawn(station_id))
        return CommandStatus.REFUSED, f"{station_id} keeps its key: {_said(reply)}"

    async def heard(self, station_id: str, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        """A person sent a call that they made up, and the station may have carried it out: what it changed of key or profile
        counts, so that nobody locks a station out by hand."""
        for name, value in changed_by(action, payload):
            if name == "SecurityProfile" and value.isdecimal():
                self._book.taken_over(station_id, profile=int(value[:2]))
            elif name in ("AuthorizationKey", "BasicAuthPassword") and value:
                self._book.taken_over(station_id, digest=self._book.digest(station_id, spelled(value)))

    # -- what is noticed ----------------------------------------------------------------------------------------

    async def noticed(self, station_id: str, kind: str, detail: str, reported_at: datetime | None) -> None:
        """A station's SecurityEventNotification: see :class:`depot.ports.SecurityDesk`."""
        now = self._yard.clock.now()
        fact = self.log.notice(now, source=STATION, station_id=station_id, kind=kind, detail=detail)
        if fact is not None:
            await self._yard.journal.append([ev.NewEvent(fact, now, reported_at=reported_at)])

    def note(self, station_id: str, kind: str, *, detail: str = "", remote: str = "") -> None:
        """The depot itself noticed something; it is recorded as soon as the journal can."""
        now = self._yard.clock.now()
        fact = self.log.notice(now, source=DOOR, station_id=station_id, kind=kind, detail=detail, remote=remote)
        if fact is not None:
            self._unrecorded.append(ev.NewEvent(fact, now))
            self._news.set()

    def _refused(self, refused: Refused, remote: str) -> None:
        if refused.reason is Reason.UNKNOWN_STATION:
            self.log.counted[(DOOR, refused.reason.value)] += 1  # its id may be made up: the quarantine names it once
            return
        self._refused_at[refused.station_id] = (self._yard.clock.now(), refused.reason)
        self.note(refused.station_id, refused.reason.value, remote=remote)

    def _tls_failed(self, reason: str, remote: str) -> None:
        if reason in _TOLD:
            self.note("", reason, remote=remote)
        else:
            self.log.counted[(DOOR, reason)] += 1

    def _admitted(self, admitted: Admitted) -> None:
        self._refused_at.pop(admitted.station_id, None)

    def conditions(self, now: datetime) -> Iterable[Condition]:
        """See :class:`controller.alarms.Conditions`."""
        found = event_conditions(self._yard.state.security.noticed, now)
        for station_id, (at, reason) in self._refused_at.items():
            if now - at < REFUSED_FOR and not self._linked(station_id):
                found.append(Condition("station_refused", station_id, f"{station_id} is not let in: {reason.value.replace('_', ' ')}."))
        return found

    # -- views --------------------------------------------------------------------------------------------------

    async def _show(self, args: Mapping[str, str]) -> SecurityView:
        wanted = args.get("station", "")
        stations = [s.station_id for s in self._yard.spec.stations if wanted in ("", s.station_id)]
        return security_view(stations, self._book, self._yard.state.security, self.log.counted, self._yard.clock.now())

    async def _show_events(self, args: Mapping[str, str]) -> SecurityEventsView:
        limit, before = int(args.get("limit", "100")), int(args.get("before", "0"))
        return events_view(self._yard.state.security.noticed, station=args.get("station", ""), limit=limit, before=before)

    # -- within -------------------------------------------------------------------------------------------------

    def _access(self, station_id: str) -> Access:
        access = self._book.access(station_id)
        if access is None:
            raise UnknownThing(f"station {station_id} is not in the registry")
        return access

    def _linked(self, station_id: str) -> bool:
        link = self.stations.link(station_id) if self.stations is not None else None
        return link is not None and link.connected

    def _version(self, station_id: str) -> Version:
        """Of a station that is connected. Raises :class:`InvalidValue` for one that is not."""
        version = self.stations.version(station_id) if self.stations is not None else None
        if version is None or not self._linked(station_id):
            raise InvalidValue(f"{station_id} is offline: wait until it is back, or order it by hand")
        return version

    async def _call(self, station_id: str, call: Call) -> Reply:
        assert self.stations is not None
        action, payload = call
        assert isinstance(payload, dict)
        return await self.stations.call(station_id, action, payload)

    async def _append(self, cause: ev.Envelope, *facts: ev.Event) -> None:
        now = self._yard.clock.now()
        await self._yard.journal.append([ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id) for fact in facts])

    async def _record_what_came(self) -> None:
        while True:
            station_id, facts = await self._book.to_record()
            now = self._yard.clock.now()
            await self._yard.journal.append([ev.NewEvent(fact, now) for fact in facts])
            self._book.recorded()
            await self._settle_waiting(station_id, facts)

    async def _settle_waiting(self, station_id: str, facts: Sequence[ev.Event]) -> None:
        for fact in facts:
            kind, told = RotateStationKey, f"{station_id} came with its new key; the one before counts no more"
            if isinstance(fact, ev.SecurityProfileSet):
                kind, told = SetSecurityProfile, f"{station_id} came by profile {fact.profile}; no other counts any more"  # type: ignore[assignment]
            waiting = self._waiting.pop((kind, station_id), None)
            if waiting is not None:
                await self._settle(waiting, CommandStatus.DONE, told)

    async def _record_what_was_noticed(self) -> None:
        while True:
            self._news.clear()
            while self._unrecorded:
                await self._yard.journal.append([self._unrecorded[0]])
                with contextlib.suppress(IndexError):
                    self._unrecorded.popleft()
            await self._news.wait()


def _reboot(reply: Reply) -> str:
    return ", and wants a reboot for it" if reply.payload.get("status") == "RebootRequired" else ""


def _of_variable(reply: Reply) -> Outcome:
    """What a 2.0.1 station said of the one variable that it was to set."""
    results = reply.payload.get("setVariableResult") or [{}]
    if reply.outcome is not Outcome.ACCEPTED:
        return reply.outcome
    return Outcome.ACCEPTED if results[0].get("attributeStatus") in ("Accepted", "RebootRequired") else Outcome.REFUSED


def _said(reply: Reply) -> str:
    status = reply.payload.get("status") or next((r.get("attributeStatus") for r in reply.payload.get("setVariableResult", ())), None)
    return f"it answered {status}" if status else f"the call ended with {reply.code or reply.outcome.value}"
