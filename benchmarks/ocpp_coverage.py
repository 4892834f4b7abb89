"""Play the public test cases of OCPP and the tests of the twenty problems, and write docs/ocpp-coverage.md's tables from them.

    python -m benchmarks.ocpp_coverage          run all of them; write the tables if each passed
    python -m benchmarks.ocpp_coverage --list   write nothing, run nothing: show what would be run

A case stands in the table with the test that plays it; one that fails keeps the page as it is, and is told.
"""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from benchmarks.ocpp_cases import CASES, NOT_PLAYED, ROOT, played
from tests.contract.ocpp16.problems import PROBLEMS, named

PAGE = ROOT / "docs" / "ocpp-coverage.md"


class Outcomes:
    """A pytest plugin: how every test ended, by its path without parameters."""

    def __init__(self) -> None:
        self.of: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.of.setdefault(report.nodeid.partition("[")[0], Counter())[report.outcome] += 1

    def passed(self, path: str) -> bool:
        """Whether the test ran, and nothing of it failed or was skipped."""
        return set(self.of.get(path, ())) == {"passed"}


def case_rows(version: str) -> list[str]:
    """The table of a version's cases, line by line."""
    paths: dict[str, list[str]] = {}
    for one in played():
        if one.version == version:
            paths.setdefault(one.case, []).append(one.path)
    cases, reasons = CASES[version], NOT_PLAYED[version]
    rows = [f"{len(paths)} of {len(cases)} cases are played.", "", "| case | what it tests | test |", "|---|---|---|"]
    for case, what in cases.items():
        where = "<br>".join(f"`{short(path)}`" for path in paths.get(case, ())) or f"not played: {reasons.get(case, 'no test yet')}"
        rows.append(f"| {case} | {what} | {where} |")
    return rows


def problem_rows() -> list[str]:
    """The table of problems, line by line."""
    paths: dict[int, list[str]] = {}
    for number, path in named():
        paths.setdefault(number, []).append(path)
    rows = ["| | problem | here | tests |", "|---|---|---|---|"]
    for number, (problem, behaviour) in PROBLEMS.items():
        files = Counter(path.partition("::")[0] for path in paths.get(number, ()))
        where = "<br>".join(f"`{file.removeprefix('tests/')}` ({count})" for file, count in sorted(files.items()))
        rows.append(f"| {number} | {problem} | {behaviour} | {where} |")
    return rows


def short(path: str) -> str:
    """A case's test as it is printed: all of a version stand in one folder."""
    return path.removeprefix("tests/contract/").partition("/")[2]


def tables() -> dict[str, list[str]]:
    """What stands between the page's marks, by mark."""
    return {"problems": problem_rows()} | {f"cases of {version}": case_rows(version) for version in CASES}


def section(page: str, name: str) -> list[str]:
    """The lines between a part's marks. Raises ValueError where there are none."""
    lines = page.splitlines()
    return lines[lines.index(f"<!-- {name} -->") + 1 : lines.index(f"<!-- end of {name} -->")]


def put(page: str, name: str, rows: list[str]) -> str:
    """The page with another part."""
    lines = page.splitlines()
    begin, end = lines.index(f"<!-- {name} -->") + 1, lines.index(f"<!-- end of {name} -->")
    return "\n".join([*lines[:begin], *rows, *lines[end:]]) + "\n"


def main(arguments: list[str]) -> int:
    """Entry point; 0: the page says what ran, 1: something did not pass, 2: wrong usage."""
    if arguments not in ([], ["--list"]):
        print(__doc__)
        return 2
    paths = sorted({one.path for one in played()} | {path for _, path in named()})
    if arguments:
        print("\n".join(paths))
        return 0
    outcomes = Outcomes()
    pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), *paths], plugins=[outcomes])
    failed = [path for path in paths if not outcomes.passed(path)]
    print(f"{len(paths) - len(failed)} of {len(paths)} tests passed")
    for version, cases in CASES.items():
        print(f"{version}: {len({one.case for one in played() if one.version == version})} of {len(cases)} cases have a test")
    for path in failed:
        print(f"not passed: {path} ({', '.join(outcomes.of.get(path, ['did not run']))})")
    if not failed:
        page = PAGE.read_text(encoding="utf-8")
        for name, rows in tables().items():
            page = put(page, name, rows)
        PAGE.write_text(page, encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
