"""The :class:`~ocpp_server.dialect.Dialect` of OCPP 2.0.1. An EVSE is the depot's connector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from depot.events import StationProbed
from depot.tokens import Presented
from depot.values import Outcome
from ocpp_server import v201
from ocpp_server.dialect import Build, Call
from ocpp_server.link import Handler, Link, Priority
from ocpp_server.probe201 import probe
from ocpp_server.profiles import Purpose
from ocpp_server.profiles201 import PURPOSES, as_201
from ocpp_server.session import Payload
from ocpp_server.settings import OcppSettings
from ocpp_server.station import Station
from ocpp_server.version import Version

TRANSACTION = "transactionId"


class Dialect201:
    version: Version = Version.V201
    heard: tuple[str, ...] = v201.HEARD

    def inbound(self, station: Station, **parts: Any) -> Handler:
        return v201.Inbound(station, **parts)

    async def probe(self, link: Link, station: Station, settings: OcppSettings) -> StationProbed:
        return await probe(link, station, settings)

    async def survey(self, link: Link, station: Station, occupied: Sequence[int]) -> None:
        """The station names its transactions, and only the journal outlives this process: ask each EVSE once for what
        may run there. The event that answers finds the depot's number again, by the transaction's name."""
        if station.book.surveyed:
            return
        station.book.surveyed = True
        for evse in occupied:
            running = station.book.running(evse)
            if running is None or running.doubtful:
                station.book.expect(evse)
                reply = await link.call(*self.trigger("TransactionEvent", evse), priority=Priority.HOUSEKEEPING)
                if reply.outcome is not Outcome.ACCEPTED:
                    station.book.unexpect(evse)

    def set_profile(self, station: Station, number: int, profile: Build) -> Call:
        return Call("SetChargingProfile", _with(station, {"evseId": number}, profile, running=True))

    def start(self, station: Station, number: int, id_tag: str, kind: str, profile: Build | None) -> Call:
        token = {"idToken": id_tag, "type": kind}
        payload: Payload = {"evseId": number, "idToken": token, "remoteStartId": station.asks_to_start(Presented(id_tag, kind))}
        return Call("RequestStartTransaction", payload if profile is None else _with(station, payload, profile, running=False))

    def stop(self, station: Station, transaction_id: int) -> Call | None:
        named = station.book.of_number(transaction_id)
        return None if named is None else Call("RequestStopTransaction", {TRANSACTION: named})

    def set_operative(self, number: int, *, operative: bool) -> Call:
        return Call("ChangeAvailability", {"evse": {"id": number}, "operationalStatus": "Operative" if operative else "Inoperative"})

    def reading(self, station: Station, number: int) -> Call:
        """While a transaction runs, its own event carries the values that the depot chose."""
        running = station.book.running(number)
        return self.trigger("TransactionEvent" if running is not None and running.number is not None else "MeterValues", number)

    def trigger(self, message: str, number: int | None) -> Call:
        if number is None:
            return Call("TriggerMessage", {"requestedMessage": message})
        evse = {"id": number} | ({"connectorId": 1} if message == "StatusNotification" else {})
        return Call("TriggerMessage", {"requestedMessage": message, "evse": evse})

    def composite(self, number: int, duration_s: int, unit: str | None) -> Call:
        payload: Payload = {"evseId": number, "duration": duration_s}
        return Call("GetCompositeSchedule", payload if unit is None else {**payload, "chargingRateUnit": unit})

    def schedule(self, answer: Payload) -> Payload:
        found = answer.get("schedule")
        if found is None:
            return answer
        names = ("duration", "chargingRateUnit", "chargingSchedulePeriod")
        return {
            "status": answer["status"],
            "connectorId": found["evseId"],
            "scheduleStart": found["scheduleStart"],
            "chargingSchedule": {name: found[name] for name in names},
        }

    def clear(self, *, profile: int | None = None, number: int | None = None, purpose: Purpose | None = None) -> Call:
        if profile is not None:
            return Call("ClearChargingProfile", {"chargingProfileId": profile})
        criteria = {"evseId": number, "chargingProfilePurpose": None if purpose is None else PURPOSES[purpose.value]}
        return Call("ClearChargingProfile", {"chargingProfileCriteria": {key: v for key, v in criteria.items() if v is not None}})


def _with(station: Station, payload: Payload, profile: Build, *, running: bool) -> Build:
    """``running``: a TxProfile is for a transaction that the station has named, and that goes on after a boot; else it must not
    leave: the refusal would look as if it took no TxProfile."""

    def build() -> Payload | None:
        made = profile()
        if made is None:
            return None
        number = made.get(TRANSACTION)
        named = number if number is None or isinstance(number, str) else station.book.going_on(number)
        if running and named is None and made["chargingProfilePurpose"] == Purpose.TX:
            return None
        return {**payload, "chargingProfile": as_201(made, named)}

    return build
