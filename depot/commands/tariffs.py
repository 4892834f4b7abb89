"""Commands of driver tariffs, of whom invoices are made out to, and of bills that were measured wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from depot.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class PutDriverTariff(Command):
    """Put a driver tariff, or a new version of it: ``text`` is its JSON, of our own or OCPI's. Sessions under way keep theirs."""

    TITLE: ClassVar[str] = "Put driver tariff"

    tariff_id: str
    text: str = field(repr=False)

    @property
    def target(self) -> str:
        return self.tariff_id


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDriverTariff(Command):
    """No session starts under this tariff from ``until`` on; None: from now on."""

    TITLE: ClassVar[str] = "End driver tariff"

    tariff_id: str
    until: datetime | None = None

    @property
    def target(self) -> str:
        return self.tariff_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {} if self.until is None else {"until": self.until.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetInvoiceRecipient(Command):
    """Make the driver's invoices out to somebody from the next one on. ``name`` "": to the driver alone again. ``state_code``: of a
    recipient without a GSTIN."""

    TITLE: ClassVar[str] = "Set recipient of invoices"

    driver_id: str
    name: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    gstin: str = ""
    state_code: str = ""

    @property
    def target(self) -> str:
        return self.driver_id

    @property
    def detail(self) -> Mapping[str, str]:
        said = {"gstin": self.gstin, "state_code": self.state_code}
        return {name: value for name, value in said.items() if value} or {"registered": "no"}

    @property
    def bare(self) -> SetInvoiceRecipient:
        return replace(self, name="", address="")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectBill(Command):
    """Bill a session for another energy than was measured: the difference is a credit note or a debit note."""

    TITLE: ClassVar[str] = "Correct bill"

    session_id: str
    energy_wh: int

    @property
    def target(self) -> str:
        return self.session_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {"energy_wh": str(self.energy_wh)}
