"""Fault 2: the payment process is killed again and again, the gateway answers late, never, hides what it did and tells
everything twice and out of order. The mock gateway's own books must hold each debit exactly once, the ledger nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.debits import Found, play

pytestmark = [pytest.mark.serial]


def holds(found: Found) -> None:
    assert found.exact, found
    assert found.entries == 2 * found.debits
    assert found.repeated_webhooks > found.debits // 2  # they were really doubled


@pytest.mark.timeout(240)
def test_forty_debits_under_kills_are_forty_debits(tmp_path: Path) -> None:
    """The same faults as below at a quicker pace: shorter time-outs, shorter hiding."""
    found = play(tmp_path, debits=40, kills=6, seed=2, pace="short", most_s=200)
    assert found.kills >= 3
    holds(found)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_debits_under_kills_are_a_thousand_debits(tmp_path: Path) -> None:
    holds(play(tmp_path, debits=1_000, kills=60, seed=3, most_s=3_000))
