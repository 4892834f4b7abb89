"""Wrong frames and wrong limits over Modbus against a real core: 24 chargers charge under an order of the utility meanwhile.

    python -m benchmarks.modbus_fuzz [--mutants 10000] [--streams 2] [--seed 1]

Half of the mutants are well-formed commands with wrong limits (1000 times too high, words or bytes swapped, floats, NaN,
negative, not implemented; whole, staged, as reversion and as fail-safe limit), half are wrong frames. Exit 1 where the limit in
force or what flows at the connection point was ever above the last trusted limit; the core fell; a connection got stuck; or the
utility could not command afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from benchmarks.evidence import write_evidence
from benchmarks.faultkit.modbus_mutants import attack, mutants
from benchmarks.faultkit.nemesis import rss_mb, until
from benchmarks.limit_drop import full_depot
from benchmarks.modbus_flood import SETTINGS
from benchmarks.real_depot import UTILITY_PORT, open_depot
from simulator.demo_day import demo_spec
from simulator.rtu import ACCEPTED, LimitOrder, Rtu

TRUSTED_W = 260_000
LEAST_W = 200_000
"""So much must flow before it begins, for the limit to bind."""


async def run(options: argparse.Namespace) -> bool:
    spec = demo_spec()
    day = full_depot(spec, start=datetime.now(UTC) + timedelta(seconds=4), duration_s=7200)
    async with open_depot(day, speed=1, seed=options.seed, personas={}, extra=f"{SETTINGS}0\n") as depot:
        world = asyncio.create_task(depot.world.run())
        port = UTILITY_PORT + depot.settings.port_offset
        async with Rtu(port=port, clock=depot.clock) as rtu:
            await rtu.order(LimitOrder(TRUSTED_W))
            await until(lambda: depot.world.plant.site_power_w() > LEAST_W, 120, "the depot charges")
            rtu.insists = False
            core = depot.core_pid
            assert core is not None
            before_mb, highest = rss_mb(core), {"in_force": 0, "flows": 0}

            async def watch() -> None:
                while True:
                    report = await rtu.read()
                    for name, value in (("in_force", report.limit_w), ("flows", depot.world.plant.site_power_w())):
                        highest[name] = max(highest[name], round(value))
                    await asyncio.sleep(0.02)

            watching = asyncio.create_task(watch())
            began = time.monotonic()
            share = options.mutants // options.streams
            streams = [
                mutants(random.Random(f"{options.seed}/{n}"), share, trusted_w=TRUSTED_W, contract_w=spec.contract_w)
                for n in range(options.streams)
            ]
            outcomes = await asyncio.gather(*(attack(port, stream) for stream in streams))
            took_s = time.monotonic() - began
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            after = await rtu.order(LimitOrder(TRUSTED_W))
            sent: Counter[str] = sum((outcome.sent for outcome in outcomes), Counter())
            row = {
                "n": sum(sent.values()),
                "kinds": len(sent),
                "answered": sum(o.answered for o in outcomes),
                "closed": sum(o.closed for o in outcomes),
                "stuck": sum(len(o.stuck) for o in outcomes),
                "crashes": int(depot.core_pid != core),
                "trusted_w": TRUSTED_W,
                **{f"highest_{name}_w": value for name, value in highest.items()},
                "rss_growth_mb": round(rss_mb(core) - before_mb, 1),
                "seconds": round(took_s),
                "seed": options.seed,
            }
        world.cancel()
        await asyncio.gather(world, return_exceptions=True)
    print(write_evidence("modbus_fuzz", row))
    obeyed = after.ack_state == ACCEPTED and after.limit_w == TRUSTED_W
    return obeyed and not row["stuck"] and not row["crashes"] and max(highest.values()) <= TRUSTED_W


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return 0 if asyncio.run(run(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
