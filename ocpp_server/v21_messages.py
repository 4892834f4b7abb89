"""Messages that 2.1 has beside those of 2.0.1, as blocks (:class:`~ocpp_server.desks.Block`), but for those with a subject of their own
(:mod:`ocpp_server.der`, :mod:`ocpp_server.battery_swaps`)."""

from __future__ import annotations

from datetime import datetime, timedelta

from depot.notes import Note, NoteDesk, NoteKind
from ocpp_server.desks import Action
from ocpp_server.event_streams import KEPT_TEXT, KEPT_VALUES, LEAST_INTERVAL_S, MOST_STREAMS, Stream, StreamValue
from ocpp_server.heard import believed_time
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station

_SAID = {"status": "status", "settlementAmount": "amount", "receiptId": "receipt", "receiptUrl": "receipt address", "statusInfo": "info"}


class DynamicScheduleMessages:
    """What a station asks of dynamic profiles, and a driver's wish for priority, which is noted: what it lets flow was counted when
    the profile for it was installed (block K)."""

    def __init__(self, station: Station, desk: NoteDesk) -> None:
        self._station = station
        self._desk = desk
        self.actions: dict[str, Action] = {
            "PullDynamicScheduleUpdate": self._pull,
            "NotifyPriorityCharging": self._priority,
        }

    def answered(self, call: CallReceived, payload: Payload) -> None: ...

    async def _pull(self, req: Payload) -> Payload:
        found = self._station.dynamic.holds(req["chargingProfileId"])
        if found is None:
            return {"status": "Rejected", "statusInfo": {"reasonCode": "UnknownProfile"}}
        return {"status": "Accepted", "scheduleUpdate": dict(found)}

    async def _priority(self, req: Payload) -> Payload:
        said = {"activated": "yes" if req["activated"] else "no"}
        await self._desk.noted(self._station.station_id, Note(NoteKind.PRIORITY, req["transactionId"], said))
        return {}


class PaymentTerminalMessages:
    """Payments that a terminal at the station settled, and VAT numbers to check (block C). The depot takes no part in such a payment:
    what was settled is noted for people, no receipt is made, and no number is confirmed that nobody has checked."""

    def __init__(self, station: Station, desk: NoteDesk) -> None:
        self._station = station
        self._desk = desk
        self.actions: dict[str, Action] = {"NotifySettlement": self._settled, "VatNumberValidation": self._vat}

    def answered(self, call: CallReceived, payload: Payload) -> None: ...

    async def _settled(self, req: Payload) -> Payload:
        """Of the payment's reference only the end is kept: it is the token of a person's payment."""
        said = {name: str(req[key]) for key, name in _SAID.items() if key in req}
        said["reference"] = f"…{req['pspRef'][-4:]}"
        at = believed_time(self._station, req["settlementTime"])
        await self._desk.noted(self._station.station_id, Note(NoteKind.SETTLEMENT, req.get("transactionId", ""), said, at))
        return {}

    async def _vat(self, req: Payload) -> Payload:
        why = {"reasonCode": "NotChecked", "additionalInfo": "this system checks no VAT numbers"}
        evse = {"evseId": req["evseId"]} if "evseId" in req else {}
        return {"vatNumber": req["vatNumber"], "status": "Rejected", "statusInfo": why, **evse}


class EventStreamMessages:
    """Periodic event streams (block N)."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self.actions: dict[str, Action] = {
            "OpenPeriodicEventStream": self._open,
            "ClosePeriodicEventStream": self._close,
            "NotifyPeriodicEventStream": self._take,
        }

    def answered(self, call: CallReceived, payload: Payload) -> None: ...

    async def _open(self, req: Payload) -> Payload:
        data = req["constantStreamData"]
        interval_s, bundle = data["params"].get("interval"), data["params"].get("values")
        if interval_s is not None and interval_s < LEAST_INTERVAL_S:
            return _rejected("InvalidValue", f"an interval of at least {LEAST_INTERVAL_S} s")
        if not self._station.streams.open(Stream(data["id"], data["variableMonitoringId"], interval_s, bundle)):
            return _rejected("TooManyElements", f"at most {MOST_STREAMS} streams of a station")
        return {"status": "Accepted"}

    async def _close(self, req: Payload) -> Payload:
        self._station.streams.close(req["id"])
        return {}

    async def _take(self, req: Payload) -> Payload:
        base = believed_time(self._station, req["basetime"])
        values = [StreamValue(_later(base, row["t"]), row["v"][:KEPT_TEXT]) for row in req["data"][-KEPT_VALUES:]]
        if not self._station.streams.take(req["id"], req["pending"], values):
            self._station.violations["too_many_streams"] += 1
        return {}


def _later(base: datetime | None, seconds: float) -> datetime | None:
    try:
        return None if base is None else base + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _rejected(code: str, words: str) -> Payload:
    return {"status": "Rejected", "statusInfo": {"reasonCode": code, "additionalInfo": words}}
