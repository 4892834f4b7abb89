"""Which charging profiles a station is believed to hold, from every call that left and how it was answered.

    SetChargingProfile on its way --leaves--> in flight, until it is noted
    SetChargingProfile, RemoteStart with a profile, ClearChargingProfile --note--> the book --held--> views, the composite schedule
    boot, begin and end of a transaction ----------------------------------^
    ReportChargingProfiles, NotifyChargingLimit of others' limits ---------^

What the controller's ladder put there is *ours*; what a person put there through a call of his own is not, even if it
bears our id: then ours is gone. A profile whose call was not answered may or may not be there: it stands in the book
unconfirmed, beside the one that it may have replaced. After a boot nothing is confirmed: profiles may have been forgotten.
What others have set at the station (an energy manager: EMS, the grid operator: SO) stands in it under their name, as the
station told it; only the station says when it is over.

One book a station; it lives as long as this process, and nothing in it is believed further than the meter allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from depot.registry import ConnectorSpec
from depot.smart_charging import Step
from depot.values import Outcome
from ocpp_server.composite import (
    Foreign,
    Period,
    Profile,
    Segment,
    Transaction,
    UnreadableProfile,
    composite,
    read_profile,
)
from ocpp_server.profiles import Purpose
from ocpp_server.profiles201 import PURPOSES, as_16
from ocpp_server.reply import Reply
from ocpp_server.skew import wire_time

OURS = "controller"
"""Who put it there: the depot's own setpoints and defaults."""
BY_CALL = "call"
"""Who put it there: a person, by a call of his own."""
MOST = 200
"""Profiles of one station that are remembered; the oldest go first."""
NOTIFIED = -1
"""The id under which a limit stands that a station only notified; those that it reports have their own."""
UNLIMITED_W = 100_000_000
SETS = {
    "SetChargingProfile": ("csChargingProfiles", "chargingProfile"),
    "RemoteStartTransaction": ("chargingProfile",),
    "RequestStartTransaction": ("chargingProfile",),
}
"""Calls that carry a profile, and where."""
CLEARS = "ClearChargingProfile"
UPDATES = "UpdateDynamicSchedule"
NOTED = frozenset(SETS) | {CLEARS, UPDATES}
"""Calls that the book wants to hear of."""
_PURPOSES: Mapping[str, Purpose | Foreign] = {
    **{theirs: Purpose(ours) for ours, theirs in PURPOSES.items()},
    **{purpose.value: purpose for purpose in (*Purpose, *Foreign)},
}


@dataclass(frozen=True, slots=True)
class Installed:
    """One profile. ``payload``: as it was sent, in the words of 1.6. ``confirmed``: the station accepted it, and has not
    booted since. ``said_at``: when it was sent (our time)."""

    profile: Profile
    payload: Mapping[str, Any]
    source: str
    confirmed: bool
    said_at: datetime

    @property
    def ours(self) -> bool:
        return self.source == OURS


