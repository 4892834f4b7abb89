"""Commands of outputs: isolate, reset, test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.command import Command
from depot.outputs import Area
from depot.values import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolateArea(Command):
    """Emergency isolation of a bay, a feeder or the site: sessions are stopped, then its contactors open. Latched."""

    TITLE: ClassVar[str] = "Isolate"

    area: Area

    @property
    def target(self) -> str:
        return str(self.area)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetArea(Command):
    """End an isolation: ``actor`` is the person, ``role`` the one of their session."""

    TITLE: ClassVar[str] = "Reset isolation"

    area: Area
    role: Role

    @property
    def target(self) -> str:
        return str(self.area)

    @property
    def detail(self) -> Mapping[str, str]:
        return {"role": self.role.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOutput(Command):
    """Switch an output to its emergency state and back, and look at its read-back."""

    TITLE: ClassVar[str] = "Test output"
    __test__: ClassVar[bool] = False

    output_id: str

    @property
    def target(self) -> str:
        return self.output_id
