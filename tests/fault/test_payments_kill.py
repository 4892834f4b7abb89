"""Fault 2: the payment process is killed again and again, the gateway answers late, never, hides what it did and tells
everything twice and out of order. The mock gateway's own books must hold each debit exactly once, the ledger nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.debits import Found, play
from benchmarks.evidence import proof

pytestmark = [pytest.mark.apart]


def holds(found: Found, row: dict[str, Any]) -> None:
    row |= {"n": found.debits, "kills": found.kills, "captured": found.captured, "ledger_sum_paise": found.ledger_sum_paise}
    row["seconds"] = found.seconds
    assert found.exact, found
    assert found.entries == 2 * found.debits
    assert found.repeated_webhooks > found.debits // 2  # they were really doubled


@pytest.mark.timeout(240)
def test_forty_debits_under_kills_are_forty_debits(tmp_path: Path) -> None:
    """The same faults as below at a quicker pace: shorter time-outs, shorter hiding."""
    with proof(2, "payments_kill", seed=2) as row:
        found = play(tmp_path, debits=40, kills=6, seed=2, pace="short", most_s=200)
        holds(found, row)
        assert found.kills >= 3


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_debits_under_kills_are_a_thousand_debits(tmp_path: Path) -> None:
    with proof(2, "payments_kill", seed=3) as row:
        holds(play(tmp_path, debits=1_000, kills=60, seed=3, most_s=3_000), row)
