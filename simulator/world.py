"""The world outside of the controller: plays a day's vehicles and background against the plant and its stations."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Self

from depot.ports import Clock
from depot.registry import Current, StationSpec
from depot.values import ConnectorId
from simulator.agenda import Agenda
from simulator.connection import Connect
from simulator.day import Day, Stay
from simulator.personas import BEHAVIOURS, Persona, rng_for
from simulator.plant import ConnectionPointMeter, Outcome, Plant
from simulator.station import Station
from simulator.trace import Trace
from simulator.voice import Voice
from simulator.voice21 import Voice21
from simulator.voice201 import Voice201

ID_TAG_LENGTH = 20
"""OCPP 1.6 §7.28: an IdToken has at most 20 characters."""

_REPLUG_PAUSE_S = 15.0
_BOOTS_S = (8.0, 40.0)
"""What a station takes from the return of power until it connects."""

RESUMES_SHARE = 0.3
"""Of the stations that lose power take so many their sessions up again."""


class World:
    """``day`` with its stations, one :class:`~simulator.personas.Persona` each (polite where ``personas`` names none).

    ``connect(station_id)`` opens a station's wire, for what ``stations[station_id].voice`` speaks. ``share_201``: fraction
    of the stations that speak OCPP 2.0.1, drawn by ``seed``; the others speak 1.6, and those that give power 2.1.
    ``autostart``: vehicles start by their
    own id tag. A vehicle whose session ended so that only a re-plug helps gets one after ``replug_after_s`` (None: never).
    ``rate_units``: what a station takes in profiles, else drawn by ``seed``. The callbacks are called, and must return, at
    once: ``on_arrival`` just before a vehicle is plugged in, ``on_departure`` after it left, ``on_limit`` when the day
    changes the site's limit (the plant has it already).

    ``high_level``: stations of 2.0.1 whose vehicles speak ISO 15118 (:mod:`simulator.high_level`).

    ``async with`` starts the stations; :meth:`run` plays the day to its end. Times are seconds from ``day.start``.
    """

    def __init__(
        self,
        day: Day,
        *,
        personas: Mapping[str, Persona],
        seed: int,
        clock: Clock,
        connect: Connect,
        trace: Trace | None = None,
        autostart: bool = False,
        share_201: float = 0.0,
        replug_after_s: float | None = 1200.0,
        rate_units: Mapping[str, tuple[str, ...]] | None = None,
        on_arrival: Callable[[Stay], None] | None = None,
        on_departure: Callable[[Stay], None] | None = None,
        on_limit: Callable[[int], None] | None = None,
        high_level: Collection[str] = (),
    ) -> None:
        self.day = day
        self.outcomes: list[Outcome] = []
        self.agenda = Agenda(clock)
        self.plant = Plant(day, clock=clock, agenda=self.agenda, trace=trace)
        self.meter = ConnectionPointMeter(self.plant, clock)
        modern = stations_201([spec.station_id for spec in day.spec.stations], seed, share_201)
        self.stations = {
            spec.station_id: Station(
                spec,
                plant=self.plant,
                clock=clock,
                agenda=self.agenda,
                connect=connect,
                behaviour=BEHAVIOURS[personas.get(spec.station_id, Persona.POLITE)],
                rng=rng_for(seed, spec.station_id),
                rate_units=(rate_units or {}).get(spec.station_id) or _rate_units(spec, seed),
                autostart=autostart,
                voice=Voice21() if gives(spec) else _voice(spec.station_id, seed) if spec.station_id in modern else None,
                on_spent=self._spent,
                high_level=spec.station_id in modern and spec.station_id in high_level,
            )
            for spec in day.spec.stations
        }
        self._clock = clock
        self._replug_after_s = replug_after_s
        self._on_arrival = on_arrival or _nothing
        self._on_departure = on_departure or _nothing
        self._on_limit = on_limit or _nothing
        self._cuts = 0
        self._base_w = day.base_w[0][1] if day.base_w else 0
        self._power_rng = rng_for(seed, "power cuts")
        self._present: dict[ConnectorId, Stay] = {}
        self._queues: dict[ConnectorId, deque[Stay]] = {}
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._tasks.append(self._group.create_task(self.agenda.run(), name="agenda"))
        for station_id, station in self.stations.items():
            self._tasks.append(self._group.create_task(station.run(), name=station_id))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(kind, error, where)

    async def run(self) -> list[Outcome]:
        """Play the day; returns how every stay ended, in the order of departure (also in ``outcomes``).

        Stays that begin after the day's end, or end before they begin, are left out; vehicles still there at its end leave then.
        """
        for t, what in self._script():
            wait = t - self._t()
            if wait > 0:
                await self._clock.sleep(wait)
            what()
        await self._clock.sleep(self.day.duration_s - self._t())
        for stay in [*self._present.values(), *(waiting for queue in self._queues.values() for waiting in queue)]:
            self.depart(stay)
        self.plant.end()
        return self.outcomes

    def _t(self) -> float:
        """Seconds since the day's start, negative before."""
        return (self._clock.now() - self.day.start).total_seconds()

    def _script(self) -> list[tuple[float, Callable[[], None]]]:
        """Everything that the day does by itself, in order; at one moment vehicles leave before others come."""
        end = self.day.duration_s
        script: list[tuple[float, int, int, Callable[[], None]]] = []

        def add(t: float, rank: int, what: Callable[[], None]) -> None:
            if t < end:
                script.append((t, rank, len(script), what))

        for t, w in self.day.base_w:
            add(t, 0, lambda w=w: self._set_base(w))  # type: ignore[misc]  # a default binds the loop's value
        for t, w in self.day.limits:
            add(t, 1, lambda w=w: self._limit(w))  # type: ignore[misc]  # as above
        for t, lasts_s in self.day.power_cuts:
            add(t, 1, lambda lasts_s=lasts_s: self.power_cut(lasts_s))  # type: ignore[misc]  # as above
        for stay in self.day.stays:
            if stay.arrive_s < min(end, stay.depart_s):
                add(stay.depart_s, 2, lambda stay=stay: self.depart(stay))  # type: ignore[misc]  # as above
                add(stay.arrive_s, 3, lambda stay=stay: self.arrive(stay))  # type: ignore[misc]  # as above
        return [(t, what) for t, _, _, what in sorted(script, key=lambda row: row[:3])]

    def power_cut(self, lasts_s: float) -> None:
        """The mains of the whole site are gone for ``lasts_s``: nothing flows, sockets hang, stations boot when it is over,
        each in its own time; some take their sessions up again, the others have ended them."""
        self._cuts += 1
        self.plant.set_base(0)
        for station in self.stations.values():
            boots_s = self._power_rng.uniform(*_BOOTS_S)
            station.power_lost(lasts_s + boots_s, resumes=self._power_rng.random() < RESUMES_SHARE)
        self.agenda.after(lasts_s, self._power_back)

    def _power_back(self) -> None:
        self._cuts -= 1
        self._set_base(self._base_w)

    def _set_base(self, w: int) -> None:
        self._base_w = w
        if not self._cuts:
            self.plant.set_base(w)

    def _limit(self, w: int) -> None:
        self.plant.set_limit("site", w)
        self._on_limit(w)

    def arrive(self, stay: Stay) -> None:
        """A vehicle comes: it is plugged in, or waits where another one still stands. Also for who comes uninvited."""
        if stay.connector in self._present:
            self._queues.setdefault(stay.connector, deque()).append(stay)
            return
        self._present[stay.connector] = stay
        self._on_arrival(stay)
        self.plant.plug(stay)
        self._station(stay).plugged(stay.connector.connector, id_tag(stay))

    def depart(self, stay: Stay) -> None:
        """It leaves, whether it was plugged in or still waited."""
        if self._present.get(stay.connector) is not stay:
            queue = self._queues.get(stay.connector)
            if queue is None or stay not in queue:
                return  # it has left already
            queue.remove(stay)
            self.outcomes.append(self.plant.leave(stay, None))
            return
        del self._present[stay.connector]
        vehicle = self.plant.unplug(stay.connector)
        self._station(stay).unplugged(stay.connector.connector)
        self.outcomes.append(self.plant.leave(stay, vehicle))
        self._on_departure(stay)
        if queue := self._queues.get(stay.connector):
            self.arrive(queue.popleft())

    def _spent(self, key: ConnectorId) -> None:
        """A session ended that only a re-plug revives: somebody walks over after a while."""
        stay = self._present.get(key)
        if stay is not None and self._replug_after_s is not None:
            self.agenda.after(self._replug_after_s, lambda: self._unplug_and_plug(key, stay))

    def _unplug_and_plug(self, key: ConnectorId, stay: Stay) -> None:
        if self._present.get(key) is stay:
            self._station(stay).unplugged(key.connector)
            self.agenda.after(_REPLUG_PAUSE_S, lambda: self._plug_again(key, stay))

    def _plug_again(self, key: ConnectorId, stay: Stay) -> None:
        if self._present.get(key) is stay:
            self._station(stay).plugged(key.connector, id_tag(stay))

    def _station(self, stay: Stay) -> Station:
        return self.stations[stay.connector.station_id]


