"""Which test plays which public test case of OCPP, read from the tests' sources.

1.6 names the case in the test's name (``test_tc_046_…``), 2.0.1 and 2.1 in a decorator (``@case("TC_F_01_CSMS")``), which plays it
in each version that has it, or in one (``only="2.0.1"``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.contract.ocpp16 import cases as cases16
from tests.contract.ocpp201 import cases as cases2

ROOT = Path(__file__).parents[1]
CONTRACT = ROOT / "tests" / "contract"
_NAME = re.compile(r"test_tc_(\d{3}(?:_\d)?)_[a-z]")

CASES: Mapping[str, Mapping[str, str]] = {"1.6": cases16.CASES, **cases2.CASES}
"""By version: the public ids, and what each tests."""
NOT_PLAYED: Mapping[str, Mapping[str, str]] = {"1.6": cases16.NOT_PLAYED, **cases2.NOT_PLAYED}
"""Cases that have no test, and why."""


class Played(NamedTuple):
    """A test that plays a case. ``path``: as pytest takes it."""

    version: str
    case: str
    path: str


def played() -> list[Played]:
    """Every test that plays a case, in a version that is spoken."""
    return [*_tests_of("ocpp16", _by_name), *_tests_of("ocpp201", _by_decorator)]


_Test = ast.FunctionDef | ast.AsyncFunctionDef


def _tests_of(folder: str, cases_of: Callable[[_Test], Iterator[tuple[str, str]]]) -> Iterator[Played]:
    for file in sorted((CONTRACT / folder).glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, _Test):
                for version, case in cases_of(node):
                    yield Played(version, case, f"{file.relative_to(ROOT)}::{node.name}")


def _by_name(test: _Test) -> Iterator[tuple[str, str]]:
    if found := _NAME.match(test.name):
        yield "1.6", f"TC_{found[1]}_CSMS"


def _by_decorator(test: _Test) -> Iterator[tuple[str, str]]:
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(func=ast.Name("case"), args=[ast.Constant(str(name))], keywords=keywords):
                only = next((k.value.value for k in keywords if isinstance(k.value, ast.Constant)), None)
                mark = cases2.case(name, only=only)  # type: ignore[arg-type]  # checked where the test is collected
                yield from ((version, name) for version in mark.kwargs["versions"])
