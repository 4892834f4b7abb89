"""What the journal tells the lake: trips and resets for the records of packs' lives, capacities of packs. Reads only.

depot database (read only) --since the last look--> Lake.fact()        polled; the core sends nothing for it and waits for nothing
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.codec import EventCodec
from controller.journal_store import events_since
from depot import events as ev
from depot.fleet import Pack
from depot.reference_tests import ReferenceOutcome
from depot.value_assumptions import AssumedNumber
from depot.values import PackKey
from storage import StorageError, Store

if TYPE_CHECKING:
    from bms_bridge.lake.engine import Lake

log = logging.getLogger(__name__)

TYPES: Final = (ev.PackTripped.TYPE, ev.PackReset.TYPE)
REGISTRY: Final = (ev.PackRegistered.TYPE, ev.PackRemoved.TYPE)
TESTS: Final = (ev.ReferenceTestBegan.TYPE, ev.ReferenceTestEnded.TYPE)
ASSUMPTIONS: Final = (ev.ValueAssumptionChanged.TYPE,)
TESTS_KEPT: Final = 20
_AT_ONCE = 1_000


@dataclass(slots=True)
class TestFact:
    """A reference test that began; ``ended_at`` None: it is under way. ``done``: it ran to its end."""

    __test__ = False

    test_id: str
    began_at: datetime
    ended_at: datetime | None = None
    done: bool = False


class JournalFacts:
    """Used by one thread. ``micros``: of a time."""

    def __init__(self, database: Path, depot_id: str, *, micros: Callable[..., int]) -> None:
        self._database = database
        self._depot_id = depot_id
        self._micros = micros
        self._codec = EventCodec()
        self._store: Store | None = None
        self._packs: dict[PackKey, Pack] = {}
        self._registry_seq = 0
        self._tests: dict[str, list[TestFact]] = {}
        self._tests_seq = 0
        self._assumptions: dict[str, AssumedNumber] = {}
        self._assumptions_seq = 0

    def capacity_of(self, pack: PackKey) -> int | None:
        """Wh of the pack when new, as registered."""
        found = self._packs.get(pack)
        return None if found is None else found.capacity_wh

    def told_of(self, pack: PackKey) -> dict[str, object]:
        """What the registry says of a pack, for its history."""
        found = self._packs.get(pack)
        return {} if found is None else {"chemistry": found.chemistry, "capacity_wh": found.capacity_wh, "cells": found.cells}

    def pack_of(self, pack: PackKey) -> Pack | None:
        """As registered; see :meth:`read_registry`."""
        return self._packs.get(pack)

    def tests_of(self, vehicle_id: str) -> Sequence[TestFact]:
        """The newest reference tests of a vehicle, oldest first; see :meth:`read_tests`."""
        return self._tests.get(vehicle_id, ())

    def read_tests(self) -> None:
        """Read what is new of reference tests. Raises :class:`storage.StorageError`."""
        store = self._opened()
        while found := events_since(store, self._depot_id, self._codec, types=TESTS, after=self._tests_seq, most=_AT_ONCE):
            for envelope in found:
                match envelope.data:
                    case ev.ReferenceTestBegan(test_id, vehicle_id):
                        kept = self._tests.setdefault(vehicle_id, [])
                        kept.append(TestFact(test_id, envelope.occurred_at))
                        del kept[:-TESTS_KEPT]
                    case ev.ReferenceTestEnded(test_id, vehicle_id, outcome):
                        for test in self._tests.get(vehicle_id, ()):
                            if test.test_id == test_id:
                                test.ended_at, test.done = envelope.occurred_at, outcome is ReferenceOutcome.DONE
            self._tests_seq = found[-1].seq

    @property
    def assumptions(self) -> Mapping[str, AssumedNumber]:
        """What people put in the place of assumptions of residual values; see :meth:`read_assumptions`."""
        return self._assumptions

    def read_assumptions(self) -> None:
        """Read what is new of them. Raises :class:`storage.StorageError`."""
        store = self._opened()
        while found := events_since(store, self._depot_id, self._codec, types=ASSUMPTIONS, after=self._assumptions_seq, most=_AT_ONCE):
            for envelope in found:
                match envelope.data:
                    case ev.ValueAssumptionChanged(name, number):
                        self._assumptions.pop(name, None)
                        if number is not None:
                            self._assumptions[name] = number
            self._assumptions_seq = found[-1].seq

    def read_registry(self) -> None:
        """Read what the registry has new, without a lake. Raises :class:`storage.StorageError`."""
        self._read_registry(self._opened())

    def read(self, lake: Lake) -> int | None:
        """Tell the lake what is new. Up to where the journal was read; None: it could not be."""
        try:
            store = self._opened()
            self._read_registry(store)
            seq = lake.facts_seq
            while found := events_since(store, self._depot_id, self._codec, types=TYPES, after=seq, most=_AT_ONCE):
                for envelope in found:
                    self._tell(lake, envelope)
                seq = found[-1].seq
        except StorageError as error:
            log.debug("the journal cannot be read now: %s", error)
            return None
        return seq

    def _tell(self, lake: Lake, envelope: ev.Envelope) -> None:
        at_us = self._micros(envelope.occurred_at)
        match envelope.data:
            case ev.PackTripped(pack, cause):
                lake.fact(pack, at_us=at_us, seq=envelope.seq, cause=cause)
            case ev.PackReset(pack):
                lake.fact(pack, at_us=at_us, seq=envelope.seq, cause=None)

    def _read_registry(self, store: Store) -> None:
        while found := events_since(store, self._depot_id, self._codec, types=REGISTRY, after=self._registry_seq, most=_AT_ONCE):
            for envelope in found:
                match envelope.data:
                    case ev.PackRegistered(pack):
                        self._packs[pack.key] = pack
                    case ev.PackRemoved(key):
                        self._packs.pop(key, None)
            self._registry_seq = found[-1].seq

    def _opened(self) -> Store:
        if self._store is None:
            self._store = Store.open(self._database, read_only=True)
        return self._store

    def packs(self) -> Mapping[PackKey, Pack]:
        """What is registered now. Raises :class:`~storage.StorageError`."""
        self._read_registry(self._opened())
        return self._packs

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
