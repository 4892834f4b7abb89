"""GetChargingProfiles and what follows it: the parts of a report, joined under the request that asked for them (2.x, K09).

    Criteria --GetChargingProfiles--> status; ReportChargingProfiles × n (tbc) --joined--> ProfileReport

A report that did not come to its end in time, or that was too long, is *incomplete*: what came of it is shown as that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from depot.values import Outcome
from ocpp_server.link import Link, Priority
from ocpp_server.reply import Reply
from ocpp_server.session import Payload

MOST = 512
"""Profiles of one report; what comes beyond is dropped."""
LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Which profiles: those with these ids, or those to which all of the rest applies. ``evse`` 0: of the whole station, None: of
    every place. Purposes and sources in the words of the station's version."""

    evse: int | None = None
    ids: tuple[int, ...] = ()
    purpose: str | None = None
    stack_level: int | None = None
    sources: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for but a place: the norm wants more (K09.FR.03)."""
        return not (self.ids or self.purpose or self.stack_level is not None or self.sources)

    def payload(self, request_id: int) -> Payload:
        """The request."""
        wanted: Payload = {
            "chargingProfileId": list(self.ids) or None,
            "chargingProfilePurpose": self.purpose,
            "stackLevel": self.stack_level,
            "chargingLimitSource": list(self.sources) or None,
        }
        made: Payload = {"requestId": request_id, "chargingProfile": {k: v for k, v in wanted.items() if v is not None}}
        return made if self.evse is None else {**made, "evseId": self.evse}


class Reported(NamedTuple):
    """One profile as the station holds it. ``source``: who set it, EMS, SO, CSO (we) …"""

    evse: int
    source: str
    profile: Payload


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """``reply``: how the request ended. ``complete``: all that the station meant to say has come; a station that holds no such
    profile says all at once."""

    reply: Reply
    profiles: tuple[Reported, ...] = ()
    complete: bool = False


@dataclass(slots=True)
class _Report:
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    profiles: list[Reported] = field(default_factory=list)
    dropped: bool = False


class ProfileReports:
    """One station's reports that somebody waits for; others are answered and forgotten. ``first``: request ids begin beyond it,
    so that what an earlier process asked for is not taken for ours."""

    def __init__(self, first: int = 0) -> None:
        self._asked = first
        self._open: dict[int, _Report] = {}

    def ask(self) -> int:
        """A new request id."""
        self._asked = self._asked % LARGEST_ID + 1
        self._open[self._asked] = _Report()
        return self._asked

    def add(self, req: Payload) -> None:
        """A part has come; ``tbc`` says whether more follows."""
        report = self._open.get(req["requestId"])
        if report is not None:
            room = MOST - len(report.profiles)
            report.profiles += [Reported(req["evseId"], req["chargingLimitSource"], profile) for profile in req["chargingProfile"][:room]]
            report.dropped = report.dropped or len(req["chargingProfile"]) > room
            if not req.get("tbc", False):
                report.ended.set()

    async def collect(self, request_id: int, *, within_s: float) -> tuple[Sequence[Reported], bool]:
        """What has come when the report has ended, or after that time (loop time), and whether it is all."""
        report = self._open[request_id]
        try:
            async with asyncio.timeout(within_s):
                await report.ended.wait()
        except TimeoutError:
            pass
        return report.profiles, report.ended.is_set() and not report.dropped

    def forget(self, request_id: int) -> None:
        self._open.pop(request_id, None)


async def ask_profiles(
    link: Link, reports: ProfileReports, criteria: Criteria, *, within_s: float, priority: Priority = Priority.NORMAL
) -> ProfileReport:
    """GetChargingProfiles and the report that follows."""
    request_id = reports.ask()
    try:
        reply = await link.call("GetChargingProfiles", criteria.payload(request_id), priority=priority)
        if reply.payload.get("status") == "NoProfiles":
            return ProfileReport(reply, complete=True)
        if reply.outcome is not Outcome.ACCEPTED:
            return ProfileReport(reply)
        profiles, complete = await reports.collect(request_id, within_s=within_s)
        return ProfileReport(reply, tuple(profiles), complete)
    finally:
        reports.forget(request_id)