class InstalledBook:
    """The profiles of one station. ``running``: the transaction of each connector, as the station knows it."""

    def __init__(self) -> None:
        self._held: tuple[Installed, ...] = ()
        self.running: dict[int, Transaction] = {}
        self._leaving: tuple[str, Mapping[str, Any]] | None = None
        """The call on the wire that was not answered yet, by its name; a link has one at a time."""

    # -- what happens -----------------------------------------------------------------------------------------------

    def leaves(self, action: str, payload: Mapping[str, Any]) -> None:
        """A call goes on the wire. The same object is given to :meth:`note` when it has ended."""
        self._leaving = action, payload

    def note(self, action: str, payload: Mapping[str, Any], reply: Reply, *, source: str, now: datetime) -> bool:
        """A call has ended. Returns whether what the book says has changed. A call about no profile, or about one that
        cannot be read, changes nothing."""
        before = self._held
        if self._leaving is not None and self._leaving[1] is payload:  # not by a call that an older link gives up late
            self._leaving = None
        if action == CLEARS:
            self._cleared(payload, reply)
        elif action == UPDATES:
            self._updated(payload, reply)
        elif action in SETS:
            self._set(action, payload, reply, source, now)
        return self._held != before

    def restarted(self) -> None:
        """It booted: no transaction runs, and what it held it may have forgotten."""
        ours = (entry for entry in self._held if entry.profile.purpose is not Purpose.TX and entry.source in (OURS, BY_CALL))
        self._held = tuple(replace(entry, confirmed=False) for entry in ours)
        self.running.clear()

    def began(self, connector: int, transaction: Transaction) -> None:
        """A transaction runs there. A TxProfile that came with its start holds for it; one of another does not any more."""
        before = self.running.get(connector)
        if before is not None and before.transaction_id != transaction.transaction_id:
            self.ended(before.transaction_id)
        self.running[connector] = transaction

    def ended(self, transaction_id: str) -> None:
        """The transaction is over, and its connector's TxProfiles with it (OCPP 1.6 §3.13.1)."""
        over = {number for number, transaction in self.running.items() if transaction.transaction_id == transaction_id}
        for number in over:
            del self.running[number]
        self._held = tuple(e for e in self._held if e.profile.purpose is not Purpose.TX or e.profile.connector not in over)

    def _updated(self, payload: Mapping[str, Any], reply: Reply) -> None:
        """2.1: the limits of a Dynamic profile are others from now on; whether they are, where nobody answered, is not known."""
        if reply.outcome.certain and reply.outcome is not Outcome.ACCEPTED:
            return
        confirmed = reply.outcome is Outcome.ACCEPTED
        held = []
        for entry in self._held:
            if entry.profile.profile_id == payload.get("chargingProfileId") and entry.payload.get("chargingProfileKind") == "Dynamic":
                rows = [{**row, **payload["scheduleUpdate"]} for row in entry.payload["chargingSchedule"]["chargingSchedulePeriod"]]
                told = {**entry.payload, "chargingSchedule": {**entry.payload["chargingSchedule"], "chargingSchedulePeriod": rows}}
                try:
                    entry = replace(entry, profile=read_profile(entry.profile.connector, told), payload=told, confirmed=confirmed)
                except UnreadableProfile:
                    entry = replace(entry, confirmed=False)
            held.append(entry)
        self._held = tuple(held)

    # -- what others have set there -----------------------------------------------------------------------------------

    def reported(self, evse: int, source: str, profiles: Iterable[Mapping[str, Any]], now: datetime) -> None:
        """Profiles that the station reports of somebody else than the depot; those that cannot be read are left out."""
        for given in profiles:
            try:
                payload = as_16(dict(given))
                profile = read_profile(evse, payload)
            except (UnreadableProfile, KeyError, IndexError, TypeError):
                continue
            kept = (e for e in self._held if (e.profile.connector, e.source, e.profile.profile_id) != (evse, source, profile.profile_id))
            self._held = (*kept, Installed(profile, payload, source, True, now))[-MOST:]

    def limited(self, evse: int, source: str, steps: Sequence[Step], until: datetime | None, now: datetime) -> None:
        """A limit that the station was given by somebody else, in its own time; without steps its level is not known."""
        self._held = tuple(e for e in self._held if (e.profile.connector, e.source, e.profile.profile_id) != (evse, source, NOTIFIED))
        start = steps[0].at if steps else now
        periods = tuple(Period((s.at - start).total_seconds(), float(UNLIMITED_W if s.level_w is None else s.level_w)) for s in steps)
        profile = Profile(
            evse, NOTIFIED, 0, Foreign.EXTERNAL, "W", periods or (Period(0, float(UNLIMITED_W)),), start=start, valid_to=until,
            vague="" if steps else f"{source} limits it, nobody knows how much",
        )  # fmt: skip
        payload = {
            "chargingProfileId": NOTIFIED, "stackLevel": 0, "chargingProfilePurpose": Foreign.EXTERNAL.value,
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "chargingRateUnit": "W", "startSchedule": wire_time(start),
                "chargingSchedulePeriod": [{"startPeriod": round(p.start_s), "limit": p.limit} for p in profile.periods],
            },
        }  # fmt: skip
        self._held = (*self._held, Installed(profile, payload, source, True, now))[-MOST:]

    def released(self, evse: int | None, source: str) -> None:
        """What ``source`` had set is over. ``evse`` None: everywhere."""
        self._held = tuple(e for e in self._held if not (e.source == source and evse in (None, e.profile.connector)))

    def _set(self, action: str, call: Mapping[str, Any], reply: Reply, source: str, now: datetime) -> None:
        if reply.outcome not in (Outcome.ACCEPTED, Outcome.TIMEOUT, Outcome.UNKNOWN):
            return
        carried = _carried(action, call)
        if carried is None:
            return
        profile, payload = carried
        number = profile.connector
        confirmed = reply.outcome is Outcome.ACCEPTED
        kept = (e for e in self._held if not profile.replaces(e.profile) or (e.confirmed and not confirmed))
        self._held = (*kept, Installed(profile, payload, source, confirmed, now))[-MOST:]
        if confirmed and profile.purpose is Purpose.TX and profile.transaction is not None and number not in self.running:
            self.running[number] = Transaction(profile.transaction, profile.start or now)  # it would have refused it otherwise

    def _cleared(self, payload: Mapping[str, Any], reply: Reply) -> None:
        """``Unknown`` means that the station holds none of these, so neither does the book."""
        gone = reply.outcome is Outcome.ACCEPTED or reply.payload.get("status") == "Unknown"
        if not gone and reply.outcome.certain:
            return
        if gone:
            self._held = tuple(e for e in self._held if not _matches(e.profile, payload))
        else:
            self._held = tuple(replace(e, confirmed=False) if _matches(e.profile, payload) else e for e in self._held)

    # -- what is believed -------------------------------------------------------------------------------------------

    def held(self, at: datetime) -> tuple[Installed, ...]:
        """What it holds at ``at`` (the station's time); what has run out is dropped."""
        ends = [(entry, entry.profile.ends_at()) for entry in self._held]
        self._held = tuple(entry for entry, end in ends if end is None or end > at)
        return self._held

    def default(self, connector: int) -> Installed | None:
        """Our default on the connector, where the station confirmed it."""
        found = [e for e in self._held if e.ours and e.confirmed and e.profile.connector == connector and _rests(e.profile)]
        return found[-1] if found else None

    def in_flight(self, connector: int) -> Profile | None:
        """The profile of a SetChargingProfile to this very connector that the station has not answered yet; it may follow it
        already."""
        if self._leaving is None or self._leaving[0] != "SetChargingProfile":
            return None
        carried = _carried(*self._leaving)
        return carried[0] if carried is not None and carried[0].connector == connector else None

    def certain(self, connector: int, at: datetime) -> bool:
        """Whether everything that concerns the connector is confirmed, so that a composite schedule can be compared."""
        return all(entry.confirmed for entry in self.held(at) if entry.profile.connector in (0, connector))

    def vague(self, connector: int, at: datetime) -> str:
        """Why a composite schedule of the connector cannot be calculated exactly; empty: it can."""
        concerned = (e.profile for e in self.held(at) if e.profile.connector in (0, connector) or connector == 0)
        return next((profile.vague for profile in concerned if profile.vague), "")

    def composite(
        self,
        connector: int,
        *,
        spec: ConnectorSpec,
        at: datetime,
        duration_s: float,
        unit: str,
        confirmed_only: bool = False,
        taken: Profile | None = None,
    ) -> list[Segment]:
        """What it should allow on the connector from ``at`` (the station's time) on; see :mod:`ocpp_server.composite`.
        ``confirmed_only``: without what it may have forgotten, or never taken. ``taken``: as if it had taken this one too."""
        profiles = [entry.profile for entry in self.held(at) if entry.confirmed or not confirmed_only]
        if taken is not None:
            profiles = [*(profile for profile in profiles if not taken.replaces(profile)), taken]
        return composite(
            profiles, connector=connector, spec=spec, now=at, duration_s=duration_s, unit=unit, transaction=self.running.get(connector)
        )


