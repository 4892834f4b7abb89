"""Which tests may be skipped, and how many: a suite that quietly tests less than yesterday must not stay green.

``skips_allowed.toml`` lists reasons (regular expressions, matched from the start), the greatest number for each, and
the condition under which the reason is honest (``when``). ``pytest --skip-budget`` judges the whole run by it.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

BUDGET = Path(__file__).with_name("skips_allowed.toml")

CONDITIONS = frozenset(
    {"always", "no data", "no judge", "no chromium", "no mbpoll", "no openssl", "no systemd", "short run", "root", "not linux"}
)
"""What ``when`` may say."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """``reason``: pattern of the skip's text; at most ``most`` tests, and only while ``when`` holds."""

    reason: re.Pattern[str]
    most: int
    when: str


def read_allowances(path: Path = BUDGET) -> list[Allowance]:
    """The file's entries; ValueError names a condition that does not exist."""
    allowances = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["skip"]:
        if entry["when"] not in CONDITIONS:
            raise ValueError(f"{path.name}: when = {entry['when']!r} is none of {sorted(CONDITIONS)}")
        allowances.append(Allowance(re.compile(entry["reason"]), entry["most"], entry["when"]))
    return allowances


def over_budget(reasons: Iterable[str], *, allowances: Iterable[Allowance], conditions: Collection[str]) -> list[str]:
    """One sentence for each reason that is not allowed here or happened too often; none means the run may pass."""
    complaints = []
    allowances = list(allowances)
    used: Counter[int] = Counter()
    for reason in reasons:
        index = next((i for i, a in enumerate(allowances) if a.reason.match(reason)), None)
        if index is None:
            complaints.append(f"a test was skipped for a reason that {BUDGET.name} does not know: {reason}")
        elif allowances[index].when not in conditions:
            complaints.append(f"a test was skipped although the reason does not hold here (not: {allowances[index].when}): {reason}")
        else:
            used[index] += 1
    for index, count in used.items():
        if count > allowances[index].most:
            complaints.append(
                f"{count} tests were skipped for {allowances[index].reason.pattern!r}, {allowances[index].most} are allowed: "
                f"make them run, or raise the number in tests/{BUDGET.name} and say why"
            )
    return complaints
