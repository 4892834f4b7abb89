"""Reference no. 6 and 7: weeks of offline transactions told in any order, again and again, to a core that is killed meanwhile. The
long run, with 10,000, is ``python -m benchmarks.offline_replay``."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.evidence import proof
from benchmarks.faultkit.history import Fate, offline_history
from benchmarks.offline_replay import depot_of, judge, run

SEED = 5


@pytest.mark.apart
@pytest.mark.timeout(300)
def test_no_7_offline_transactions_have_the_totals_of_the_history_after_a_kill(tmp_path: Path) -> None:
    with proof(1, "offline_replay", seed=SEED) as row:
        row |= asyncio.run(run(transactions=120, stations=4, kills=1, again=0.2, seed=SEED, folder=tmp_path))
        assert not row["wrong"]
        assert row["kills"] == 1
        assert row["energy_kwh"] == row["energy_expected_kwh"]


def test_the_judge_sees_what_is_lost() -> None:
    spec = depot_of(2)
    history = offline_history(random.Random(SEED), connectors=list(spec.connectors), transactions=80, until=datetime.now(UTC))
    assert {told.fate for told in history.transactions} == set(Fate)
    assert judge(history, []).wrong
