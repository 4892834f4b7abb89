"""Evidence lines: what a benchmark or a fault test measured, one JSON object a line in ``build/evidence/NAME.jsonl``.

    write_evidence("limit_drop", {"fault": …, "n": …, "seed": …})     one line; returns it as words for people
    with proof(6, "scada_silent", seed=1) as row: row["n"] = …        a fault test: one line, whether it held or not

README's figures are rendered from these lines, so that they cannot drift from what was measured. ``at`` is when,
``cores`` and ``load1`` say on how busy a machine: a time that was measured on a busy one is no figure.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EVIDENCE = ROOT / "build" / "evidence"
SHARED_JUDGE = Path(os.environ.get("CHARGEYARD_JUDGE", ROOT.parent / "shared" / "tools" / "judge_trace.py"))
"""An independent judge of physical traces, should it be there."""


def write_evidence(name: str, row: Mapping[str, object]) -> str:
    """Append one line to ``build/evidence/NAME.jsonl``; returns it as ``key=value`` words for people."""
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    seen = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(), "load1": round(os.getloadavg()[0], 2)}
    with (EVIDENCE / f"{name}.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({**seen, **row}) + "\n")
    return " ".join(f"{key}={value}" for key, value in row.items())


@contextlib.contextmanager
def proof(number: int, name: str, *, seed: int | None = None) -> Iterator[dict[str, Any]]:
    """One line in ``build/evidence/faults.jsonl`` for fault ``number`` of the list (docs/faults.md). The block puts what it
    counted and measured into the row; ``result`` is ``held`` where the block ends, ``broken`` where it raises."""
    row: dict[str, Any] = {}
    held = False
    try:
        yield row
        held = True
    finally:
        head = {"fault": f"{number:02d} {name}", "n": row.pop("n", 1), "result": "held" if held else "broken", "seed": seed}
        print(write_evidence("faults", head | row))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-round(share * 1000) * len(ordered) // 1000) - 1))]
