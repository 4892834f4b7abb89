"""What was measured of a session as JSON, kept with its bill: a correction is rated from it again."""

from __future__ import annotations

import json
from datetime import datetime

from payments.rating import Reading, SessionFacts, Span

__all__ = ["from_text", "to_text"]


def to_text(facts: SessionFacts) -> str:
    """One line, keys in order."""
    return json.dumps(
        {
            "readings": [[one.at.isoformat(), one.register_wh] for one in facts.readings],
            "full_at": _text(facts.full_at),
            "gone_at": _text(facts.gone_at),
            "held": [[span.since.isoformat(), span.until.isoformat()] for span in facts.held],
            "estimated": facts.estimated,
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def from_text(text: str) -> SessionFacts:
    """The same again."""
    data = json.loads(text)
    return SessionFacts(
        readings=tuple(Reading(datetime.fromisoformat(at), wh) for at, wh in data["readings"]),
        full_at=_moment(data["full_at"]),
        gone_at=_moment(data["gone_at"]),
        held=tuple(Span(datetime.fromisoformat(since), datetime.fromisoformat(until)) for since, until in data["held"]),
        estimated=data["estimated"],
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
