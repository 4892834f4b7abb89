"""docs/ocpp-coverage.md says of cases and problems what the tests here are."""

from __future__ import annotations

import re

import pytest
from ocpp16.problems import PROBLEMS, named

from benchmarks.ocpp_cases import CASES, CONTRACT, NOT_PLAYED, ROOT, played
from benchmarks.ocpp_coverage import case_rows, problem_rows, section

PAGE = (ROOT / "docs" / "ocpp-coverage.md").read_text(encoding="utf-8")
AGAIN = "make it with: python -m benchmarks.ocpp_coverage"


@pytest.mark.parametrize("version", CASES)
def test_a_case_is_played_or_has_a_reason(version: str) -> None:
    found = {one.case for one in played() if one.version == version}
    assert found <= set(CASES[version]), found - set(CASES[version])
    assert not found & set(NOT_PLAYED[version])
    assert all(NOT_PLAYED[version].values())


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_every_case_is_played_or_has_a_reason(version: str) -> None:
    assert {one.case for one in played() if one.version == version} | set(NOT_PLAYED[version]) == set(CASES[version])


def test_every_problem_is_named_by_a_test() -> None:
    assert {number for number, _ in named()} == set(PROBLEMS) == set(range(1, 21))


def test_the_page_says_so() -> None:
    assert section(PAGE, "cases of 1.6") == case_rows("1.6"), AGAIN
    assert section(PAGE, "problems") == problem_rows(), AGAIN


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_every_test_of_a_2x_case_on_the_page_is_there(version: str) -> None:
    shown = {name for row in section(PAGE, f"cases of {version}") for name in re.findall(r"`(test_\w+\.py::\w+)`", row)}
    there = {one.path.removeprefix(str(CONTRACT.relative_to(ROOT)) + "/ocpp201/") for one in played()}
    assert shown <= there, shown - there
