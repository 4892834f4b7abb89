"""What a station's OCPP 2.0.1 messages said of its transactions and connectors. Pure memory; it decides no session.

A transaction's own id is a text that the station made; the depot's number for it comes with the answer to its start
and is found again by that text, so a repeated, reordered or replayed event changes nothing. An event is noted by its
``seqNo`` only after the depot has taken it: what failed on the way is handled when it comes again.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime

from depot.costs import Cost
from depot.events import ConnectorStatus, SignedReading
from depot.last_words import LastWord
from depot.tokens import Authorization, Presented
from ocpp_server.seq_numbers import SeqNumbers

KEPT = 128
"""Transactions that are remembered; those that have ended go first."""
_STATES = {
    "Charging": ConnectorStatus.CHARGING,
    "SuspendedEV": ConnectorStatus.SUSPENDED_EV,
    "SuspendedEVSE": ConnectorStatus.SUSPENDED_EVSE,
    "EVConnected": ConnectorStatus.PREPARING,
}
"""``chargingState`` as our connector status; ``Idle`` (no vehicle) is left to the StatusNotification."""
_ENERGY = frozenset({"Charging", "SuspendedEV", "SuspendedEVSE"})
"""States that a vehicle reaches only after it was allowed to charge."""
WHOLE_EVSE = 0
"""In the place of a connector's number."""
_PRECEDENCE = ("Occupied", "Reserved", "Available", "Faulted", "Unavailable")
"""Of an EVSE with several connectors only one can be used: it is free if any is, and occupied if one is."""


@dataclass(slots=True, eq=False)
class Transaction:
    """``number``: the depot's, once it counts as a session. ``first_seen``: event type by which this depot met it. ``answer``: what
    the depot said to its idToken; None: not in this process. ``register_wh``, ``at``: the newest believed register, Wh, and the
    station's time of it. ``cost``: of one that has ended and that a driver pays for."""

    transaction_id: str
    first_seen: str = ""
    connector: int | None = None
    number: int | None = None
    answer: Authorization | None = None
    shown: Presented | None = None
    meter_start_wh: int | None = None
    began_at: datetime | None = None
    state: str | None = None
    register_wh: int | None = None
    at: datetime | None = None
    remote_start: int | None = None
    reservation_id: int | None = None
    signed: tuple[SignedReading, ...] = ()
    ended: bool = False
    doubtful: bool = False
    """Its station has booted, and has not spoken of it since: it may be over."""
    cost: Cost | None = None
    heard: SeqNumbers = field(default_factory=SeqNumbers)
    began_offline: bool = False
    """The station said of an event before the session counted as one that it was cut off then."""

    @classmethod
    def of_word(cls, word: LastWord) -> Transaction:
        """As an earlier process left it."""
        return cls(
            word.transaction_id, word.first_seen, word.connector, word.number, None, word.shown, word.meter_start_wh, word.began_at,
            word.state, word.register_wh, word.at, word.remote_start, word.reservation_id, word.signed, heard=SeqNumbers(word.heard),
        )  # fmt: skip

    def word(self, station_id: str) -> LastWord:
        """What must outlive this process."""
        return LastWord(
            station_id, self.transaction_id, self.heard.ranges, self.number, self.connector, self.state, self.register_wh, self.at,
            self.first_seen, self.began_at, self.meter_start_wh, self.shown, self.remote_start, self.reservation_id, self.signed,
        )  # fmt: skip

    def repeated(self, seq_no: int) -> bool:
        return seq_no in self.heard

    def note(self, seq_no: int) -> None:
        """The event with this number has been dealt with."""
        self.heard.add(seq_no)
        self.doubtful = False

    @property
    def newest(self) -> int:
        """The highest number that was heard; -1: none."""
        return self.heard.newest

    @property
    def energised(self) -> bool:
        """Energy may have flowed, or may flow: it is a session, whoever allowed it. A transaction that was met in the
        middle and did not say its state is taken for one, unless its state is said to be before that."""
        return self.state in _ENERGY or (self.state is None and self.first_seen not in ("", "Started"))


