"""ReportChargingProfiles: the parts of a report, joined under the request that asked for them (OCPP 2.0.1)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from depot.values import Outcome
from ocpp_server.link import Link, Priority
from ocpp_server.session import Payload

MOST = 512
"""Profiles of one report; what comes beyond is dropped."""


@dataclass(slots=True)
class _Report:
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    profiles: list[tuple[int, Payload]] = field(default_factory=list)


class ProfileReports:
    """One station's reports that somebody waits for; others are answered and forgotten."""

    def __init__(self) -> None:
        self._asked = 0
        self._open: dict[int, _Report] = {}

    def ask(self) -> int:
        """A new request id."""
        self._asked += 1
        self._open[self._asked] = _Report()
        return self._asked

    def add(self, req: Payload) -> None:
        """A part has come; ``tbc`` says whether more follows."""
        report = self._open.get(req["requestId"])
        if report is not None:
            room = MOST - len(report.profiles)
            report.profiles += [(req["evseId"], profile) for profile in req["chargingProfile"][:room]]
            if not req.get("tbc", False):
                report.complete.set()

    async def collect(self, request_id: int, *, within_s: float) -> tuple[tuple[int, Payload], ...] | None:
        """(evse, profile) of the whole report; None: it did not come in time (loop time)."""
        try:
            async with asyncio.timeout(within_s):
                await self._open[request_id].complete.wait()
            return tuple(self._open[request_id].profiles)
        except TimeoutError:
            return None

    def forget(self, request_id: int) -> None:
        self._open.pop(request_id, None)


async def ask_profiles(
    link: Link, reports: ProfileReports, evse: int, *, within_s: float, priority: Priority = Priority.NORMAL
) -> tuple[tuple[int, Payload], ...] | None:
    """GetChargingProfiles of an EVSE and the report that follows: (EVSE, profile as the station holds it). None: no answer
    in time."""
    request_id = reports.ask()
    try:
        payload: Payload = {"requestId": request_id, "evseId": evse, "chargingProfile": {}}
        reply = await link.call("GetChargingProfiles", payload, priority=priority)
        if reply.payload.get("status") == "NoProfiles":
            return ()
        return await reports.collect(request_id, within_s=within_s) if reply.outcome is Outcome.ACCEPTED else None
    finally:
        reports.forget(request_id)
