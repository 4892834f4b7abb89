"""TransactionEvent and MeterValues of OCPP 2.0.1: what a station says of one transaction becomes one session of the depot.

The station names its transaction, and one kind of message tells its whole life. For the depot a session begins with the
first event that says who charges (an idToken, or the number of a start that the depot asked for) or that energy may flow,
whatever the station's TxStartPoint; its natural key is the station's own transaction id.

    measures only   readings at once, the last word kept (:mod:`depot.last_words`), answered when that is durable
    changes facts   in order, one after the other: facts journaled, then the word, then the answer

What an earlier process kept is taken up again, so that a restart is nothing to a station. Nothing here reads a clock or a
socket.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from depot.costs import Cost, CostDesk
from depot.last_words import LastWords
from depot.ports import ChargerEvents, Clock, StartRequest, StopRequest
from depot.readings import MeterReading
from depot.values import ConnectorId
from ocpp_server.errors import PayloadViolation
from ocpp_server.heard import believed_time, declared, parsed, readings
from ocpp_server.link import Later
from ocpp_server.meter_values import Sample, read_samples
from ocpp_server.samples201 import BEGIN, END, as_16, signed_in, with_signed
from ocpp_server.schemas import Payload, parse
from ocpp_server.session import CallReceived
from ocpp_server.station import Station
from ocpp_server.tokens201 import presented, token_info
from ocpp_server.transactions201 import Transaction
from ocpp_server.version import Version

EVENT = "TransactionEvent"
KEYED = Version.V201
"""In the key of every 2.x transaction: it stays the same one when its station comes back with another version."""


class TransactionEvents:
    """A station's transaction events on one connection. ``version``: of the connection."""

    def __init__(
        self, station: Station, *, events: ChargerEvents, clock: Clock, replay_age_s: float, version: Version, words: LastWords,
        costs: CostDesk,
    ) -> None:  # fmt: skip
        self._station = station
        self._events = events
        self._clock = clock
        self._replay_age_s = replay_age_s
        self._version = version
        self._words = words
        self._costs = costs
        self._queued: Counter[str] = Counter()
        """Transaction events that wait for the worker, by transaction: a later one must not overtake them."""
        self._restore()

    def _restore(self) -> None:
        """Take up what an earlier process heard of the transactions that still run."""
        station = self._station
        if station.book.restored:
            return
        station.book.restored = True
        for word in self._words.of(station.station_id):
            if word.connector is not None and word.connector not in station.connectors:
                continue
            transaction = station.book.restore(word)
            if word.number is not None and word.connector is not None:
                station.connector_of[word.number] = word.connector
                station.began(word.connector, transaction.transaction_id, word.began_at, self._clock.now())

    def is_known(self, call: CallReceived) -> bool:
        """Whether an event is about a transaction that was heard of before."""
        return self._station.book.known(_transaction_id(call.payload)) is not None

    def immediate(self, call: CallReceived) -> Payload | Later | None:
        """The answer to an Updated event that only measures: the limiter has its readings at once, and the answer waits for
        nothing but the commit. None: the worker deals with it, in order."""
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
            req = parsed(self._station, call, self._version)
            if self._is_new(known, req):
                meter_value = req.get("meterValue", ())
                self._measure(known, ConnectorId(self._station.station_id, known.connector), req, self._samples(meter_value))
                self._keep_signed(known, meter_value)
                known.note(req["seqNo"])
            durable = self._words.keep(known.word(self._station.station_id))
            return {} if durable is None else Later({}, durable)
        self._queued[_transaction_id(call.payload)] += 1
        return None

    async def handle(self, call: CallReceived) -> Payload:
        """The answer to an event that changes something: the depot has it."""
        try:
            return await self._transaction_event(self._event_payload(call))
        finally:
            self._queued -= Counter([_transaction_id(call.payload)])

    def holds(self, call: CallReceived) -> int | None:
        """A transaction may become a session in this call: its connector's profiles follow the answer."""
        if call.action != EVENT:
            return None
        known = self._station.book.known(_transaction_id(call.payload))
        if known is not None and known.number is not None:
            return None
        match call.payload.get("evse"):
            case {"id": int(evse)}:
                return evse
        return known.connector if known is not None else None

    def meter_values(self, req: Payload) -> None:
        evse = req["evseId"]
        if evse == 0:
            return  # the station's own meter: no connector's reading
        connector = declared(self._station, evse)
        running = self._station.book.running(evse)
        self._forward(connector, self._samples(req["meterValue"]), number=running.number if running else None)

    async def _transaction_event(self, req: Payload) -> Payload:
        station, info = self._station, req["transactionInfo"]
        transaction = station.book.take(info["transactionId"])
        ended = req["eventType"] == "Ended"
        if not self._is_new(transaction, req):
            answer = await self._token_answer(transaction, req)
            await self._keep(transaction)
            return answer | (_total(transaction.cost) if ended else {})
        connector = self._place(transaction, req)
        at = believed_time(station, req["timestamp"])
        samples = self._samples(req.get("meterValue", ()))
        self._keep_signed(transaction, req.get("meterValue", ()))
        if transaction.number is None:
            self._note_beginning(transaction, req, samples, at)
        if req["seqNo"] > transaction.newest:
            transaction.state = info.get("chargingState", transaction.state)
        if connector is not None:
            if transaction.number is None and self._is_session(transaction, samples, ended=ended):
                await self._begin(transaction, connector)
            fresh = samples if req["eventType"] == "Started" else [s for s in samples if s.context not in (BEGIN, END)]
            self._measure(transaction, connector, req, fresh)
            if ended and not transaction.ended:
                await self._end(transaction, connector, req, samples, at)
            await self._show(connector, at)
        else:
            if transaction.first_seen != "Started":
                station.violations["event_without_evse"] += 1
            if ended:
                self._over(transaction)
        answer = await self._token_answer(transaction, req)
        transaction.note(req["seqNo"])
        await self._keep(transaction)
        return answer | (_total(transaction.cost) if ended else {})

    def _note_beginning(self, transaction: Transaction, req: Payload, samples: list[Sample], at: datetime | None) -> None:
        """What the session will begin with, from whichever event says it first."""
        transaction.first_seen = transaction.first_seen or req["eventType"]
        transaction.began_at = transaction.began_at or at
        transaction.began_offline = transaction.began_offline or bool(req.get("offline", False))
        if transaction.meter_start_wh is None:
            transaction.meter_start_wh = _register(samples, first=True)
        if transaction.reservation_id is None:
            transaction.reservation_id = req.get("reservationId")
        if transaction.remote_start is None:
            transaction.remote_start = req["transactionInfo"].get("remoteStartId")
        token = req.get("idToken")
        if transaction.shown is None and token is not None and req["triggerReason"] != "StopAuthorized":
            transaction.shown = presented(token)
        if transaction.shown is None:  # who is asked to start need not say for whom
            transaction.shown = self._station.remote_tags.get(transaction.remote_start or 0)

    async def _keep(self, transaction: Transaction) -> None:
        """Its last word is durable, where there is more to come."""
        if not transaction.ended:
            durable = self._words.keep(transaction.word(self._station.station_id))
            if durable is not None:
                await durable

    def _keep_signed(self, transaction: Transaction, meter_value: list[Payload] | tuple[()]) -> None:
        signed = signed_in(meter_value, self._station.violations)
        if signed:
            transaction.signed = with_signed(transaction.signed, signed)

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
        return transaction.shown is not None or transaction.energised or (ended and (flowed or transaction.first_seen != "Started"))

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
                transaction.shown.token if transaction.shown is not None else "",
                meter_wh,
                transaction.began_at,
                self._clock.now(),
                f"{self._station.station_id}|{KEYED}|{transaction.transaction_id}",
                transaction.reservation_id,
                transaction.shown,
                transaction.began_offline,
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
                meter_wh = round(transaction.register_wh or guard.last_wh or transaction.meter_start_wh or 0)
            else:
                meter_wh = guard.stopped(register)
            reason = req["transactionInfo"].get("stoppedReason", "Local")
            costs = self._costs.costs_of(transaction.number)  # now: once it has ended it may be billed at any moment
            stop = StopRequest(self._station.station_id, transaction.number, meter_wh, reason, at, self._clock.now(), transaction.signed)
            await self._events.stop(stop)
            transaction.cost = None if costs is None else costs(meter_wh)
            self._station.levels.pop(connector.connector, None)  # the live profile ended with its transaction
        self._over(transaction)

    def _over(self, transaction: Transaction) -> None:
        self._station.installed.ended(transaction.transaction_id)
        self._station.book.ended(transaction)
        self._words.forget(self._station.station_id, transaction.transaction_id)

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
        shown = presented(token)
        if transaction.answer is not None and shown == transaction.shown:
            return token_info(transaction.answer)
        return token_info(await self._events.authorize(self._station.station_id, shown.token, shown))

    # ------------------------------------------------------------------ parts of messages

    def _samples(self, meter_value: list[Payload] | tuple[()]) -> list[Sample]:
        return read_samples(as_16(meter_value), self._station.violations)

    def _measure(self, transaction: Transaction, connector: ConnectorId, req: Payload, samples: list[Sample]) -> None:
        """Tell the samples of an event; its newest register is the transaction's."""
        newest = req["seqNo"] > transaction.newest
        for reading in self._forward(connector, samples, number=transaction.number, offline=req.get("offline", False)):
            if newest and reading.energy_wh is not None:
                transaction.register_wh, transaction.at = reading.energy_wh, reading.reported_at

    def _forward(self, connector: ConnectorId, samples: list[Sample], *, number: int | None, offline: bool = False) -> list[MeterReading]:
        now = self._clock.now()
        found = list(
            readings(self._station, connector, samples, transaction_id=number, now=now, replay_age_s=self._replay_age_s, offline=offline)
        )
        for reading in found:
            self._events.reading(reading)
        return found

    def _event_payload(self, call: CallReceived) -> Payload:
        """An event that can be used. The last one of a transaction is used however broken it is, as far as it says which
        transaction ended: what is broken in it takes the value that claims least."""
        try:
            return parsed(self._station, call, self._version)
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
            parse(EVENT, {**ended, "timestamp": "", key: part}, self._version)
        except PayloadViolation:
            return False
        return isinstance(part, list | dict)


def _total(cost: Cost | None) -> Payload:
    """What the last event of a session that somebody pays for is answered with (I03)."""
    if cost is None:
        return {}
    return {"totalCost": cost.on_wire} | ({"updatedPersonalMessage": {"format": "UTF8", "content": cost.message}} if cost.message else {})


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
