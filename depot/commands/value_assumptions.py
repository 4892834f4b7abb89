"""Commands about what residual values rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.command import Command
from depot.value_assumptions import AssumedNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeValueAssumption(Command):
    """Reckon with ``number`` from now on; None: as in the settings again. ``name``: such as ``numbers.test_per_kwh``."""

    TITLE: ClassVar[str] = "Change an assumption of residual values"

    name: str
    number: AssumedNumber | None

    @property
    def target(self) -> str:
        return self.name

    @property
    def detail(self) -> Mapping[str, str]:
        number = self.number
        return {"value": "as in the settings"} if number is None else {"value": number.words, "source": number.source}
