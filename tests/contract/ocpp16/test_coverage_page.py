"""docs/ocpp-coverage.md says of cases and problems what the tests here are."""

from __future__ import annotations

from benchmarks.ocpp_coverage import case_rows, problem_rows, section
from ocpp16.cases import CASES, NOT_PLAYED, ROOT, played
from ocpp16.problems import PROBLEMS, named

PAGE = (ROOT / "docs" / "ocpp-coverage.md").read_text(encoding="utf-8")


def test_every_case_is_played_or_has_a_reason() -> None:
    found = {one.case for one in played()}
    assert found <= set(CASES), found - set(CASES)
    assert found | set(NOT_PLAYED) == set(CASES)
    assert not found & set(NOT_PLAYED)
    assert all(NOT_PLAYED.values())


def test_every_problem_is_named_by_a_test() -> None:
    assert {number for number, _ in named()} == set(PROBLEMS) == set(range(1, 21))


def test_the_page_says_so() -> None:
    again = "make it with: python -m benchmarks.ocpp_coverage"
    assert section(PAGE, "cases") == case_rows(), again
    assert section(PAGE, "problems") == problem_rows(), again
