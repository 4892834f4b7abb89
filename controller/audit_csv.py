"""Audit entries as CSV for a spreadsheet, in which no cell can become a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from controller.audit import Entry
from controller.codec import iso

HEADER = ("trail", "number", "at", "actor", "kind", "target", "reason", "outcome", "command_id", "journal_seq")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows(entries: Iterable[tuple[str, Entry]], *, header: bool = True) -> str:
    """Lines of (name of the trail, entry), ended as RFC 4180 has it."""
    out = io.StringIO()
    writer = csv.writer(out)
    if header:
        writer.writerow(HEADER)
    for trail, entry in entries:
        texts = (entry.actor, entry.kind, entry.target, entry.reason, entry.outcome, entry.command_id)
        writer.writerow((trail, entry.seq, iso(entry.at), *map(_cell, texts), entry.event_seq or ""))
    return out.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
