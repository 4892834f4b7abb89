"""Commands of mandates and bills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from depot.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMandate(Command):
    """Ask the gateway for a UPI mandate of a driver, who pays for sessions started with ``id_tag``. Name, e-mail
    and phone (``contact``, with +91) go to the gateway and are kept nowhere here. ``mode``: autopay, reserve or one_time;
    ``max_amount_paise``: of each debit, or what is blocked. ``hosted``: approved on a page of the gateway, whose link it sends
    to the driver by SMS; else the link opens the UPI app."""

    TITLE: ClassVar[str] = "Set up mandate"

    driver_id: str
    id_tag: str
    max_amount_paise: int
    expire_at: datetime
    name: str = field(repr=False)
    email: str = field(repr=False)
    contact: str = field(repr=False)
    mode: str = "autopay"
    hosted: bool = False

    @property
    def target(self) -> str:
        return self.driver_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {"max_amount_paise": str(self.max_amount_paise), "expire_at": self.expire_at.isoformat(), "mode": self.mode}

    @property
    def bare(self) -> RegisterMandate:
        return replace(self, name="", email="", contact="")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeMandate(Command):
    """Have the gateway end a mandate. Bills that are under way may fail then, and are the driver's to pay."""

    TITLE: ClassVar[str] = "End mandate"

    mandate_id: str

    @property
    def target(self) -> str:
        return self.mandate_id


@dataclass(frozen=True, slots=True, kw_only=True)
class BillCommand(Command):
    """Base of what is done about one session's bill."""

    session_id: str

    @property
    def target(self) -> str:
        return self.session_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDebit(BillCommand):
    """Try a bill in arrears once more, under the driver's mandate of today, with a new notice."""

    TITLE: ClassVar[str] = "Try debit again"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOffBill(BillCommand):
    """Give a bill in arrears up: a loss in the ledger. ``amount_paise``: what is owed, as the person saw it; more is refused, and
    above the settings' limit a second person has to approve it."""

    TITLE: ClassVar[str] = "Write off bill"

    amount_paise: int | None = None

    @property
    def detail(self) -> Mapping[str, str]:
        return {} if self.amount_paise is None else {"amount_paise": str(self.amount_paise)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundBill(BillCommand):
    """Give a paid bill back: ``amount_paise`` of it, or as a whole."""

    TITLE: ClassVar[str] = "Refund bill"

    amount_paise: int | None = None

    @property
    def detail(self) -> Mapping[str, str]:
        return {} if self.amount_paise is None else {"amount_paise": str(self.amount_paise)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PayOtherwise(BillCommand):
    """Book that a driver paid a bill without the gateway. ``way``: cash, upi_qr or bank; ``reference``: of receipt or transfer."""

    TITLE: ClassVar[str] = "Book payment made otherwise"

    way: str
    reference: str

    @property
    def detail(self) -> Mapping[str, str]:
        return {"way": self.way, "reference": self.reference}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRefund(Command):
    """Ask the gateway again for a refund that failed."""

    TITLE: ClassVar[str] = "Ask for refund again"

    refund_key: str

    @property
    def target(self) -> str:
        return self.refund_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainDifference(Command):
    """A person's word on a difference between a settlement and the books; the reason is the explanation."""

    TITLE: ClassVar[str] = "Explain difference"

    difference_id: str

    @property
    def target(self) -> str:
        return self.difference_id
