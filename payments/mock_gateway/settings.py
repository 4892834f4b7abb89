"""How the mock gateway behaves. Everything by chance comes from ``seed`` and the thing's own id, so that a run can be
repeated whatever the order of requests."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["TEST_AMOUNTS", "Misbehaviour", "MockSettings"]

TEST_AMOUNTS = {
    51: "insufficient_funds",
    52: "bank_technical_error",
    53: "payment_declined",
    54: "debit_instrument_blocked",
    55: "payment_timed_out",
}
"""The last two digits of a debit's amount (its paise) that make it fail, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """Shares between 0 and 1. ``mute``, ``late``: requests for orders and debits that are accepted and never answered,
    or ``late_s`` late; both stay hidden from look-ups for up to ``hide_s``. ``lost``: such requests that are broken off
    before they are acted on. ``doubled``: webhooks sent twice; ``renamed``: the second time under a new event id.
    ``shuffle_s``: webhooks leave up to so much late, each for itself, hence in any order."""

    mute: float = 0.0
    late: float = 0.0
    late_s: float = 5.0
    hide_s: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    renamed: float = 0.0
    shuffle_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MockSettings:
    """``webhook_url`` "": nobody is told. ``notice_s``: until the notice before a debit has been delivered;
    ``decide_s``: until the bank has decided on a debit. ``approve_at_once``: mandates need no driver at the page.
    ``least_notice_s``: the notice that is demanded between delivery and debit. ``most_pause_s``: the longest pause before
    a webhook that was not taken is sent again. All in the clock's seconds."""

    database: Path
    key_id: str
    key_secret: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    webhook_url: str = ""
    seed: int = 1
    notice_s: float = 2.0
    least_notice_s: float = 0.0
    decide_s: float = 1.0
    most_pause_s: float = 900.0
    approve_at_once: bool = False
    test_amounts: bool = True
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)

    def __post_init__(self) -> None:
        if not self.key_id.startswith("rzp_test_"):
            raise ValueError("a mock gateway takes test keys only (rzp_test_…)")

    def chance(self, what: str, id_: str) -> random.Random:
        """The luck of one thing."""
        return random.Random(f"{self.seed}/{what}/{id_}")  # noqa: S311  # repeatable on purpose
