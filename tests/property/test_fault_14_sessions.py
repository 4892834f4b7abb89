"""Fault 14: transaction messages that are doubled, out of order or a day late give the sessions of the in-order history.

Metamorphic: hypothesis draws what two connectors of one station really did, then a way in which the messages about it
come in: repeated, measurements moved, the queue of a station that was cut off for 24 h, and the controller's charger side
restarting in between. The journal must hold the same sessions with the same energy. The real desk and journal answer, on
the virtual clock, in 1.6 and 2.0.1.

In 2.0.1 the beginning of a transaction comes before its other events, however often each is repeated: of one whose
first event is lost for good, what flowed before the second one is known only if the last one repeats the register.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import controller
from benchmarks.evidence import proof
from controller.clock import VirtualClock, run_virtual
from controller.core import Core, CoreParts
from controller.desk import DeskSettings
from controller.journal import SqlJournal
from controller.planner import InlinePlanner
from controller.traffic import LoopSettings
from depot.events import TransactionStarted, TransactionStopped
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from grid.tariff import Tariff
from ocpp_server import v16, v201
from ocpp_server.desks import Desks
from ocpp_server.session import CallReceived, Payload
from ocpp_server.skew import wire_time
from ocpp_server.station import Station
from storage import Store

START = datetime.fromisoformat("2026-03-01T18:00:00+00:00")
DAY_S = 86_400.0
AC = [ConnectorSpec(n, 22_080, 4_140, Current.AC, (1, 2, 3)) for n in (1, 2)]
SPEC = DepotSpec("d", "D", 100_000, 20_000, 5_000, (FeederSpec("F", 100_000),), (StationSpec("CP1", "F", tuple(AC)),))


@dataclass(frozen=True, slots=True)
class Charge:
    """One session as it happened: ``steps_wh`` is what flowed between two samples, one each five minutes."""

    connector: int
    tag: str
    begin_s: float
    start_wh: int
    steps_wh: tuple[int, ...]

    @property
    def total(self) -> tuple[str, str, int]:
        return f"CP1/{self.connector}", self.tag, sum(self.steps_wh)


@dataclass(frozen=True, slots=True)
class Told:
    """One message. ``first``: it begins its session; ``moves``: it may come at any later time."""

    charge: int
    at_s: float
    action: str
    payload: Payload
    first: bool = False
    moves: bool = False


@st.composite
def histories(draw: st.DrawFn) -> list[Charge]:
    """One to four sessions on two connectors, each after the one before it on its connector; registers run on."""
    free_s, register = {1: 60.0, 2: 90.0}, {1: 10_000, 2: 700_000}
    found = []
    for n in range(draw(st.integers(1, 4))):
        connector = draw(st.sampled_from((1, 2)))
        steps = tuple(draw(st.lists(st.integers(0, 1_800), min_size=1, max_size=5)))
        found.append(Charge(connector, f"TAG{n}", free_s[connector], register[connector], steps))
        register[connector] += sum(steps)
        free_s[connector] += len(steps) * 300 + draw(st.sampled_from((30.0, 600.0)))
    return found


def samples(charge: Charge) -> list[tuple[float, int]]:
    """(seconds, register) after each step but the last."""
    return [(charge.begin_s + 300 * k, charge.start_wh + sum(charge.steps_wh[:k])) for k in range(1, len(charge.steps_wh))]


def ended(charge: Charge) -> tuple[float, int]:
    return charge.begin_s + 300 * len(charge.steps_wh), charge.start_wh + sum(charge.steps_wh)


def stamp(at_s: float) -> str:
    return wire_time(START + timedelta(seconds=at_s))


def in_16(charges: list[Charge]) -> list[Told]:
    """What a 1.6 station says, in order. The transaction's number is put in when it is known."""
    told = []
    for n, c in enumerate(charges):
        begin = {"connectorId": c.connector, "idTag": c.tag, "meterStart": c.start_wh, "timestamp": stamp(c.begin_s)}
        told.append(Told(n, c.begin_s, "StartTransaction", begin, first=True))
        for at_s, wh in samples(c):
            value = [{"timestamp": stamp(at_s), "sampledValue": [{"value": str(wh), "measurand": "Energy.Active.Import.Register"}]}]
            told.append(Told(n, at_s, "MeterValues", {"connectorId": c.connector, "meterValue": value}, moves=True))
        at_s, wh = ended(c)
        told.append(Told(n, at_s, "StopTransaction", {"meterStop": wh, "timestamp": stamp(at_s), "reason": "EVDisconnected"}))
    return sorted(told, key=lambda t: t.at_s)


def in_201(charges: list[Charge], *, offline: bool) -> list[Told]:
    """What a 2.0.1 station says, in order."""
    told = []
    for n, c in enumerate(charges):
        stop_s, stop_wh = ended(c)
        rows = [("Started", c.begin_s, c.start_wh, "EVConnected"), ("Updated", c.begin_s + 2, c.start_wh, "Charging")]
        rows += [("Updated", at_s, wh, "Charging") for at_s, wh in samples(c)]
        rows.append(("Ended", stop_s, stop_wh, "Idle"))
        for seq, (kind, at_s, wh, state) in enumerate(rows):
            payload: Payload = {
                "eventType": kind, "triggerReason": "ChargingStateChanged", "seqNo": seq, "timestamp": stamp(at_s),
                "transactionInfo": {"transactionId": f"tx-{n}", "chargingState": state}, "evse": {"id": c.connector, "connectorId": 1},
                "meterValue": [{"timestamp": stamp(at_s), "sampledValue": [{"value": wh}]}], "offline": offline,
            }  # fmt: skip
            if seq == 0:
                payload["idToken"] = {"idToken": c.tag, "type": "ISO14443"}
            told.append(Told(n, at_s, "TransactionEvent", payload, first=seq == 0, moves=kind == "Updated"))
    return sorted(told, key=lambda t: t.at_s)


