"""Audit entries as CSV for a spreadsheet, in which no cell can become a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from controller.audit import Entry
from controller.codec import iso
from controller.sheets import safe

HEADER = ("trail", "number", "at", "actor", "kind", "target", "reason", "outcome", "command_id", "journal_seq")


def rows(entries: Iterable[tuple[str, Entry]], *, header: bool = True) -> str:
    """Lines of (name of the trail, entry), ended as RFC 4180 has it."""
    out = io.StringIO()
    writer = csv.writer(out)
    if header:
        writer.writerow(HEADER)
    for trail, entry in entries:
        texts = (entry.actor, entry.kind, entry.target, entry.reason, entry.outcome, entry.command_id)
        writer.writerow((trail, entry.seq, iso(entry.at), *map(safe, texts), entry.event_seq or ""))
    return out.getvalue()
