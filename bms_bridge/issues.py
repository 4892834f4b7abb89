"""What was wrong with parts of samples: kinds, words, and how often with which pack.

    check(sample) --Issue, Issue …--> IssueBook --of(pack)--> screens, REST

An issue is a complaint about a value or about the time and order of a sample; the rest of the sample counts all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from depot.values import PackKey


class IssueKind(StrEnum):
    """What was wrong with a part of a sample."""

    RANGE = "range"
    UNIT = "unit"
    MISSING = "missing"
    STUCK = "stuck"
    DUPLICATE = "duplicate"
    JUMP = "jump"
    CELLS = "cells"
    SIGN = "sign"
    CLOCK = "clock"
    LATE = "late"
    REPEATED = "repeated"
    LOST = "lost"
    FIRMWARE = "firmware"


@dataclass(frozen=True, slots=True)
class Issue:
    """One complaint about a sample, in words. ``field``: the value that was left out, "" where none was; what is left out is
    kept with the words (:class:`bms_bridge.contract.RejectionLog`)."""

    kind: IssueKind
    text: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """How often a kind of issue was found with one pack, since when, and its last words."""

    count: int
    first_at: datetime
    last_at: datetime
    text: str


class IssueBook:
    """Counts issues by pack and kind since the start. Its size is bounded by the packs that the depot knows."""

    def __init__(self) -> None:
        self.counts: Counter[IssueKind] = Counter()
        self._packs: dict[PackKey, dict[IssueKind, Told]] = {}

    def add(self, pack: PackKey, issues: Iterable[Issue], at: datetime) -> None:
        """What was found with a sample of ``pack`` that came at ``at``."""
        book = self._packs.setdefault(pack, {})
        for issue in issues:
            self.counts[issue.kind] += 1
            before = book.get(issue.kind)
            book[issue.kind] = Told(1, at, at, issue.text) if before is None else Told(before.count + 1, before.first_at, at, issue.text)

    def of(self, pack: PackKey) -> Mapping[IssueKind, Told]:
        """What was found with ``pack``, by kind."""
        return self._packs.get(pack, {})

    @property
    def packs(self) -> tuple[PackKey, ...]:
        """Packs with which anything was found."""
        return tuple(self._packs)
