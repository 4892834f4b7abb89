"""What must be true after a fault, judged by what the stations ran and what the plant did, never by the controller's word.

    StationBook.watch(world)        every transaction as its station ran it, with the plant's register
    compare(ran, facts)             against the journal: nothing acknowledged is lost, nothing stands there twice
    judge(trace)                    the physical trace: energy, and every instant above a limit

A line of a trace that lowers a limit, raises the background or names a disobedient station opens a few seconds in which
too much counts as ramping (docs/simulator.md). A second judge that shares no line with this one may lie beside the
checkout (``benchmarks.evidence.SHARED_JUDGE``); where it does, it is asked as well, and must agree.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.evidence import SHARED_JUDGE
from controller.app.trace_slots import TraceSlots, trace_to_slots
from depot import events as ev
from depot.events import Envelope
from depot.values import ConnectorId
from simulator.outbox import Kind, Message
from simulator.world import World

METER_TOLERANCE_WH = 2
KWH_TOLERANCE_WH = 2000
"""A station that counts whole kWh says that much less exactly what flowed."""


@dataclass(slots=True, eq=False)
class Ran:
    """One transaction as its station ran it. ``start_wh``, ``stop_wh``: the plant's register. ``transaction_id``: as the
    core answered (1.6). ``own_id``: as the station named it (2.0.1)."""

    connector: ConnectorId
    start: Message
    start_wh: float
    transaction_id: int | None = None
    stop_wh: float | None = None
    stops: int = 0
    own_id: str | None = None

    @property
    def name(self) -> str:
        return f"{self.connector} {self.own_id or self.transaction_id}"


@dataclass(slots=True)
class StationBook:
    """What the stations themselves know of their transactions, in the order in which they ran."""

    ran: list[Ran] = field(default_factory=list)
    on_transaction: Callable[[], None] = lambda: None

    def watch(self, world: World) -> None:
        """Keep a copy of every transaction message that a station of ``world`` queues."""
        for station in world.stations.values():
            put = station.outbox.put

            def keep(message: Message, station_id: str = station.station_id, put: Callable[[Message], None] = put) -> None:
                if message.kind is Kind.TRANSACTION:
                    self._note(world, station_id, message)
                    self.on_transaction()
                put(message)

            station.outbox.put = keep  # type: ignore[method-assign]  # a wire tap, in front of the real one

    def _note(self, world: World, station_id: str, message: Message) -> None:
        request = message.build()
        match type(request).__name__:
            case "StartTransaction":
                self._started(world, message, ConnectorId(station_id, request.connector_id))
            case "StopTransaction":
                self._stopped(world, next(r for r in reversed(self.ran) if r.connector.station_id == station_id))
            case "TransactionEvent":
                self._event(world, station_id, message, request)

    def _event(self, world: World, station_id: str, message: Message, request: Any) -> None:
        own_id = request.transaction_info["transaction_id"]
        known = next((r for r in reversed(self.ran) if r.own_id == own_id), None)
        if known is None:
            key = ConnectorId(station_id, request.evse["id"])
            known = Ran(key, message, world.plant.register_wh(key), own_id=own_id)
            self.ran.append(known)
        if request.event_type == "Ended":
            self._stopped(world, known)

    def _started(self, world: World, message: Message, key: ConnectorId) -> None:
        ran = Ran(key, message, world.plant.register_wh(key))
        answered = message.done

        def done(answer: Any) -> None:
            ran.transaction_id = answer.transaction_id
            if answered is not None:
                answered(answer)

        message.done = done
        self.ran.append(ran)

    def _stopped(self, world: World, ran: Ran) -> None:  # demo stations have one connector
        ran.stops += 1
        if ran.stop_wh is None:
            ran.stop_wh = world.plant.register_wh(ran.connector)


@dataclass(slots=True)
class Verdict:
    """What the stations ran against what the journal says."""

    ran: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)

    def __str__(self) -> str:
        return "; ".join([*self.lost, *self.doubled, *self.wrong]) or f"{self.ran} transactions, each once"


def compare(ran: Sequence[Ran], facts: Sequence[Envelope], *, began_at_plug: bool = False) -> Verdict:
    """Match every transaction of the stations with the journal's facts: by the id that the station was given (1.6), by
    the name that it gave (2.0.1). ``began_at_plug``: a 2.0.1 transaction that nobody authorised is no session."""
    verdict = Verdict(ran=len(ran))
    starts = [(e, e.data) for e in facts if isinstance(e.data, ev.TransactionStarted)]
    stops = [e.data for e in facts if isinstance(e.data, ev.TransactionStopped)]
    by_id = {data.transaction_id: data for _, data in starts}
    numbers = {e.key: data.transaction_id for e, data in starts}
    stops_of = Counter(stop.transaction_id for stop in stops)
    stop_by_id = {stop.transaction_id: stop for stop in stops}
    if len(by_id) != len(starts):
        verdict.doubled.append("a transaction id was given twice")
    verdict.doubled += [
        f"{key} stands {count} times in the journal" for key, count in Counter(e.key for e, _ in starts).items() if count > 1
    ]
    for r in ran:
        if r.own_id is not None:
            r.transaction_id = numbers.get(f"start/{r.connector.station_id}|2.0.1|{r.own_id}")
    known = {r.transaction_id for r in ran}
    verdict.doubled += [f"{d.connector} {number}: no station ran it" for number, d in by_id.items() if number not in known]
    for number, count in Counter(r.transaction_id for r in ran if r.transaction_id is not None).items():
        if count > 1:
            verdict.doubled.append(f"transaction {number} was given to {count} sessions")
    for r in ran:
        if r.transaction_id is None or r.transaction_id not in by_id:
            if not (began_at_plug and r.own_id is not None and (r.stop_wh is None or r.stop_wh - r.start_wh <= METER_TOLERANCE_WH)):
                verdict.lost.append(f"{r.name}: no start in the journal")
            continue
        if by_id[r.transaction_id].connector != r.connector:
            verdict.wrong.append(f"{r.name}: the journal has it at {by_id[r.transaction_id].connector}")
        if r.stop_wh is None:
            if stops_of[r.transaction_id]:
                verdict.wrong.append(f"{r.name}: runs, and the journal has a stop")
            continue
        if stops_of[r.transaction_id] != 1:
            (verdict.doubled if stops_of[r.transaction_id] else verdict.lost).append(f"{r.name}: {stops_of[r.transaction_id]} stops")
            continue
        _energy(verdict, r, by_id[r.transaction_id], stop_by_id[r.transaction_id])
    return verdict


def _energy(verdict: Verdict, ran: Ran, start: ev.TransactionStarted, stop: ev.TransactionStopped) -> None:
    """The journal's energy is the register's; a station that counts whole kWh is that much coarser."""
    flowed_wh = (ran.stop_wh or 0.0) - ran.start_wh
    said_wh = stop.meter_stop_wh - start.meter_start_wh
    request = ran.start.build()
    coarse = hasattr(request, "meter_start") and request.meter_start < ran.start_wh / 100  # it wrote whole kWh
    if abs(said_wh - flowed_wh) > (KWH_TOLERANCE_WH if coarse else METER_TOLERANCE_WH):
        verdict.wrong.append(f"{ran.name}: {said_wh} Wh in the journal, {flowed_wh:.0f} Wh flowed{', estimated' if stop.estimated else ''}")


class JudgesDisagree(AssertionError):
    """Two judges that share no line say different things of one trace."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A trace as judged. ``second``: what the shared judge says of it, None where there is none."""

    slots: TraceSlots
    second: dict[str, Any] | None

    @property
    def violations(self) -> int:
        return self.slots.violations

    def row(self) -> dict[str, object]:
        """For an evidence line."""
        return {"violations": self.violations, "ramping_kws": round(self.slots.ramping_kws, 1), "judges": 1 if self.second is None else 2}


def judge(lines: Iterable[str], folder: Path) -> Judged:
    """Judge a trace; one that is still being written ends where it has come to. ``folder``: where it is kept for others
    to judge. Raises :class:`JudgesDisagree`."""
    text = [line for line in lines if line.strip()]
    last = json.loads(text[-1])
    if last["kind"] != "end":
        text.append(json.dumps({"t": last["t"], "kind": "end"}) + "\n")
    slots = trace_to_slots(text)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trace.jsonl"
    path.write_text("".join(text), encoding="utf-8")
    second = shared_verdict(path)
    if second is not None and (second["violating_kws"] > 0) != (slots.violations > 0):
        raise JudgesDisagree(f"{slots.violations} violations here, {second['violating_kws']} kWs there: {path}")
    return Judged(slots, second)


def shared_verdict(path: Path, *, comply_s: float = 5.0) -> dict[str, Any] | None:
    """What the shared judge says of a trace; None where there is no such judge."""
    if not SHARED_JUDGE.is_file():
        return None
    done = subprocess.run(
        [sys.executable, str(SHARED_JUDGE), str(path), "--comply", f"{comply_s:g}"], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise ValueError(f"{path}: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
