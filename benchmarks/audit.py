"""Fault 21: how long it takes to check a long audit trail, and whether a changed byte in it is found and located.

    python -m benchmarks.audit [--entries 100000] [--flips 20] [--seed 1]

Writes commands into a journal on disk as the controller does, then checks the whole trail with the journal under it.
Then changes one byte of a random row of either table, checks, and puts it back, ``--flips`` times. Exit 1 when a check
takes longer than 5 s, or a changed byte is not found, or is blamed on another row.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import controller
from benchmarks.evidence import write_evidence
from controller.audit import verify
from controller.clock import SystemClock
from controller.journal import SqlJournal
from depot import events as ev
from storage import Store

GOAL_S = 5.0
CELLS = (("events", "data"), ("events", "actor"), ("audit", "reason"), ("audit", "actor"), ("audit", "hash"))
BATCH = 1000


async def fill(store: Store, entries: int) -> None:
    """Half as many commands as entries: each has a request and an outcome."""
    async with SqlJournal(store, "bench", clock=SystemClock(), snapshot_every=0) as journal:
        for start in range(0, entries // 2, BATCH):
            facts = []
            for number in range(start, min(start + BATCH, entries // 2)):
                now = datetime.now(UTC)
                asked = ev.CommandRequested(f"c{number}", "SetManualLimit", "site", "the utility called", {"value_w": "90000", "until": ""})
                facts.append(ev.NewEvent(asked, now, actor=f"person {number % 7}", key=f"command/c{number}"))
                facts.append(ev.NewEvent(ev.CommandFinished(f"c{number}", "done", "site limited to 90.0 kW"), now))
            await journal.append(facts)


def flip(path: Path, store: Store, rng: random.Random) -> bool:
    """Change one byte, look whether the check names its row, put it back."""
    table, column = rng.choice(CELLS)
    with sqlite3.connect(path, isolation_level=None) as raw:
        (last,) = raw.execute(f"SELECT max(seq) FROM {table}").fetchone()
        seq = rng.randint(1, last)
        before, kind = raw.execute(f"SELECT CAST({column} AS BLOB), typeof({column}) FROM {table} WHERE seq = ?", (seq,)).fetchone()
        place = rng.randrange(len(before))
        after = before[:place] + bytes([before[place] ^ 1 << rng.randrange(7)]) + before[place + 1 :]
        put = f"UPDATE {table} SET {column} = CAST(? AS {kind}) WHERE seq = ?"
        raw.execute(put, (after, seq))
        complaint = verify(store, "bench").complaint or ""
        raw.execute(put, (before, seq))
    named = f"fact seq {seq} " if table == "events" else f"entry {seq} "
    if named not in complaint:
        print(f"{table}.{column} of {seq}, byte {place}: {complaint or 'not found'}")
    return named in complaint


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--flips", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    wish = parser.parse_args()
    rng = random.Random(wish.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        with Store.open(path) as store:
            store.migrate([controller])
            started = time.perf_counter()
            asyncio.run(fill(store, wish.entries))
            written_s = time.perf_counter() - started
            started = time.perf_counter()
            checked = verify(store, "bench")
            took_s = time.perf_counter() - started
            located = sum(flip(path, store, rng) for _ in range(wish.flips))
    good = checked.sound and took_s <= GOAL_S and located == wish.flips
    row = {
        "fault": 21,
        "n": checked.entries,
        "verify_s": round(took_s, 2),
        "write_us_per_entry": round(written_s / max(1, checked.entries) * 1e6),
        "flips": wish.flips,
        "located": located,
        "result": "ok" if good else "broken",
        "seed": wish.seed,
    }
    print(write_evidence("audit", row))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
