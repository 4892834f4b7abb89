"""How the mock gateway behaves. Everything by chance comes from ``seed`` and the thing's own id, so that a run can be
repeated whatever the order of requests."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path

from payments.mock_gateway.npci import ALL_DAY

__all__ = ["PROFILES", "TEST_AMOUNTS", "Misbehaviour", "MockSettings"]

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
    """Shares between 0 and 1. ``mute``, ``late``: requests for orders, debits and refunds that are accepted and never
    answered, or ``late_s`` late; orders and debits stay hidden from look-ups for up to ``hide_s``. ``lost``: such requests
    that are broken off before they are acted on. ``broken``: acted on, and answered with an error page, half a JSON or a 5xx.
    ``limited``: refused with 429 before anything is done. ``failed``: debits that fail for a passing reason;
    ``notice_failed``: notices that do not arrive. ``doubled``: webhooks sent twice; ``renamed``: the second time under a new
    event id. ``shuffle_s``: webhooks leave up to so much late, each for itself, hence in any order."""

    mute: float = 0.0
    late: float = 0.0
    late_s: float = 5.0
    hide_s: float = 0.0
    lost: float = 0.0
    broken: float = 0.0
    limited: float = 0.0
    failed: float = 0.0
    notice_failed: float = 0.0
    doubled: float = 0.0
    renamed: float = 0.0
    shuffle_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mute", "late", "lost", "broken", "limited", "failed", "notice_failed", "doubled", "renamed"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share between 0 and 1")
        if min(self.late_s, self.hide_s, self.shuffle_s) < 0:
            raise ValueError("late_s, hide_s and shuffle_s are seconds, 0 or more")


PROFILES: dict[str, tuple[str, Misbehaviour]] = {
    "calm": ("everything is answered at once, webhooks come once and in order", Misbehaviour()),
    "slow": ("half of the answers and all webhooks are late", Misbehaviour(late=0.5, late_s=4.0, hide_s=2.0, shuffle_s=20.0)),
    "lossy": (
        "a third of the requests is lost, never answered, or answered with an error page; what was accepted is hidden for a while",
        Misbehaviour(mute=0.12, lost=0.1, broken=0.12, hide_s=6.0),
    ),
    "noisy": ("webhooks come twice, under new ids, in any order", Misbehaviour(doubled=0.6, renamed=0.5, shuffle_s=30.0)),
    "unlucky": ("a third of the debits and a tenth of the notices fail", Misbehaviour(failed=0.33, notice_failed=0.1)),
    "chaos": (
        "all of it at once",
        Misbehaviour(
            mute=0.1, late=0.1, late_s=4.0, hide_s=6.0, lost=0.08, broken=0.1, limited=0.1, failed=0.1, notice_failed=0.03, doubled=0.4,
            renamed=0.5, shuffle_s=30.0,
        ),
    ),
}  # fmt: skip
"""Named ways to misbehave, with what they are for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MockSettings:
    """``webhook_url`` "": nobody is told. ``notice_s``: until the notice before a debit has been delivered;
    ``decide_s``: until the bank has decided on a debit. ``approve_at_once``: mandates need no driver at the page.
    ``least_notice_s``: the notice that is demanded between delivery and debit. ``windows``: when debits are executed, Indian
    time; what comes in between is queued; none: always. ``same_day``: a mandate lapses that is not approved on the day of its
    order. ``approve_within_s``: for a debit that needs the PIN. ``most_pause_s``: the longest pause before a webhook that was
    not taken is sent again; after ``give_up_s`` the webhook is disabled. ``balance_paise``: of a new driver's account, None:
    endless. ``fee_ppm``: of each debit, in millionths, without the tax of ``fee_tax_percent`` on it. ``settle_after_s``: until
    a debit's money leaves for the merchant, None: only when asked. All in the clock's seconds."""

    database: Path
    key_id: str
    key_secret: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    webhook_url: str = ""
    seed: int = 1
    notice_s: float = 2.0
    least_notice_s: float = 0.0
    windows: tuple[tuple[time, time], ...] = ALL_DAY
    same_day: bool = False
    decide_s: float = 1.0
    approve_within_s: float = 86_400.0
    most_pause_s: float = 900.0
    give_up_s: float = 86_400.0
    approve_at_once: bool = False
    test_amounts: bool = True
    balance_paise: int | None = None
    fee_ppm: int = 20_000
    fee_tax_percent: int = 18
    settle_after_s: float | None = 2 * 86_400.0
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)

    def __post_init__(self) -> None:
        if not self.key_id.startswith("rzp_test_"):
            raise ValueError("a mock gateway takes test keys only (rzp_test_…)")

    def chance(self, what: str, id_: str) -> random.Random:
        """The luck of one thing."""
        return random.Random(f"{self.seed}/{what}/{id_}")  # noqa: S311  # repeatable on purpose

    def fee_paise(self, amount_paise: int) -> tuple[int, int]:
        """What the gateway keeps of a debit: fee with tax, and the tax in it; each rounded half up."""
        fee = (amount_paise * self.fee_ppm * 2 + 1_000_000) // 2_000_000
        tax = (fee * self.fee_tax_percent * 2 + 100) // 200
        return fee + tax, tax
