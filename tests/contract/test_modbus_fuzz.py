"""Wrong frames and wrong limits at the limit server: it never rises above what was ordered, and no connection gets stuck.

The whole, 10,000 of them against a real core with chargers, is ``python -m benchmarks.modbus_fuzz``.
"""

from __future__ import annotations

import asyncio
import random
import struct

import pytest
from little_core import POLICY, LittleCore, serving
from test_modbus_limit_server import FIRST, master, read, until, whole_block

from benchmarks.faultkit.modbus_mutants import LIMIT, Mutant, attack, block, frame, lawful_raise, mutants, wrong_values
from grid.limit_model import AckState

pytestmark = pytest.mark.anyio

TRUSTED_W = 300_000
SEED = 6


class Watched(LittleCore):
    """Remembers the highest limit that was ever in force."""

    highest_w = 0

    def feedback(self):  # type: ignore[no-untyped-def]
        found = super().feedback()
        self.highest_w = max(self.highest_w, found.effective_w)
        return found


async def test_mutants_never_raise_the_limit_and_no_connection_gets_stuck() -> None:
    print(f"seed {SEED}")
    core = Watched()
    async with serving(core, requests_per_s=0) as server, master(server) as rtu:
        await rtu.write_registers(FIRST, whole_block(seq=65_100, limit_w=TRUSTED_W), device_id=1)
        await until(lambda: server.block.acknowledged_seq == 65_100)
        core.highest_w = 0
        streams = [mutants(random.Random(f"{SEED}/{n}"), 300, trusted_w=TRUSTED_W, contract_w=POLICY.contract_w) for n in range(2)]
        outcomes = await asyncio.gather(*(attack(server.port, stream) for stream in streams))
        assert 0 < core.highest_w <= TRUSTED_W
        assert not [mutant for outcome in outcomes for mutant in outcome.stuck]
        assert sum(outcome.answered + outcome.closed for outcome in outcomes) == 600
        await rtu.write_registers(FIRST, whole_block(seq=65_101, limit_w=TRUSTED_W, beat=7), device_id=1)
        await until(lambda: server.block.acknowledged_seq == 65_101)
        assert await read(rtu, "WLimEff") == TRUSTED_W
        assert await read(rtu, "AckSt") == AckState.ACCEPTED


@pytest.mark.parametrize("name", list(wrong_values(TRUSTED_W)))
async def test_each_wrong_way_to_write_a_limit_leaves_the_one_before(name: str) -> None:
    core = LittleCore()
    async with serving(core) as server, master(server) as rtu:
        await rtu.write_registers(FIRST, whole_block(seq=1, limit_w=TRUSTED_W), device_id=1)
        await until(lambda: server.block.acknowledged_seq == 1)
        words = struct.unpack(">17H", block({LIMIT: wrong_values(TRUSTED_W)[name]}, 2, beat=2)[6:])
        await rtu.write_registers(FIRST, list(words), device_id=1)
        await until(lambda: server.block.acknowledged_seq == 2)
        assert await read(rtu, "AckSt") == AckState.REJECTED_RANGE
        assert await read(rtu, "WLimEff") == TRUSTED_W
        assert server.refusals["command that says no possible limit"] == 1
        assert [word.state for word in core.words] == [AckState.ACCEPTED, AckState.REJECTED_RANGE]


@pytest.mark.parametrize(
    ("pdu", "raises"),
    [
        (block({LIMIT: TRUSTED_W}, 1, beat=1), False),
        (block({LIMIT: TRUSTED_W + 1}, 1, beat=1), True),
        (block({LIMIT: TRUSTED_W}, 1, beat=1, enabled=0), True),
        (block({LIMIT: 2 * POLICY.contract_w + 1}, 1, beat=1), False),
        (struct.pack(">BHH", 6, FIRST, 0), True),
        (struct.pack(">BHH", 6, FIRST, 1), False),
        (struct.pack(">BHHHHBHH", 23, 40000, 2, 40206, 2, 4, 9, 0), True),
    ],
)
def test_the_attackers_know_what_would_raise_it_by_right(pdu: bytes, raises: bool) -> None:
    for data in (frame(pdu), b"xy" + frame(pdu) + b"z"):
        assert lawful_raise(Mutant("", data).data, trusted_w=TRUSTED_W, contract_w=POLICY.contract_w) is raises
