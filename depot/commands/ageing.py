"""Commands about the ageing that plans count with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowAgeing(Command):
    """Whether plans count with the fleet's own factors of a chemistry from now on (``follows``), or with the table as it is."""

    TITLE: ClassVar[str] = "Follow the fleet's ageing"

    chemistry: str
    follows: bool

    @property
    def target(self) -> str:
        return self.chemistry

    @property
    def detail(self) -> Mapping[str, str]:
        return {"plans count with": "the fleet's own factors" if self.follows else "the table"}
