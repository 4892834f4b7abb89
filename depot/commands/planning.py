"""Commands about how the depot plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.command import Command
from depot.plan_policy import PolicyPick


@dataclass(frozen=True, slots=True, kw_only=True)
class PickPlanPolicy(Command):
    """Plan by ``pick`` from now on; None: by the policy of the settings again."""

    TITLE: ClassVar[str] = "Pick the plan's policy"

    pick: PolicyPick | None

    @property
    def target(self) -> str:
        return "plan"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"policy": "as in the settings" if self.pick is None else self.pick.words}
