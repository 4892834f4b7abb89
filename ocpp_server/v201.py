"""OCPP 2.0.1: the station's messages become the depot's words, and the depot's answers become responses.

A fact is answered only after the depot has it, as in 1.6 (:mod:`ocpp_server.v16`). What differs is the transaction:
the station names it, and one kind of message, TransactionEvent, tells its whole life. For the depot a session begins
with the first event that says who charges (an idToken) or that energy may flow, whatever the station's TxStartPoint;
its natural key is the station's own transaction id. Nothing here reads a clock or a socket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial

from depot.events import ConnectorStatus, StationBooted
from depot.files import Topic
from depot.ports import BootAnswer, ChargerEvents, Clock, StartRequest, StopRequest
from depot.tokens import Authorization
from depot.values import ConnectorId
from ocpp_server.desks import Action, Block, Desks
from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.heard import believed_time, check_admitted, declared, parsed, readings, transfer_report
from ocpp_server.meter_values import Sample, read_samples
from ocpp_server.samples201 import BEGIN, END, as_16
from ocpp_server.schemas import Payload, parse
from ocpp_server.security_messages import SecurityMessages
from ocpp_server.session import CallReceived
from ocpp_server.skew import wire_time
from ocpp_server.station import Station
from ocpp_server.transactions201 import Transaction
from ocpp_server.version import Version

ANSWERS: dict[str, Payload] = {
    "ClearedChargingLimit": {},
    "NotifyChargingLimit": {},
    "NotifyCustomerInformation": {},
    "NotifyDisplayMessages": {},
    "NotifyEVChargingNeeds": {"status": "Rejected"},
    "NotifyEVChargingSchedule": {"status": "Accepted"},
    "NotifyEvent": {},
    "NotifyMonitoringReport": {},
    "NotifyReport": {},
    "PublishFirmwareStatusNotification": {},
    "ReservationStatusUpdate": {},
}
"""Messages without an effect here, and what they are answered."""
HEARD = (
    "BootNotification", "Heartbeat", "StatusNotification", "Authorize", "TransactionEvent", "MeterValues",
    "SetChargingProfileResponse", "GetVariablesResponse", "SetVariablesResponse", "TriggerMessageResponse",
    "RequestStartTransactionResponse", "RequestStopTransactionResponse",
)  # fmt: skip
"""Schemas of what is heard every day."""
KNOWN_ELSEWHERE = frozenset({"Get15118EVCertificate", "GetCertificateStatus"})
"""Actions of the norm that a station may send and this system does not offer."""


class Inbound:
    """The :class:`~ocpp_server.link.Handler` of a known station's 2.0.1 connection. Parameters as in 1.6."""

    version = Version.V201

    def __init__(
        self,
        station: Station,
        *,
        events: ChargerEvents,
        clock: Clock,
        jitter: float,
        replay_age_s: float,
        boot_answered: Callable[[BootAnswer], None],
        desks: Desks,
    ) -> None:
        self._station = station
        self._events = events
        self._clock = clock
        self._jitter = jitter
        self._replay_age_s = replay_age_s
        self._boot_answered = boot_answered
        self._desks = desks
        self._blocks: tuple[Block, ...] = (SecurityMessages(station, desks.security),)
        self._queued: Counter[str] = Counter()
        """Transaction events that wait for the worker, by transaction: a later one must not overtake them."""
        self._actions: dict[str, Action] = {
            "BootNotification": self._boot,
            "StatusNotification": self._status,
            "Authorize": self._authorize,
            "ReportChargingProfiles": self._profiles,
            "FirmwareStatusNotification": partial(self._transfer, Topic.FIRMWARE),
            "LogStatusNotification": partial(self._transfer, Topic.LOG),
            "DataTransfer": self._data_transfer,
        }
        for block in self._blocks:
            self._actions |= block.actions

    def immediate(self, call: CallReceived) -> Payload | None:
        check_admitted(self._station, call, self._events)
        if call.action == "MeterValues":
            self._meter_values(parsed(self._station, call, self.version))
            return {}
        if call.action == "Heartbeat":
            parsed(self._station, call, self.version)
            return {"currentTime": wire_time(self._clock.now())}
        if call.action == "TransactionEvent":
            return self._plain_update(call)
        return None

    async def handle(self, call: CallReceived) -> Payload:
        if call.action == "TransactionEvent":
            try:
                return await self._transaction_event(self._event_payload(call))
            finally:
                self._queued -= Counter([_transaction_id(call.payload)])
        action = self._actions.get(call.action)
        if action is not None:
            return await action(parsed(self._station, call, self.version))
        if call.action in ANSWERS:
            parsed(self._station, call, self.version)
            return ANSWERS[call.action]
        if call.action in KNOWN_ELSEWHERE:
            raise PayloadViolation(ErrorCode.NOT_SUPPORTED, f"{call.action} is not offered by this system")
        raise PayloadViolation(ErrorCode.NOT_IMPLEMENTED, f"{call.action[:50]} is not an action of OCPP 2.0.1 that a station sends")

    def holds(self, call: CallReceived) -> int | None:
        """A transaction may become a session in this call: its connector's profiles follow the answer."""
        if call.action != "TransactionEvent":
            return None
        known = self._station.book.known(_transaction_id(call.payload))
        if known is not None and known.number is not None:
            return None
        match call.payload.get("evse"):
            case {"id": int(evse)}:
                return evse
        return known.connector if known is not None else None

    def answered(self, call: CallReceived, payload: Payload) -> None:
        if call.action == "BootNotification":
            self._boot_answered(BootAnswer(payload["status"], payload["interval"]))
        for block in self._blocks:
            if call.action in block.actions:
                block.answered(call, payload)

    def repeatable(self, call: CallReceived) -> bool:
        return call.action not in ("Heartbeat", "BootNotification")

    # ------------------------------------------------------------------ one method per message

    async def _boot(self, req: Payload) -> Payload:
        box = req["chargingStation"]
        answer = await self._events.boot(
            StationBooted(
                self._station.station_id,
                vendor=box["vendorName"],
                model=box["model"],
                serial=box.get("serialNumber", ""),
                firmware=box.get("firmwareVersion", ""),
            )
        )
        interval_s = max(1, round(answer.interval_s * (1 - self._jitter)))
        return {"status": answer.status, "currentTime": wire_time(self._clock.now()), "interval": interval_s}

    async def _data_transfer(self, req: Payload) -> Payload:
        return await self._desks.transfers.answer(self._station.station_id, req)

    async def _status(self, req: Payload) -> Payload:
        reported_at = believed_time(self._station, req["timestamp"])
        if reported_at is not None:
            self._station.clock.observe(reported_at, self._clock.now())
        evse = req["evseId"]
        if evse == 0:
            return {}  # the station as a whole; its connectors report themselves
        connector = declared(self._station, evse)
        book = self._station.book
        book.connector_says(evse, req["connectorId"], req["connectorStatus"])
        status = book.status(evse) or ConnectorStatus.UNKNOWN
        error = "OtherError" if status is ConnectorStatus.FAULTED else "NoError"  # what it is comes by NotifyEvent
        await self._events.status(connector, status, error, reported_at)
        book.told[evse] = status
        return {}

    async def _authorize(self, req: Payload) -> Payload:
        return _token_info(await self._events.authorize(self._station.station_id, req["idToken"]["idToken"]))

    async def _profiles(self, req: Payload) -> Payload:
        self._station.reports.add(req)
        return {}

    async def _transfer(self, topic: Topic, req: Payload) -> Payload:
        await self._events.transfer_reported(transfer_report(self._station, topic, req))
        return {}

    def _meter_values(self, req: Payload) -> None:
        evse = req["evseId"]
        if evse == 0:
            return  # the station's own meter: no connector's reading
        connector = declared(self._station, evse)
        running = self._station.book.running(evse)
        self._forward(connector, self._samples(req["meterValue"]), number=running.number if running else None)

    # ------------------------------------------------------------------ transactions

    def _plain_update(self, call: CallReceived) -> Payload | None:
        """The answer to an Updated event that only measures: nothing durable is in it, so it need not wait. None: the
        worker deals with it, in order."""
        known = self._station.book.known(_transaction_id(call.payload))
        if (
            call.payload.get("eventType") == "Updated"
            and known is not None
            and known.number is not None
            and known.connector is not None
            and not known.ended
            and not self._queued[known.transaction_id]
            and "idToken" not in call.payload
            and call.payload.get("transactionInfo", {}).get("chargingState", known.state) == known.state
        ):
            req = parsed(self._station, call, self.version)
            if self._is_new(known, req):
                connector = ConnectorId(self._station.station_id, known.connector)
                self._forward(connector, self._samples(req.get("meterValue", ())), number=known.number, offline=req.get("offline", False))
                known.note(req["seqNo"])
            return {}
        self._queued[_transaction_id(call.payload)] += 1
        return None

    async def _transaction_event(self, req: Payload) -> Payload:
        station, info = self._station, req["transactionInfo"]
        transaction = station.book.take(info["transactionId"])
        ended = req["eventType"] == "Ended"
        if not self._is_new(transaction, req):
            return await self._token_answer(transaction, req)
        connector = self._place(transaction, req)
        at = believed_time(station, req["timestamp"])
        samples = self._samples(req.get("meterValue", ()))
        token = req.get("idToken")
        if transaction.number is None:
            transaction.first_seen = transaction.first_seen or req["eventType"]
            transaction.began_at = transaction.began_at or at
            if transaction.meter_start_wh is None:
                transaction.meter_start_wh = _register(samples, first=True)
            if transaction.id_tag is None and token is not None:
                transaction.id_tag = token["idToken"]
        if req["seqNo"] > transaction.newest:
            transaction.state = info.get("chargingState", transaction.state)
        if connector is not None:
            if transaction.number is None and self._is_session(transaction, samples, ended=ended):
                await self._begin(transaction, connector)
            fresh = samples if req["eventType"] == "Started" else [s for s in samples if s.context not in (BEGIN, END)]
            self._forward(connector, fresh, number=transaction.number, offline=req.get("offline", False))
            if ended and not transaction.ended:
                await self._end(transaction, connector, req, samples, at)
            await self._show(connector, at)
        elif transaction.first_seen != "Started":
            station.violations["event_without_evse"] += 1
        answer = await self._token_answer(transaction, req)
        transaction.note(req["seqNo"])
        return answer

    def _is_new(self, transaction: Transaction, req: Payload) -> bool:
        if transaction.repeated(req["seqNo"]):
            self._station.violations["repeated_event"] += 1
            return False
        return True

    def _place(self, transaction: Transaction, req: Payload) -> ConnectorId | None:
        """Where the transaction is. Authorised before a vehicle came, it is nowhere yet."""
        evse = req.get("evse", {}).get("id")
        if evse is not None or transaction.connector is None:
            evse = self._station.book.place(evse, triggered=req["triggerReason"] == "Trigger")
        if evse is not None and transaction.number is None:  # a session does not move
            try:
                transaction.connector = declared(self._station, evse).connector
            except PayloadViolation:
                if transaction.connector is None and req["eventType"] != "Ended":
                    raise  # the last event is always answered: it would block the station's queue
        return None if transaction.connector is None else ConnectorId(self._station.station_id, transaction.connector)

    @staticmethod
    def _is_session(transaction: Transaction, samples: list[Sample], *, ended: bool) -> bool:
        """One that ends before anybody was allowed to charge, and without energy, never was a session; of one that this
        process meets at its end, the depot may know the beginning."""
        if transaction.ended:
            return False
        register, begin = _register(samples, first=False), transaction.meter_start_wh
        flowed = register is not None and begin is not None and register > begin
        return transaction.id_tag is not None or transaction.energised or (ended and (flowed or transaction.first_seen != "Started"))

    async def _begin(self, transaction: Transaction, connector: ConnectorId) -> None:
        """Ask the depot for the session of this transaction: a new one, or the one that it knows by the same key."""
        guard = self._station.guards[connector.connector]
        meter = transaction.meter_start_wh
        if meter is None:
            self._station.violations["start_without_register"] += 1
            meter_wh = round(guard.last_wh or 0)
        else:
            meter_wh = guard.started(meter)
        answer = await self._events.start(
            StartRequest(
                connector,
                transaction.id_tag or "",
                meter_wh,
                transaction.began_at,
                self._clock.now(),
                f"{self._station.station_id}|{Version.V201}|{transaction.transaction_id}",
            )
        )
        transaction.number, transaction.answer = answer.transaction_id, answer.authorization
        self._station.connector_of[answer.transaction_id] = connector.connector
        if answer.running:
            self._station.began(connector.connector, transaction.transaction_id, transaction.began_at, self._clock.now())

    async def _end(
        self, transaction: Transaction, connector: ConnectorId, req: Payload, samples: list[Sample], at: datetime | None
    ) -> None:
        if transaction.number is not None:
            guard = self._station.guards[connector.connector]
            register = _register(samples, first=False)
            if register is None:
                self._station.violations["stop_without_register"] += 1
                meter_wh = round(guard.last_wh or transaction.meter_start_wh or 0)
            else:
                meter_wh = guard.stopped(register)
            reason = req["transactionInfo"].get("stoppedReason", "Local")
            await self._events.stop(StopRequest(self._station.station_id, transaction.number, meter_wh, reason, at, self._clock.now()))
            self._station.levels.pop(connector.connector, None)  # the live profile ended with its transaction
        self._station.installed.ended(transaction.transaction_id)
        self._station.book.ended(transaction)

    async def _show(self, connector: ConnectorId, at: datetime | None) -> None:
        """Tell the depot what the transaction's state makes of its connector, where that is news."""
        book = self._station.book
        status = book.status(connector.connector)
        if status is not None and book.told.get(connector.connector) is not status:
            await self._events.status(connector, status, "NoError", at)
            book.told[connector.connector] = status

    async def _token_answer(self, transaction: Transaction, req: Payload) -> Payload:
        """An idToken in an event is answered with what it may do (the session's own: as the depot decided)."""
        token = req.get("idToken")
        if token is None:
            return {}
        if transaction.number is not None and token["idToken"] == transaction.id_tag:
            return _token_info(transaction.answer)
        return _token_info(await self._events.authorize(self._station.station_id, token["idToken"]))

    # ------------------------------------------------------------------ parts of messages

    def _samples(self, meter_value: list[Payload] | tuple[()]) -> list[Sample]:
        return read_samples(as_16(meter_value), self._station.violations)

    def _forward(self, connector: ConnectorId, samples: list[Sample], *, number: int | None, offline: bool = False) -> None:
        now = self._clock.now()
        for reading in readings(
            self._station, connector, samples, transaction_id=number, now=now, replay_age_s=self._replay_age_s, offline=offline
        ):
            self._events.reading(reading)

    def _event_payload(self, call: CallReceived) -> Payload:
        """An event that can be used. The last one of a transaction is used however broken it is, as far as it says which
        transaction ended: what is broken in it takes the value that claims least."""
        try:
            return parsed(self._station, call, self.version)
        except PayloadViolation:
            transaction_id, seq_no = _transaction_id(call.payload), call.payload.get("seqNo")
            if call.payload.get("eventType") != "Ended" or not 0 < len(transaction_id) <= 36:
                raise
            self._station.violations["salvaged_end"] += 1
            known = self._station.book.take(transaction_id)
            ended: Payload = {
                "eventType": "Ended",
                "triggerReason": "AbnormalCondition",
                "timestamp": call.payload.get("timestamp"),
                "seqNo": seq_no if type(seq_no) is int and abs(seq_no) < 2**53 else known.newest + 1,
                "transactionInfo": {"transactionId": transaction_id},
            }
            for key in ("meterValue", "evse"):
                if key in call.payload and self._is_sound(ended, key, call.payload[key]):
                    ended[key] = call.payload[key]
            return ended

    def _is_sound(self, ended: Payload, key: str, part: object) -> bool:
        try:
            parse("TransactionEvent", {**ended, "timestamp": "", key: part}, self.version)
        except PayloadViolation:
            return False
        return isinstance(part, list | dict)


def _transaction_id(payload: Payload) -> str:
    """The id in an unchecked TransactionEvent; empty where there is none."""
    match payload.get("transactionInfo"):
        case {"transactionId": str(transaction_id)}:
            return transaction_id
    return ""


def _register(samples: list[Sample], *, first: bool) -> int | None:
    """The first or last energy register of an event, as the station writes it."""
    found = [sample.energy_wh for sample in samples if sample.energy_wh is not None]
    return round(found[0 if first else -1]) if found else None


def _token_info(answer: Authorization) -> Payload:
    """OCPP 2.0.1 IdTokenInfoType. Of a group's token only the name is known, not its type."""
    info: Payload = {"status": answer.status}
    if answer.expires_at is not None:
        info["cacheExpiryDateTime"] = wire_time(answer.expires_at)
    if answer.group:
        info["groupIdToken"] = {"idToken": answer.group, "type": "Central"}
    return {"idTokenInfo": info}
