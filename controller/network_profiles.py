"""The room of network connection profiles (OCPP 2.x): slots that stations are given, and the order in which they try them.

    SetNetworkProfile, SetNetworkPriority --may it cut the station off?--> call --Accepted--> fact

A station that follows a wrong address is gone until somebody drives there. So an address that does not lead to this depot
wants a word of its own (``may_cut_off``), and no profile ever asks less of a station's security than what counts now, also in
a call that a person makes up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.network_profiles import MAX_SLOT, NetworkProfile, OwnDoors, StationNetwork, without_userinfo
from depot.values import DepotError, InvalidValue, Outcome
from ocpp_server.network_profiles import (
    SET,
    get_priority,
    priority_said,
    priority_set_by,
    read_profile,
    security_wanted,
    set_network_profile,
    set_priority,
    wanted_priority,
)
from ocpp_server.reply import Reply
from ocpp_server.version import Version


class SlotView(Struct, frozen=True, kw_only=True):
    """One slot as the station accepted it. ``leads_here`` False: it goes to another central system, ``because`` so."""

    slot: int
    url: str
    security_profile: int
    interface: str
    message_timeout_s: int
    apn: str
    vpn: str
    identity: str
    leads_here: bool
    because: str


class StationNetworkView(Struct, frozen=True, kw_only=True):
    """``security_profile``: what counts now. ``priority``: as accepted last; ``station_priority``: as the station says now, null
    where it was not asked or gave no answer. Slots that were set before this depot knew the station are not listed."""

    station_id: str
    security_profile: int | None
    slots: list[SlotView]
    priority: list[int]
    station_priority: list[int] | None
    changed_at: datetime | None


class NetworksView(Struct, frozen=True, kw_only=True):
    """Stations of OCPP 2.x."""

    at: datetime
    stations: list[StationNetworkView]


class NetworkProfiles:
    """The room. ``security_profile(station_id)``: what counts of it now, None where nobody says."""

    def __init__(self, yard: Yard, calls: RawCalls, *, doors: OwnDoors, security_profile: Callable[[str], int | None]) -> None:
        self._yard = yard
        self._calls = calls
        self._doors = doors
        self._security_profile = security_profile
        calls.guards.append(self._check_by_hand)
        calls.heard.append(self._heard)
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.SetNetworkProfile: self._set,
            cmd.SetNetworkPriority: self._prefer,
        }
        self.views: Mapping[type[Struct], Viewer] = {NetworksView: self._show}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _set(self, command: cmd.SetNetworkProfile, cause: ev.Envelope) -> Answered:
        version, profile = self._version(command.station_id), command.profile
        if not 0 <= command.slot <= MAX_SLOT:
            raise InvalidValue(f"a slot is within 0 and {MAX_SLOT}; the station says which it has (NetworkConfigurationPriority)")
        if without_userinfo(profile.url) != profile.url:
            raise InvalidValue("an address holds no user and password: the station keeps its own")
        if version is Version.V201 and (profile.identity or command.password or profile.interface == "Any"):
            raise InvalidValue("identity, password and the interface Any belong to OCPP 2.1; this station speaks 2.0.1")
        self._check_security(command.station_id, profile.security_profile)
        away = self._doors.against(profile.url, profile.security_profile)
        if away and not command.may_cut_off:
            raise DepotError(
                f"a station that follows this address would be lost to this depot: {away}. may_cut_off says that this is wanted"
            )
        action, payload = set_network_profile(
            version, command.slot, profile, apn=command.apn, vpn=command.vpn, password=command.password
        )  # fmt: skip
        assert isinstance(payload, dict)
        return self._answered(
            command.station_id, await self._calls.send(command.station_id, action, payload, cause), f"slot {command.slot}"
        )

    async def _prefer(self, command: cmd.SetNetworkPriority, cause: ev.Envelope) -> Answered:
        self._version(command.station_id)
        if not command.priority or len(set(command.priority)) != len(command.priority):
            raise InvalidValue("name each slot once, the first to be tried first")
        if not all(0 <= slot <= MAX_SLOT for slot in command.priority):
            raise InvalidValue(f"a slot is within 0 and {MAX_SLOT}")
        away = self._no_way_back(command.station_id, command.priority)
        if away and not command.may_cut_off:
            raise DepotError(f"a station that follows this order could be lost to this depot: {away}. may_cut_off says that this is wanted")
        action, payload = set_priority(command.priority)
        assert isinstance(payload, dict)
        reply = await self._calls.send(command.station_id, action, payload, cause)
        return self._answered(command.station_id, reply, "priority", taken=priority_set_by(payload, reply.payload) is not None)

    def _no_way_back(self, station_id: str, priority: tuple[int, ...]) -> str:
        """Why nothing is known in this order by which the station would come here; "" where something is."""
        known = self._network(station_id).slots
        reasons = []
        for slot in priority:
            profile = known.get(slot)
            away = f"slot {slot} is not known" if profile is None else self._doors.against(profile.url, profile.security_profile)
            if not away:
                return ""
            reasons.append(away)
        return "; ".join(reasons)

    def _answered(self, station_id: str, reply: Reply, what: str, *, taken: bool | None = None) -> Answered:
        said = as_answer(reply)
        ok = reply.outcome is Outcome.ACCEPTED if taken is None else taken
        status = reply.payload.get("status")
        for row in reply.payload.get("setVariableResult", ()):
            status = row["attributeStatus"]
        answer: dict[str, Any] = {"station_id": station_id, "state": status, "outcome": said["outcome"]}
        answer |= {"error": said["error"]} if "error" in said else {}
        words = in_words(reply) if status is None else status
        return Answered(CommandStatus.DONE if ok else CommandStatus.FAILED, f"{station_id}, {what}: {words}", answer)

    # -- what holds for every call ------------------------------------------------------------------------------

    def _check_security(self, station_id: str, wanted: int) -> None:
        now = self._security_profile(station_id)
        if now is not None and wanted < now:
            raise DepotError(f"{station_id} comes by security profile {now}: a network profile with {wanted} would ask less of it")

    def _check_by_hand(self, station_id: str, action: str, payload: Mapping[str, Any]) -> None:
        """A call that a person makes up; checked against its schema only after this."""
        wanted = payload.get("connectionData")
        if action == SET and isinstance(wanted, dict) and isinstance(wanted.get("securityProfile"), int):
            self._check_security(station_id, wanted["securityProfile"])
        if action == "SetVariables":
            self._check_variables(station_id, payload)

    def _check_variables(self, station_id: str, payload: Mapping[str, Any]) -> None:
        try:
            priority, profiles = wanted_priority(payload), security_wanted(payload)
        except (KeyError, TypeError, AttributeError):
            return  # it breaks its schema, and is told so
        for wanted in profiles:
            self._check_security(station_id, wanted)
        known = self._network(station_id).slots
        away = [slot for slot in priority or () if slot in known and self._doors.against(known[slot].url, known[slot].security_profile)]
        if priority and len(away) == len(priority):
            raise DepotError(f"each of these slots leads away from this depot ({away}): PUT /api/v1/network-profiles takes may_cut_off")

    async def _heard(self, station_id: str, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        """What a station accepted is noted, whoever made up the call."""
        if reply.outcome is not Outcome.ACCEPTED:
            return
        fact: ev.Event | None = None
        if action == SET:
            slot, profile = read_profile(payload)
            fact = ev.NetworkProfileSet(station_id, slot, profile)
        elif action == "SetVariables":
            priority = priority_set_by(payload, reply.payload)
            fact = None if priority is None else ev.NetworkPrioritySet(station_id, priority)
        if fact is not None:
            await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now())])

    # -- views --------------------------------------------------------------------------------------------------

    async def _show(self, args: Mapping[str, str]) -> NetworksView | None:
        """``station_id``: only this one; ``refresh``: ask it for its priority now."""
        wanted = args.get("station_id", "")
        if wanted and not self._calls.knows(wanted):
            return None
        said: tuple[int, ...] | None = None
        if wanted and args.get("refresh"):
            self._version(wanted)
            action, payload = get_priority()
            assert isinstance(payload, dict)
            said = priority_said((await self._calls.ask(wanted, action, payload)).payload)
        ids = [wanted] if wanted else [s.station_id for s in self._yard.spec.stations]
        shown = [self._station(i) for i in ids if wanted or self._calls.version(i) is not Version.V16]
        if said is not None:
            shown = [msgspec.structs.replace(view, station_priority=list(said)) for view in shown]
        return NetworksView(at=self._yard.clock.now(), stations=shown)

    def _station(self, station_id: str) -> StationNetworkView:
        known = self._network(station_id)
        return StationNetworkView(
            station_id=station_id, security_profile=self._security_profile(station_id),
            slots=[self._slot(slot, profile) for slot, profile in sorted(known.slots.items())], priority=list(known.priority),
            station_priority=None, changed_at=known.changed_at,
        )  # fmt: skip

    def _slot(self, slot: int, p: NetworkProfile) -> SlotView:
        away = self._doors.against(p.url, p.security_profile)
        return SlotView(
            slot=slot, url=p.url, security_profile=p.security_profile, interface=p.interface, message_timeout_s=p.message_timeout_s,
            apn=p.apn, vpn=p.vpn, identity=p.identity, leads_here=not away, because=away,
        )  # fmt: skip

    def _network(self, station_id: str) -> StationNetwork:
        return self._yard.state.networks.get(station_id) or StationNetwork()

    def _version(self, station_id: str) -> Version:
        version = self._calls.version(station_id)
        if version is Version.V16:
            raise InvalidValue(f"{station_id} speaks OCPP 1.6, which has no network profiles")
        return version
