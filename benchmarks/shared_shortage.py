"""What sharing a shortage costs: a depot whose limit does not suffice, planned with and without.

    python benchmarks/shared_shortage.py [--vehicles 200] [--limit 0.8] [--seed 1000] [--repeat 3]

The fleet is that of :func:`benchmarks.make_scenarios.plain`, ``--limit`` times its least feasible peak as the site's limit. Processor
seconds of a whole plan (a busy machine does not distort them), and of those who are short of one priority: the largest part of a need
that somebody lacks, and how many lack everything.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.make_scenarios import plain
from benchmarks.plan_depots import HEADROOM
from optimizer import plan


def main() -> int:
    """Print both, side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=200)
    parser.add_argument("--limit", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    depot = plain(arguments.vehicles, seed=arguments.seed)
    depot = replace(depot, site_limit_kw=depot.site_limit_kw * arguments.limit / HEADROOM)
    need = np.array([v.energy_kwh for v in depot.vehicles])
    least = np.array([v.priority == 0 for v in depot.vehicles])
    plan(depot, deadline_s=120)  # first use
    for shared in (False, True):
        asked = replace(depot, share_shortage=shared)
        spent = []
        for _ in range(arguments.repeat):
            began = time.process_time()
            result = plan(asked, deadline_s=120)
            spent.append(time.process_time() - began)
        parts = result.unmet_kwh / need
        print(
            f"{'shared' if shared else 'plain ':7} cpu {statistics.median(spent):6.2f} s  cost {result.cost:10.2f}  "
            f"unmet {100 * result.unmet_kwh.sum() / need.sum():5.2f} %  most {100 * parts[least].max():5.1f} %  "
            f"nothing {int((parts > 0.99).sum())}  short {int((parts > 0.001).sum())} of {len(need)}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
