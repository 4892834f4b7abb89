"""Commands of work orders on packs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWorkOrder(Command):
    """Make a work order of an alert that stood at the last look. ``alert``: its key. One that is open already stays as it is."""

    TITLE: ClassVar[str] = "Open work order"

    alert: str

    @property
    def target(self) -> str:
        return self.alert


@dataclass(frozen=True, slots=True, kw_only=True)
class EndWorkOrder(Command):
    """End a work order. ``result``: what was found: fixed, nothing_found, something_else, or dropped."""

    TITLE: ClassVar[str] = "End work order"

    number: int
    result: str

    @property
    def target(self) -> str:
        return f"work order {self.number}"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"result": self.result}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWorkByHand(Command):
    """Make a work order that no alert asked for. ``pack``: VEHICLE/PACK; ``what``: to be done; ``due``: a date."""

    TITLE: ClassVar[str] = "Open work order by hand"

    pack: str
    what: str
    due: str

    @property
    def target(self) -> str:
        return self.pack

    @property
    def detail(self) -> Mapping[str, str]:
        return {"what": self.what, "due": self.due}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenWorkOrder(Command):
    """Open a work order again whose end was a mistake."""

    TITLE: ClassVar[str] = "Open work order again"

    number: int

    @property
    def target(self) -> str:
        return f"work order {self.number}"
