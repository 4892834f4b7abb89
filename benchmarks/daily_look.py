"""What the depot's daily look costs over thousands of packs: rows that are kept on the disk, loaded, looked at. CPU seconds and memory.

Strings of stated cells (benchmarks/anomalies.py) are made once, some with a short; each stands for many packs, with noise of its own.
Writing the rows is no part of what is measured, asking the lake for a day's samples neither.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.leaking_packs import FIRST_DAY, Charges, nmc_pack
from bms_bridge.anomalies.alerts import Kind, watch
from bms_bridge.anomalies.kept import load, refreshed
from bms_bridge.anomalies.losses import losses
from bms_bridge.anomalies.pack_days import PackDays, joined

DAYS = 180
STRINGS = 40
MOST_CPU_S = 60.0
NOISE_V = 0.0005
ONSET = DAYS - 16
console = Console()


def daily_look(packs: int, *, seed: int, as_json: Path | None) -> int:
    """Exit code 1: it took more than :data:`MOST_CPU_S` of processor time."""
    from benchmarks.anomalies import stated_cells

    random = np.random.default_rng(seed)
    cells: list[Charges] = stated_cells(random)
    strings = []
    for number in range(STRINGS + 1):
        own = np.random.default_rng([seed, number])
        ill = number == STRINGS
        pack = nmc_pack(f"S{number}", cells, DAYS, own, leak_c_rate=1 / 5000 if ill else 0.0, onset=ONSET if ill else -1, balancing="told")
        strings.append(pack.table)
    ill_packs = max(1, packs // 1000)
    names = {f"E-{number:05d}/P1": strings[STRINGS] if number < ill_packs else strings[number % STRINGS] for number in range(packs)}

    def ask(wanted: object, first: int, last: int) -> PackDays:
        assert isinstance(wanted, list)
        found = []
        for name in wanted:
            table = names[name]
            part = table.rows((table.days >= first) & (table.days <= last))
            noisy = part.cells_v + NOISE_V * random.normal(size=part.cells_v.shape)
            found.append(PackDays(np.full(len(part), name), part.days, noisy, part.balanced_ah, part.numbers, part.labels))
        return joined(found)

    today = FIRST_DAY + DAYS - 1
    with tempfile.TemporaryDirectory() as folder:
        for first in range(FIRST_DAY, today + 1, 10):
            refreshed(Path(folder), dict.fromkeys(names, 150.0), ask, since=FIRST_DAY, today=min(first + 9, today), samples=1.0)
        size_mb = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        held_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        began = time.process_time()
        kept = load(Path(folder), names, today=today)
        loaded = time.process_time()
        alerts = watch(kept.recent, now=True, grid=kept.grid)
        looked = time.process_time()
        told = losses(kept.recent, [alert.leak for alert in alerts if alert.leak is not None])
        ended = time.process_time()
    shorts = {alert.pack for alert in alerts if alert.kind is Kind.INTERNAL_SHORT}
    right = sum(name in shorts for name in list(names)[:ill_packs])
    result = {
        "packs": packs,
        "days": DAYS,
        "load_cpu_s": round(loaded - began, 2),
        "look_cpu_s": round(looked - loaded, 2),
        "losses_cpu_s": round(ended - looked, 2),
        "cpu_s": round(ended - began, 2),
        "files_mb": round(size_mb, 1),
        "most_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
        "memory_before_mb": round(held_mb),
        "ill": ill_packs,
        "found": right,
        "other_alerts": len(alerts) - right,
        "losses": len(told),
    }
    for name, value in result.items():
        console.print(f"{name:18} {value}", highlight=False)
    if as_json is not None:
        as_json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0 if ended - began <= MOST_CPU_S else 1
