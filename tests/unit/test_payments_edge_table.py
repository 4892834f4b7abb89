"""The table of edge cases in docs/payments.md: every number is there once, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = 46


def table() -> dict[int, list[str]]:
    """Case and the tests that show it."""
    page = (ROOT / "docs" / "payments.md").read_text(encoding="utf-8")
    section = page.partition("## Edge cases")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (\d+) \|(.*)\|$", section, re.MULTILINE)
    assert len({number for number, _ in lines}) == len(lines)
    return {int(number): re.findall(r"`(test_\w+)`", rest) for number, rest in lines}


def known() -> set[str]:
    """Every test of payments and of the controller's side of them."""
    files = [*(ROOT / "tests" / "unit").glob("test_payments_*.py"), ROOT / "tests" / "unit" / "test_controller_paid_sessions.py"]
    return {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))}


def test_every_case_has_a_test_that_exists() -> None:
    cases = table()
    assert sorted(cases) == list(range(1, CASES + 1))
    assert not {number for number, tests in cases.items() if not tests}
    assert not {name for tests in cases.values() for name in tests} - known()


def test_every_test_that_bears_a_number_is_in_the_table_under_it() -> None:
    cases = table()
    for name in known():
        number = re.match(r"test_case_(\d+)_", name)
        if number is not None:
            assert name in cases[int(number[1])], name
