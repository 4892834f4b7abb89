"""Which charging profiles a station is believed to hold, from every call that left and how it was answered.

    SetChargingProfile, RemoteStart with a profile, ClearChargingProfile --note--> the book --held--> views, the composite schedule
    boot, begin and end of a transaction ----------------------------------^

What the controller's ladder put there is *ours*; what a person put there through a call of his own is not, even if it
bears our id: then ours is gone. A profile whose call was not answered may or may not be there: it stands in the book
unconfirmed, beside the one that it may have replaced. After a boot nothing is confirmed: profiles may have been forgotten.
One book a station; it lives as long as this process, and nothing in it is believed further than the meter allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from depot.registry import ConnectorSpec
from depot.values import Outcome
from ocpp_server.composite import Profile, Segment, Transaction, UnreadableProfile, composite, read_profile
from ocpp_server.profiles import Purpose
from ocpp_server.profiles201 import PURPOSES, as_16
from ocpp_server.reply import Reply

OURS = "controller"
"""Who put it there: the depot's own setpoints and defaults."""
BY_CALL = "call"
"""Who put it there: a person, by a call of his own."""
MOST = 200
"""Profiles of one station that are remembered; the oldest go first."""
SETS = {
    "SetChargingProfile": ("csChargingProfiles", "chargingProfile"),
    "RemoteStartTransaction": ("chargingProfile",),
    "RequestStartTransaction": ("chargingProfile",),
}
"""Calls that carry a profile, and where."""
CLEARS = "ClearChargingProfile"
NOTED = frozenset(SETS) | {CLEARS}
"""Calls that the book wants to hear of."""
_PURPOSES = {theirs: Purpose(ours) for ours, theirs in PURPOSES.items()} | {purpose.value: purpose for purpose in Purpose}


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

    # -- what happens -----------------------------------------------------------------------------------------------

    def note(self, action: str, payload: Mapping[str, Any], reply: Reply, *, source: str, now: datetime) -> bool:
        """A call has ended. Returns whether what the book says has changed. A call about no profile, or about one that
        cannot be read, changes nothing."""
        before = self._held
        if action == CLEARS:
            self._cleared(payload, reply)
        elif action in SETS:
            given = next((payload[name] for name in SETS[action] if name in payload), None)
            number = payload.get("connectorId", payload.get("evseId"))
            if given is not None and isinstance(number, int):
                self._set(number, given, reply, source, now)
        return self._held != before

    def restarted(self) -> None:
        """It booted: no transaction runs, and what it held it may have forgotten."""
        self._held = tuple(replace(entry, confirmed=False) for entry in self._held if entry.profile.purpose is not Purpose.TX)
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

    def _set(self, number: int, given: Mapping[str, Any], reply: Reply, source: str, now: datetime) -> None:
        if reply.outcome not in (Outcome.ACCEPTED, Outcome.TIMEOUT, Outcome.UNKNOWN):
            return
        try:
            payload = as_16(dict(given)) if "id" in given else given
            profile = read_profile(number, payload)
        except (UnreadableProfile, KeyError, IndexError, TypeError):
            return
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

    def certain(self, connector: int, at: datetime) -> bool:
        """Whether everything that concerns the connector is confirmed, so that a composite schedule can be compared."""
        return all(entry.confirmed for entry in self.held(at) if entry.profile.connector in (0, connector))

    def composite(
        self, connector: int, *, spec: ConnectorSpec, at: datetime, duration_s: float, unit: str, ours_only: bool = False
    ) -> list[Segment]:
        """What it should allow on the connector from ``at`` (the station's time) on; see :mod:`ocpp_server.composite`."""
        profiles: Iterable[Profile] = (entry.profile for entry in self.held(at) if entry.ours or not ours_only)
        return composite(
            profiles, connector=connector, spec=spec, now=at, duration_s=duration_s, unit=unit, transaction=self.running.get(connector)
        )


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
