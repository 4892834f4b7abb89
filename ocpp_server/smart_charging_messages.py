"""What 2.x stations say of smart charging (block K): vehicles' needs and schedules, limits that others set, profiles held.

    station --NotifyEVChargingNeeds--> desk.needs         Accepted, Processing or Rejected; when the answer is on the wire
                                       desk.needs_answered    the connector's profile follows
    station --NotifyEVChargingSchedule--> compared with what its profiles allow --> desk.scheduled
                                       desk.schedule_refused  when the refusal is on the wire: a profile follows to choose from again
    station --NotifyChargingLimit, ClearedChargingLimit--> desk.limited, desk.released; one without a schedule: desk.limit_unclear
    station --ReportChargingProfiles--> the report that asked for it; what others have set there into the book

Numbers that cannot be true are left out and counted, one by one: a vehicle that tells nonsense of its battery may still say
when it leaves.
"""

from __future__ import annotations

from collections.abc import Sequence

from depot.ports import Clock
from depot.registry import ConnectorSpec
from depot.smart_charging import MOST_STEPS, WHOLE_STATION, ExternalLimit, SmartChargingDesk, Step, VehicleSchedule
from depot.values import ConnectorId
from ocpp_server.charging_needs import read_needs
from ocpp_server.composite import Foreign, after
from ocpp_server.desks import Action
from ocpp_server.heard import declared
from ocpp_server.limit_steps import TIME_S, absolute, beyond, least_of
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.skew import parse_time
from ocpp_server.station import Station

NEEDS, SCHEDULE, LIMIT = "NotifyEVChargingNeeds", "NotifyEVChargingSchedule", "NotifyChargingLimit"
DEPOT = "CSO"
"""Who we are among the sources of limits: the charging station's operator."""
ENDLESS_S = 3600.0
"""A vehicle's schedule without an end is compared so far beyond its last step."""