class Book:
    """Transactions of one station by their id, and the statuses of its EVSEs' connectors."""

    def __init__(self, evses: tuple[int, ...]) -> None:
        self._evses = evses
        self._transactions: OrderedDict[str, Transaction] = OrderedDict()
        self._statuses: dict[int, dict[int, str]] = {}
        self._said_at: dict[tuple[int, int], datetime] = {}
        self._finishing: set[int] = set()
        self._asked: deque[int] = deque(maxlen=len(evses) or 1)
        self.restored = False
        """Whether the last words that an earlier process kept were looked at."""
        self.surveyed = False
        """Whether this process has asked what runs there."""
        self.told: dict[int, ConnectorStatus] = {}
        """What the depot was last told of each connector."""

    def grow(self, evses: tuple[int, ...]) -> None:
        """The station has more EVSEs than were known."""
        self._evses = evses
        self._asked = deque(self._asked, maxlen=len(evses) or 1)

    # -- transactions ---------------------------------------------------------------------------------------------

    def take(self, transaction_id: str) -> Transaction:
        """The transaction of that id, new if need be."""
        known = self._transactions.get(transaction_id)
        if known is None:
            known = self._transactions[transaction_id] = Transaction(transaction_id)
            if len(self._transactions) > KEPT:
                oldest = next((t.transaction_id for t in self._transactions.values() if t.ended), next(iter(self._transactions)))
                del self._transactions[oldest]
        return known

    def restore(self, word: LastWord) -> Transaction:
        """A transaction that an earlier process heard of."""
        restored = self._transactions[word.transaction_id] = Transaction.of_word(word)
        return restored

    def known(self, transaction_id: object) -> Transaction | None:
        return self._transactions.get(transaction_id) if isinstance(transaction_id, str) else None

    def of_number(self, number: int) -> str | None:
        """The station's own id of the depot's transaction; None: not heard of in this process."""
        return next((t.transaction_id for t in reversed(self._transactions.values()) if t.number == number), None)

    def going_on(self, number: int) -> str | None:
        """The same, of a transaction of which the station has spoken since it booted; None for any other: what is meant for it
        would be refused."""
        named = self.of_number(number)
        return None if named is None or self._transactions[named].doubtful else named

    def restarted(self) -> None:
        """The station booted: what ran there may be over, and is asked for anew."""
        self.surveyed = False
        for transaction in self._transactions.values():
            transaction.doubtful = not transaction.ended

    def running(self, evse: int) -> Transaction | None:
        """The newest transaction on an EVSE that has not ended."""
        return next((t for t in reversed(self._transactions.values()) if t.connector == evse and not t.ended), None)

    def expect(self, evse: int) -> None:
        """A transaction event of this EVSE was asked for; it need not say its EVSE again."""
        self._asked.append(evse)

    def unexpect(self, evse: int) -> None:
        if evse in self._asked:
            self._asked.remove(evse)

    def place(self, evse: int | None, *, triggered: bool) -> int | None:
        """The EVSE of an event: the one it says, the one that was asked, the only one; None: not known."""
        if evse is None and triggered and self._asked:
            return self._asked.popleft()
        if evse is not None and triggered:
            self.unexpect(evse)
        return evse if evse is not None or len(self._evses) != 1 else self._evses[0]

    # -- connectors -----------------------------------------------------------------------------------------------

    def connector_says(self, evse: int, connector: int, status: str, at: datetime | None = None) -> bool:
        """A word of a connector, or of the EVSE as a whole (:data:`WHOLE_EVSE`), said at ``at`` by the station's clock (None: at
        no time that can be true). False: it is older than the newest one, and changes nothing."""
        newest = self._said_at.get((evse, connector))
        if at is not None and newest is not None and at < newest:
            return False
        if at is not None:
            self._said_at[evse, connector] = at
        self._statuses.setdefault(evse, {})[connector] = status
        if self._plug(evse) != "Occupied":
            self._finishing.discard(evse)
        return True

    def ended(self, transaction: Transaction) -> None:
        """Its last event came; a vehicle that is still there has finished."""
        transaction.ended = True
        if transaction.connector is not None and transaction.state != "Idle":
            self._finishing.add(transaction.connector)

    def status(self, evse: int) -> ConnectorStatus | None:
        """The EVSE in the depot's words; None: nothing is known."""
        plug = self._plug(evse)
        if plug is not None and plug != "Occupied" and not (plug == "Unavailable" and self.running(evse)):
            return ConnectorStatus(plug)
        running = self.running(evse)
        if running is not None and running.state in _STATES:
            return _STATES[running.state]
        if evse in self._finishing:
            return ConnectorStatus.FINISHING
        return None if plug is None else ConnectorStatus.UNAVAILABLE if plug == "Unavailable" else ConnectorStatus.PREPARING

    def _plug(self, evse: int) -> str | None:
        said = self._statuses.get(evse, {})
        connectors = [status for connector, status in said.items() if connector != WHOLE_EVSE]
        return next((status for status in _PRECEDENCE if status in connectors), said.get(WHOLE_EVSE))