def id_tag(stay: Stay) -> str:
    """The id tag that the vehicle's driver presents: the vehicle's id, as much of it as OCPP takes."""
    return stay.vehicle_id[:ID_TAG_LENGTH]


def stations_201(stations: Sequence[str], seed: int, share: float) -> frozenset[str]:
    """Those that speak OCPP 2.0.1: the nearest whole number of stations. Raises ValueError for a share that is none."""
    if not 0 <= share <= 1:
        raise ValueError(f"a share of stations is between 0 and 1, not {share}")
    return frozenset(rng_for(seed, "protocols").sample(list(stations), round(share * len(stations))))


def gives(spec: StationSpec) -> bool:
    """Whether a station has a connector that gives power: it speaks OCPP 2.1 then."""
    return any(connector.discharge_w for connector in spec.connectors)


def _voice(station_id: str, seed: int) -> Voice:
    """Half of the 2.0.1 stations begin a transaction with the plug, half with the authorisation (TxStartPoint); half
    name no unit in the registers of transactions."""
    rng = rng_for(seed, f"{station_id} voice")
    return Voice201(starts_at_plug=rng.random() < 0.5, unlabelled=rng.random() < 0.5)


def _rate_units(spec: StationSpec, seed: int) -> tuple[str, ...]:
    """Most stations take both units, some only one; DC stations never only A."""
    rng = rng_for(seed, f"{spec.station_id} units")
    dc = any(connector.current is Current.DC for connector in spec.connectors)
    return rng.choices([("W", "A"), ("W",), ("A",)], [0.5, 0.5, 0.0] if dc else [0.6, 0.2, 0.2])[0]


def _nothing(_: object) -> None:
    """Nobody asked to be told."""