class SmartChargingMessages:
    """For a known station: a :class:`~ocpp_server.desks.Block`."""

    def __init__(self, station: Station, desk: SmartChargingDesk, clock: Clock) -> None:
        self._station = station
        self._desk = desk
        self._clock = clock
        self._told: dict[str, ConnectorId] = {}
        """Connectors of which an answer is on its way, by action."""
        self.actions: dict[str, Action] = {
            NEEDS: self._needs,
            SCHEDULE: self._schedule,
            LIMIT: self._limit,
            "ClearedChargingLimit": self._released,
            "ReportChargingProfiles": self._report,
        }

    def answered(self, call: CallReceived, payload: Payload) -> None:
        if call.action == LIMIT and not call.payload.get("chargingSchedule"):
            self._desk.limit_unclear(self._station.station_id, call.payload["chargingLimit"]["chargingLimitSource"])
        connector = self._told.pop(call.action, None)
        if connector is None:
            return
        if call.action == NEEDS and payload.get("status") == "Accepted":
            self._desk.needs_answered(connector)
        elif call.action == SCHEDULE and payload.get("status") == "Rejected":
            self._desk.schedule_refused(connector)

    # -- vehicles -----------------------------------------------------------------------------------------------------

    async def _needs(self, req: Payload) -> Payload:
        station = self._station
        connector = declared(station, req["evseId"])
        running = station.book.running(connector.connector)
        if running is None:
            return _refused("NoTransaction")
        station.takes_tx_profiles()
        needs, doubted = read_needs(req, station.connectors[connector.connector])
        station.violations.update(doubted)
        status = await self._desk.needs(connector, needs, running.transaction_id, session=running.number is not None)
        self._told[NEEDS] = connector
        return {"status": status}

    async def _schedule(self, req: Payload) -> Payload:
        """Compared instant by instant with what the station's profiles allow, in its own time; those that it may have forgotten in
        a boot bind no vehicle. A station may pass on a profile, and the vehicle's answer to it, before it answers our call: what
        is in flight to the EVSE allows as well as what is confirmed. The limiter counts the larger of both meanwhile."""
        station = self._station
        connector = declared(station, req["evseId"])
        number = connector.connector
        running = station.book.running(number)
        if running is None:
            return _refused("NoTransaction")
        spec, now = station.connectors[number], self._clock.now() + station.clock.skew
        base = parse_time(req["timeBase"]) or now
        steps = absolute(req["chargingSchedule"], base, spec)
        if steps is None:
            station.violations["unreadable_schedule"] += 1
            return _refused("Unreadable")
        duration_s = req["chargingSchedule"].get("duration")
        end = after(base, duration_s) if duration_s is not None else after(steps[-1].at, ENDLESS_S)
        start = after(min(base, now), -TIME_S)
        ahead_s = (end - start).total_seconds() + TIME_S
        exceeds, flying = "", station.installed.in_flight(number)
        for taken in (None,) if flying is None else (flying, None):
            allowed = station.installed.composite(
                number, spec=spec, at=start, duration_s=ahead_s, unit="W", confirmed_only=True, taken=taken
            )
            exceeds = beyond(steps, end, allowed, start=start, spec=spec)
            if not exceeds:
                break
        skew = station.clock.skew
        told = VehicleSchedule(
            tuple(Step(after(step.at, -skew.total_seconds()), step.level_w) for step in steps[:MOST_STEPS]),
            None if duration_s is None else after(end, -skew.total_seconds()),
            req.get("selectedChargingScheduleId"),
        )
        await self._desk.scheduled(connector, told, running.transaction_id, exceeds=exceeds)
        self._told[SCHEDULE] = connector
        return _refused("BeyondLimits", exceeds) if exceeds else {"status": "Accepted"}

    # -- what others limit --------------------------------------------------------------------------------------------

    async def _limit(self, req: Payload) -> Payload:
        limit = self._external(req.get("evseId", WHOLE_STATION), req["chargingLimit"], req.get("chargingSchedule", ()))
        skew_s = self._station.clock.skew.total_seconds()
        steps = tuple(Step(after(step.at, skew_s), step.level_w) for step in limit.steps)
        until = None if limit.until is None else after(limit.until, skew_s)
        self._station.installed.limited(limit.evse, limit.source, steps, until, after(limit.told_at, skew_s))
        await self._desk.limited(limit)
        return {}

    def _external(self, evse: int, told: Payload, schedules: Sequence[Payload]) -> ExternalLimit:
        """In the depot's time. Schedules that cannot be read are counted, and the limit is one without a number."""
        now, skew_s = self._clock.now(), self._station.clock.skew.total_seconds()
        found = least_of(schedules, after(now, skew_s), self._spec(evse))
        if found is None:
            self._station.violations["unreadable_schedule"] += 1
            found = (), None
        steps, until = found
        return ExternalLimit(
            self._station.station_id, evse, told["chargingLimitSource"], now,
            tuple(Step(after(step.at, -skew_s), step.level_w) for step in steps[:MOST_STEPS]),
            None if until is None else after(until, -skew_s),
            critical=told.get("isGridCritical", False), generation=told.get("isLocalGeneration", False),
        )  # fmt: skip

    async def _released(self, req: Payload) -> Payload:
        evse = req.get("evseId")
        if evse is not None:
            self._spec(evse)
        self._station.installed.released(evse, req["chargingLimitSource"])
        await self._desk.released(self._station.station_id, evse, req["chargingLimitSource"])
        return {}

    def _spec(self, evse: int) -> ConnectorSpec:
        """The connector by which a limit's amperes are read; of the whole station its first."""
        if evse == WHOLE_STATION:
            return next(iter(self._station.connectors.values()))
        return self._station.connectors[declared(self._station, evse).connector]

    async def _report(self, req: Payload) -> Payload:
        """What the depot or a person set is known already, or asked for by who waits for the report."""
        self._station.reports.add(req)
        if req["chargingLimitSource"] != DEPOT:
            now = self._clock.now() + self._station.clock.skew
            self._station.installed.reported(req["evseId"], req["chargingLimitSource"], req["chargingProfile"], now)
            await self._constraints(req)
        return {}

    async def _constraints(self, req: Payload) -> None:
        """The external limits that a report tells of. A recurring one stays with the book of profiles, which can repeat it."""
        told = [
            schedule
            for profile in req["chargingProfile"]
            if profile["chargingProfilePurpose"] == Foreign.EXTERNAL and profile["chargingProfileKind"] == "Absolute"
            for schedule in profile["chargingSchedule"][:1]
        ]
        if told:
            limit = {"chargingLimitSource": req["chargingLimitSource"]}
            await self._desk.limited(self._external(req["evseId"], limit, told))


def _refused(reason: str, detail: str = "") -> Payload:
    info = {"reasonCode": reason, "additionalInfo": detail[:500]}
    return {"status": "Rejected", "statusInfo": {key: text for key, text in info.items() if text}}
