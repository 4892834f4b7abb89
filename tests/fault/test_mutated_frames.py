"""Fault 11, frames bent in eighteen ways, on real sockets. The long run, with 100,000, is ``python -m benchmarks.mutants``."""

from __future__ import annotations

import random

import pytest
from ocpp_fakes import FakeDepot, central_of, depot_spec

from benchmarks.evidence import proof
from benchmarks.faultkit.mutants import KINDS, MUTANTS, bombard
from benchmarks.herd import Herd
from controller.clock import SystemClock
from depot.registry import ConnectorSpec, StationSpec

FRAMES = 2000
STATIONS = 20
SEED = 11
PER_S = 40.0 * STATIONS
"""Below the flood limit of 50 a second and station."""


@pytest.mark.anyio
@pytest.mark.timeout(60)
@pytest.mark.parametrize("version", MUTANTS)
async def test_fault_11_every_readable_call_of_bent_frames_is_answered_and_no_connection_lost(version: str) -> None:
    names = [f"M{n:02d}" for n in range(STATIONS)]
    spec = depot_spec(*(StationSpec(name, "F1", (ConnectorSpec(1, 7_360, 1_380),)) for name in names))
    with proof(11, "mutated_frames", seed=SEED) as row:
        async with central_of(FakeDepot(), SystemClock(), spec=spec) as central:
            await central.listen("127.0.0.1", 0)
            herd = Herd(names, port=central.port, keys=dict.fromkeys(names, ""), kind=MUTANTS[version])
            await herd.connect()
            assert not herd.failed
            found = await bombard(herd, random.Random(SEED), count=FRAMES, per_s=PER_S, name="m", patience_s=10)
            row |= {"version": version, **found.row()}
            assert not found.unanswered, found.missing
            assert not found.closed
            assert set(found.kinds) == set(KINDS)
            assert found.must > FRAMES / 2
            herd.cut_all()
