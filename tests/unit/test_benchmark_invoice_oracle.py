"""2,000 random sessions against the second opinion: no paisa of difference. And the judge sees what is wrong."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from benchmarks import second_opinion
from benchmarks.invoice_oracle import Tally, compare, random_case, run
from benchmarks.second_opinion import corrected_readings, gstin_check, opinion, tax_of
from payments import money, rating

NIGHT = {"energy": {"price": "9.50"}, "when": {"from": "22:00", "to": "06:00"}}
DAY = {"energy": {"price": "14.50"}, "idle": {"price": "120", "grace_min": 15}}
START_S = int(datetime(2026, 11, 22, 16, tzinfo=UTC).timestamp())  # 21:30 in India


def test_2000_sessions_to_the_paisa() -> None:
    tally = run(2_000, seed=3, booked=20)
    assert tally.wrong == []
    assert (tally.differences, tally.difference_paise, tally.sessions, tally.booked) == (0, 0, 2_000, 100)
    # nothing of interest is left out by chance
    assert min(tally.split, tally.empty, tally.igst, tally.registered, tally.corrected) > 50
    assert tally.notes > 5


@pytest.mark.parametrize("broken", ["round down", "half of the whole", "idle before the grace", "energy twice"])
def test_the_judge_sees_a_broken_program(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    if broken == "round down":
        monkeypatch.setattr(rating, "round_half_up", int)
    elif broken == "half of the whole":
        right = money.round_half_up
        monkeypatch.setattr(money, "round_half_up", lambda value: right(value * 2) // 2)
    elif broken == "idle before the grace":
        idle = rating._idle
        monkeypatch.setattr(rating, "_idle", lambda facts, grace: idle(facts, grace - grace))
    else:
        counts = rating._counts
        monkeypatch.setattr(rating, "_counts", lambda facts: ([(a, b, 2 * wh) for a, b, wh in counts(facts)[0]], []))
    luck, tally = random.Random(5), Tally()
    for _ in range(200):
        compare(random_case(luck), tally, luck)
    assert tally.differences > 0


def test_the_second_opinion_by_hand() -> None:
    # 10 kWh from 21:30 to 22:30, half of them at each price; full at the end, unplugged 45 min later: 30 min of idle time
    session = {"readings": [(START_S, 500), (START_S + 3600, 10_500)], "full": START_S + 3600, "gone": START_S + 6300, "held": []}
    made = opinion({"elements": [NIGHT, DAY]}, session)
    assert made.lines == {("energy", 0): 4_750, ("energy", 1): 7_250, ("idle", 1): 6_000}
    assert (made.energy_wh, made.taxable) == (10_000, 18_000)
    assert tax_of(18_005, percent=Fraction(18), other_state=False, whole_rupees=True) == (1_620, 1_620, 0, -45, 21_200)
    assert tax_of(18_005, percent=Fraction(18), other_state=True, whole_rupees=False) == (0, 0, 3_241, 0, 21_246)


def test_a_register_that_falls_or_begins_again() -> None:
    readings = [(0, 1000), (60, 3000), (120, 2500), (180, 3400), (240, 100), (300, 700)]
    assert [count for _, count in corrected_readings(readings, 3_000)] == [0, 2000, 2000, 2400, 2400, 3000]
    assert corrected_readings([(0, 5), (60, 5)], 700) == [(0, 0), (60, 700)]


@pytest.mark.parametrize("gstin", ["27AAPFU0939F1ZV", "29AAGCB7383J1Z4"])
def test_the_check_sign_of_published_gstins(gstin: str) -> None:
    assert gstin_check(gstin[:14]) == gstin[14]


def test_the_judge_knows_nothing_of_the_program() -> None:
    lines = Path(second_opinion.__file__).read_text(encoding="utf-8").splitlines()
    imports = [line for line in lines if line.startswith(("import", "from"))]
    assert imports
    assert not [line for line in imports if any(room in line for room in ("payments", "controller", "depot", "grid"))]
