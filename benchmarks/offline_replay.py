"""Ten thousand transactions that stations ran while they were cut off, told in any order, again and again, to a core that is killed.

    python -m benchmarks.offline_replay [--transactions 10000] [--stations 50] [--kills 5] [--again 0.1] [--seed 1]

Stations with two connectors each hold weeks of starts, meter values and stops (:mod:`benchmarks.faultkit.history`) and tell them to
the real core, journal on: the connectors of all of them in any order among each other, ``--again`` of all messages a second time
under another message id, some steps later. The core is killed (kill -9) ``--kills`` times meanwhile; stations connect anew, boot,
and repeat what was not answered. Then the journal is read and compared with the history as it ran: how many transactions and how
much energy each station and each card has, which stops have no start, that no transaction id was given twice, that a start keeps
its charger's time, and that nothing was granted for a session that is long over. Exit 1 where one is not as it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.evidence import write_evidence
from benchmarks.faultkit.history import UNKNOWN_FROM, History, Step, Totals, offline_history
from benchmarks.herd import Herd, HerdStation
from benchmarks.message_load import end_core, listening, settle, start_core
from benchmarks.reconnect_storm import yard_of
from controller.replay import replay
from controller.settings import Settings
from depot import events as ev
from depot.events import Envelope
from depot.registry import DepotSpec
from depot.values import ConnectorId
from storage import Store

CONNECTORS = 2
ANSWER_S = 30.0
LATER_STEPS = 12
"""Of so many messages that wait to be told again, any may be the next."""


class Teller(HerdStation):
    """A station that tells its queues: one message at a time, the next one of any of its connectors, or one said before.
    ``wrong``: answers that were not as they must be, in words."""

    __slots__ = ("again", "messages", "queues", "repeats", "rng", "unknown", "wrong")

    def prepare(self, queues: dict[int, list[Step]], *, rng: random.Random, again: float, unknown: Iterator[int]) -> None:
        """What it has to tell; ``again``: the share of it that is told twice."""
        self.queues = queues
        self.rng = rng
        self.again = again
        self.unknown = unknown
        self.repeats: list[Step] = []
        self.messages = 0
        self.wrong: list[str] = []

    def status(self, word: str) -> None:
        """Nothing is plugged in anywhere, now."""
        del word
        for number in range(1, CONNECTORS + 1):
            self.call("StatusNotification", f'{{"connectorId":{number},"errorCode":"NoError","status":"Available"}}', _unheard)

    async def tell(self, core: Core) -> None:
        """Everything, however often the core dies meanwhile."""
        while True:
            repeated = bool(self.repeats) and (not self.queues or self.rng.random() < 2 * self.again / (1 + 2 * self.again))
            if repeated:
                place = self.rng.randrange(min(len(self.repeats), LATER_STEPS))
                step = self.repeats[place]
            elif self.queues:
                number = self.rng.choice(list(self.queues))
                step = self.queues[number][0]
            else:
                return
            answer = await self._ask(step, core)
            self.messages += 1
            core.told()
            if step.kind == "start":
                given = answer["transactionId"]
                if step.told.number is not None and step.told.number != given:
                    self.wrong.append(f"{step.told.connector}: a start was answered {step.told.number}, then {given}")
                step.told.number = int(str(given))
            if repeated:
                del self.repeats[place]
                continue
            del self.queues[number][0]
            if not self.queues[number]:
                del self.queues[number]
            if self.rng.random() < self.again:
                self.repeats.append(step)

    async def _ask(self, step: Step, core: Core) -> dict[str, object]:
        """Until it is answered; each time under a new message id."""
        while True:
            answered: asyncio.Future[bytes] = self.herd.loop.create_future()

            def done(_seconds: float, body: bytes, answered: asyncio.Future[bytes] = answered) -> None:
                if not answered.done():
                    answered.set_result(body)

            with contextlib.suppress(TimeoutError, OSError):
                if self.closed:
                    await core.up()
                    await self.connect()
                    await asyncio.wait_for(self.herd.boot(self), ANSWER_S)
                self.call(*self._message(step), done)
                ended = asyncio.ensure_future(self._gone())
                await asyncio.wait((answered, ended), timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
                ended.cancel()
                if answered.done():
                    kind, _, answer, *more = json.loads(answered.result())
                    if kind == 3:
                        return dict(answer)
                    raise RuntimeError(f"{step} was refused: {answer} {more}")
            await asyncio.sleep(0.05)

    async def _gone(self) -> None:
        while not self.closed:  # noqa: ASYNC110  # a plain protocol tells nobody
            await asyncio.sleep(0.02)

    def _message(self, step: Step) -> tuple[str, str]:
        told, at = step.told, step.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        number = told.number
        if step.kind == "start":
            payload = {"connectorId": told.connector.connector, "idTag": told.tag, "meterStart": step.wh, "timestamp": at}
            return "StartTransaction", json.dumps(payload)
        if step.kind == "stop":
            if number is None:
                number = told.number = self.rng.choice((-1, next(self.unknown)))
            payload = {"transactionId": number, "idTag": told.tag, "meterStop": step.wh, "timestamp": at, "reason": "Local"}
            return "StopTransaction", json.dumps(payload)
        value = {"value": str(step.wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        values = {"connectorId": told.connector.connector, "meterValue": [{"timestamp": at, "sampledValue": [value]}]}
        return "MeterValues", json.dumps(values if number is None or number < 0 else values | {"transactionId": number})


def _unheard(_seconds: float, _body: bytes) -> None:
    """An answer that says nothing."""


class Core:
    """The core process, killed and started anew after so many messages."""

    def __init__(self, config: Path, settings: Settings, kill_at: Sequence[int]) -> None:
        self.config = config
        self.settings = settings
        self.kills = 0
        self._kill_at = sorted(kill_at)
        self._count = 0
        self._listening = asyncio.Event()
        self._due = asyncio.Event()
        self.process: subprocess.Popen[bytes] = start_core(config)

    async def up(self) -> None:
        """Wait until it listens."""
        await self._listening.wait()

    def told(self) -> None:
        """One more message was answered."""
        self._count += 1
        if self._kill_at and self._count >= self._kill_at[0]:
            self._kill_at.pop(0)
            self._due.set()

    async def run(self) -> None:
        """Kill it whenever it is due, until this is cancelled."""
        await listening(self.settings.ocpp_port)
        self._listening.set()
        while True:
            await self._due.wait()
            self._due.clear()
            self._listening.clear()
            self.process.kill()
            self.process.wait()
            self.kills += 1
            self.process = start_core(self.config)
            await listening(self.settings.ocpp_port)
            self._listening.set()


@dataclass(slots=True)
class Found:
    """What the journal says. ``wrong``: in words, whatever is not as it must be."""

    totals: Totals
    ids: int
    estimated: int
    repeats_kept: int
    granted: int
    wrong: list[str] = field(default_factory=list)


def judge(history: History, facts: Sequence[Envelope]) -> Found:
    """The journal against the history as it ran."""
    wrong: list[str] = []
    starts = [(fact, fact.data) for fact in facts if isinstance(fact.data, ev.TransactionStarted)]
    stops = {fact.data.transaction_id: fact.data for fact in facts if isinstance(fact.data, ev.TransactionStopped)}
    ids = Counter(data.transaction_id for _, data in starts)
    wrong += [f"transaction id {number} was given {count} times" for number, count in ids.items() if count > 1]
    began = {(told.connector, told.began_at.replace(microsecond=told.began_at.microsecond // 1000 * 1000)) for told in history.transactions}
    energy: dict[tuple[str, str], tuple[int, int]] = {}
    for fact, data in starts:
        stop = stops.get(data.transaction_id)
        if stop is None:
            wrong.append(f"transaction {data.transaction_id} at {data.connector} never ended")
            continue
        if (data.connector, fact.reported_at) not in began:
            wrong.append(f"transaction {data.transaction_id} at {data.connector} began at {fact.reported_at}, which its charger never said")
        count, wh = energy.get((data.connector.station_id, data.id_tag), (0, 0))
        energy[data.connector.station_id, data.id_tag] = (count + 1, wh + stop.meter_stop_wh - data.meter_start_wh)
    kept = [fact.data for fact in facts if isinstance(fact.data, ev.StopOrphaned)]
    orphans = frozenset((o.station_id, o.meter_stop_wh) for o in kept if o.transaction_id not in ids)
    totals, expected = Totals(energy, orphans), history.expected
    for key in sorted(expected.energy.keys() | energy.keys()):
        if expected.energy.get(key) != energy.get(key):
            wrong.append(f"station {key[0]}, card {key[1]}: {energy.get(key)} (count, Wh) instead of {expected.energy.get(key)}")
    if orphans != expected.orphans:
        wrong.append(f"{len(expected.orphans - orphans)} stops without a start are missing, {len(orphans - expected.orphans)} too many")
    granted = sum(isinstance(fact.data, ev.SetpointGranted) for fact in facts)
    if granted:
        wrong.append(f"{granted} times power was granted for a session that is over")
    estimated = sum(stop.estimated for stop in stops.values())
    return Found(totals, len(ids), estimated, sum(o.transaction_id in ids for o in kept), granted, wrong)


def depot_of(stations: int) -> DepotSpec:
    """The storm's yard, with two connectors at each station."""
    spec = yard_of(stations)
    wide = [replace(s, connectors=tuple(replace(s.connectors[0], connector=n) for n in range(1, CONNECTORS + 1))) for s in spec.stations]
    return replace(spec, stations=tuple(wide))


