"""docs/safety.md: every test that the requirement table names exists."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "safety.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    match = re.search(r"<!-- requirements -->\n(.*?)<!-- /requirements -->", PAGE, re.DOTALL)
    assert match
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in match.group(1).splitlines()[2:]]


def test_every_named_test_exists() -> None:
    named = re.findall(r"`([a-z]+/test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 15
    for file, name in named:
        path = TESTS / file
        assert path.is_file(), file
        assert re.search(rf"^(async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE), f"{file} has no {name}"


def test_every_requirement_is_shown_or_says_that_nothing_is_done() -> None:
    assert len(rows()) >= 13
    for requirement, clause, done, shown, _ in rows():
        assert clause, requirement
        assert "::" in shown or done.startswith("nothing"), requirement


def test_what_was_not_read_is_said() -> None:
    words = re.sub(r"\s+", " ", PAGE)
    for part in (
        "Annex IX-K and of Amendment 3 was not read by us",
        "no safety integrity level (SIL)",
        "not done by Chargeyard, and cannot be",
    ):
        assert part in words