def _carried(action: str, call: Mapping[str, Any]) -> tuple[Profile, Mapping[str, Any]] | None:
    """The profile that a call of :data:`SETS` carries, and its payload in the words of 1.6; None: none that can be read."""
    given = next((call[name] for name in SETS[action] if name in call), None)
    number = call.get("connectorId", call.get("evseId"))
    if given is None or not isinstance(number, int):
        return None
    try:
        payload = as_16(dict(given)) if "id" in given else given
        return read_profile(number, payload), payload
    except (UnreadableProfile, KeyError, IndexError, TypeError):
        return None


def _rests(profile: Profile) -> bool:
    """Whether it is a default: it lies under what is live, without an end."""
    return profile.purpose is Purpose.TX_DEFAULT and profile.ends_at() is None and profile.duration_s is None


def _matches(profile: Profile, payload: Mapping[str, Any]) -> bool:
    """Whether a ClearChargingProfile of either version means this profile (§5.3): the id alone, or all that is given."""
    by_id = payload.get("id", payload.get("chargingProfileId"))
    if by_id is not None:
        return bool(profile.profile_id == by_id)
    criteria = payload.get("chargingProfileCriteria", payload)
    number = criteria.get("connectorId", criteria.get("evseId"))
    purpose, level = criteria.get("chargingProfilePurpose"), criteria.get("stackLevel")
    right_purpose = purpose is None or _PURPOSES.get(purpose) is profile.purpose
    return right_purpose and number in (None, profile.connector) and level in (None, profile.stack_level)