def disordered(told: list[Told], rng: random.Random, *, repeats: int, moves: int) -> list[Told]:
    """Measurements move to any time after their session's beginning, and any message comes again after its first time."""
    out = list(told)
    for _ in range(moves):
        movable = [t for t in out if t.moves]
        if movable:
            one = rng.choice(movable)
            out.remove(one)
            begin = next(i for i, t in enumerate(out) if t.first and t.charge == one.charge)
            out.insert(rng.randint(begin + 1, len(out)), one)
    for _ in range(repeats):
        one = rng.choice(out)
        out.insert(rng.randint(out.index(one) + 1, len(out)), one)
    return out


def sessions(told: list[Told], *, modern: bool, cut_off_at: int | None, restarts: frozenset[int]) -> list[tuple[str, str, int]]:
    """Tell the real desk; what its journal has then: (connector, tag, energy) of each session, in no order."""

    async def main(clock: VirtualClock) -> list[tuple[str, str, int]]:
        store = Store.open(None)
        store.migrate([controller])
        facts: list[Any] = []
        async with SqlJournal(store, "d", clock=clock, writer="inline", snapshot_every=0) as journal:
            journal.subscribe(lambda envelopes, _: facts.extend(e.data for e in envelopes))
            tariff = Tariff.named("stylised-tou", timezone="Asia/Kolkata")
            slow = LoopSettings(period_s=600.0)  # nobody charges here by its word
            desk = DeskSettings(accept_unknown_tags=True)
            core = Core(CoreParts(SPEC, journal, clock, InlinePlanner(clock), tariff, desk=desk, loop=slow, look_s=3600.0))
            running = asyncio.create_task(core.run())
            await asyncio.sleep(1)
            await _tell(told, core, clock, modern=modern, cut_off_at=cut_off_at, restarts=restarts)
            await asyncio.sleep(60)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        store.close()
        started = {e.transaction_id: e for e in facts if isinstance(e, TransactionStarted)}
        stops = [e for e in facts if isinstance(e, TransactionStopped)]
        assert len({e.transaction_id for e in stops}) == len(stops), "a session ends once"
        assert set(started) == {e.transaction_id for e in stops}
        assert not any(e.estimated for e in stops)
        return sorted(
            (str(e.connector), started[e.transaction_id].id_tag, e.meter_stop_wh - started[e.transaction_id].meter_start_wh) for e in stops
        )

    return run_virtual(main, start=START)


async def _tell(
    told: list[Told], core: Core, clock: VirtualClock, *, modern: bool, cut_off_at: int | None, restarts: frozenset[int]
) -> None:
    kind: Callable[..., Any] = v201.Inbound if modern else v16.Inbound
    inbound: Any = None
    numbers: dict[int, int] = {}
    for n, one in enumerate(told):
        if inbound is None or n in restarts:
            station = Station(SPEC.stations[0], known_probe=None, now=clock.now())
            inbound = kind(
                station, events=core.desk, clock=clock, jitter=0.0, replay_age_s=120.0, boot_answered=lambda _: None,
                desks=Desks(),
            )  # fmt: skip
        if n == cut_off_at:
            await clock.sleep(DAY_S)
        elif cut_off_at is None or n < cut_off_at:
            await clock.sleep(one.at_s - (clock.now() - START).total_seconds())  # what is out of order comes at once
        payload = one.payload
        if not modern and not one.first:
            payload = {**payload, "transactionId": numbers[one.charge]}
        call = CallReceived(f"m{n}", one.action, payload, n)
        answer = inbound.immediate(call)
        answer = await inbound.handle(call) if answer is None else answer
        if one.action == "StartTransaction":
            assert numbers.setdefault(one.charge, answer["transactionId"]) == answer["transactionId"], "a repeated start has one answer"


EXAMPLES = 25


def check(modern: bool) -> int:
    count = 0

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        charges=histories(),
        rng=st.randoms(use_true_random=False),
        repeats=st.integers(0, 6),
        moves=st.integers(0, 4),
        late=st.booleans(),
        lives=st.integers(1, 3),
    )
    def holds(charges: list[Charge], rng: random.Random, repeats: int, moves: int, late: bool, lives: int) -> None:
        nonlocal count
        count += 1
        in_order = in_201(charges, offline=late) if modern else in_16(charges)
        sent = disordered(in_order, rng, repeats=repeats, moves=moves)
        cut_off_at = rng.randrange(len(sent)) if late else None
        restarts = frozenset(rng.randrange(1, len(sent)) for _ in range(lives - 1)) if len(sent) > 1 else frozenset()
        truth = sorted(charge.total for charge in charges)
        assert sessions(in_order, modern=modern, cut_off_at=None, restarts=frozenset()) == truth
        assert sessions(sent, modern=modern, cut_off_at=cut_off_at, restarts=restarts) == truth

    holds()
    return count


def test_fault_14_whatever_comes_again_or_late_in_1_6_the_sessions_are_those_of_the_history() -> None:
    with proof(14, "sessions_16") as row:
        row["n"] = check(modern=False)


def test_fault_14_whatever_comes_again_or_late_in_2_0_1_the_sessions_are_those_of_the_history() -> None:
    with proof(14, "sessions_201") as row:
        row["n"] = check(modern=True)
