"""Facts of what plans are made by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.plan_policy import PolicyPick


@dataclass(frozen=True, slots=True)
class PlanPolicyPicked(Event):
    """A person picked what plans shall be good at; ``pick`` None: what the settings say, again."""

    TYPE: ClassVar[str] = "plan.policy_picked"
    pick: PolicyPick | None
    reason: str = ""