async def run(*, transactions: int, stations: int, kills: int, again: float, seed: int, folder: Path) -> dict[str, object]:
    """Tell it all, and judge what the journal says."""
    rng = random.Random(seed)
    spec = depot_of(stations)
    config, keys = settle(spec, folder)
    settings = Settings.load(config)
    history = offline_history(rng, connectors=list(spec.connectors), transactions=transactions, until=datetime.now(UTC))
    expected = sum(len(queue) for queue in history.queues.values()) * (1 + again)
    core = Core(config, settings, [round(expected * (n + rng.uniform(0.2, 0.8)) / max(1, kills)) for n in range(kills)])
    killer = asyncio.create_task(core.run())
    try:
        await core.up()
        herd = Herd(list(keys), port=settings.ocpp_port, keys=keys, kind=Teller)
        await herd.connect(within_s=max(0.5, stations / 100))
        if herd.failed:
            raise RuntimeError(f"did not come in: {herd.failed[:3]}")
        tellers = [station for station in herd.stations if isinstance(station, Teller)]
        unknown = iter(range(UNKNOWN_FROM, UNKNOWN_FROM + transactions))
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for teller in tellers:
                own = {n: q for n in range(1, CONNECTORS + 1) if (q := history.queues.get(ConnectorId(teller.station_id, n)))}
                teller.prepare(own, rng=random.Random(f"{seed}/{teller.station_id}"), again=again, unknown=unknown)
                group.create_task(teller.tell(core))
        took_s = time.monotonic() - began
        herd.cut_all()
    finally:
        killer.cancel()
        await asyncio.gather(killer, return_exceptions=True)
        end_core(core.process)
    facts: list[Envelope] = []
    with Store.open(settings.database, read_only=True) as store:
        same = replay(store, spec.depot_id, show=facts.append).same
    found = judge(history, facts)
    found.wrong += [text for teller in tellers for text in teller.wrong]
    if not same:
        found.wrong.append("the snapshot and the facts disagree")
    for text in found.wrong[:10]:
        print(text)
    messages = sum(teller.messages for teller in tellers)
    return {
        "transactions": transactions,
        "stations": stations,
        "messages": messages,
        "kills": core.kills,
        "in_journal": found.totals.count,
        "transaction_ids": found.ids,
        "energy_kwh": round(found.totals.energy_wh / 1000),
        "energy_expected_kwh": round(history.expected.energy_wh / 1000),
        "ghosts": found.estimated,
        "orphans": len(found.totals.orphans),
        "late_repeats": found.repeats_kept,
        "granted": found.granted,
        "wrong": len(found.wrong),
        "seconds": round(took_s, 1),
        "per_s": round(messages / took_s),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", type=int, default=10_000)
    parser.add_argument("--stations", type=int, default=50)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--again", type=float, default=0.1, help="share of the messages that is told twice")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chargeyard-offline-") as folder:
        row = asyncio.run(
            run(
                transactions=options.transactions, stations=options.stations, kills=options.kills,
                again=options.again, seed=options.seed, folder=Path(folder),
            )
        )  # fmt: skip
    result = "broken" if row["wrong"] else "held"
    print(write_evidence("offline_replay", {"fault": "offline_replay", "result": result, **row, "seed": options.seed}))
    return 0 if result == "held" else 1


if __name__ == "__main__":
    sys.exit(main())
