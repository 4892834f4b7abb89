"""What the Payments page shows. Amounts are integer paise; no name, phone number or VPA is in here, for none is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from controller.books_view import (
    ArrearsView,
    DayStatementView,
    DebitsView,
    DriverStatementView,
    FleetStatementView,
    ReconciliationView,
    RefundsView,
)
from controller.room import Carrier, Viewer
from depot.commands import Command


class MandateView(Struct, frozen=True, kw_only=True):
    """``intent_url``: for the driver's UPI app, while approval is still to come. ``mode``: autopay, reserve or one_time;
    ``blocked_paise``, ``debited_paise``: of a block."""

    mandate_id: str
    driver_id: str
    state: str
    max_amount_paise: int
    expire_at: datetime
    created_at: datetime
    intent_url: str | None
    mode: str = "autopay"
    blocked_paise: int = 0
    debited_paise: int = 0


class RunningView(Struct, frozen=True, kw_only=True):
    """A paid session under way. ``energy_wh``: so far, as measured."""

    session_id: str
    driver_id: str
    connector: str
    started_at: datetime
    energy_wh: int
    most_wh: int
    reserved_paise: int


class UnbilledView(Struct, frozen=True, kw_only=True):
    """A paid session that has ended and is not in the books yet. ``why``: what keeps it, "" where nothing does."""

    session_id: str
    driver_id: str
    stopped_at: datetime
    energy_wh: int
    why: str


class BillView(Struct, frozen=True, kw_only=True):
    """A session's money. ``may``: what a person can do about it, of retry, write_off, refund."""

    session_id: str
    driver_id: str
    stage: str
    opened_at: datetime
    invoice_no: str
    energy_wh: int
    taxable_paise: int
    tax_paise: int
    total_paise: int
    reserved_paise: int
    tries: int
    due_at: datetime | None
    reason: str
    advice: str
    may: tuple[str, ...]
    owed_paise: int = 0
    paid_paise: int = 0


class RefusalView(Struct, frozen=True, kw_only=True):
    """A driver who was told no."""

    at: datetime
    driver_id: str
    station_id: str
    message: str


class LedgerView(Struct, frozen=True, kw_only=True):
    """``sum_paise`` must be 0. ``owed_paise``: by drivers; ``collected_paise``: taken by the gateway, not settled yet;
    ``refunds_due_paise``: to drivers."""

    entries: int
    sum_paise: int
    sound: bool
    owed_paise: int
    collected_paise: int
    revenue_paise: int
    tax_paise: int
    refunds_due_paise: int
    bad_debts_paise: int


class WebhooksView(Struct, frozen=True, kw_only=True):
    """Counts. ``parked``: about nothing that we know yet; ``odd``: contradict our books and changed nothing."""

    applied: int
    pending: int
    parked: int
    odd: int
    forged: int
    unreadable: int
    forged_at: datetime | None


class GatewayView(Struct, frozen=True, kw_only=True):
    """``real_money`` False: test keys. ``trouble``: why it did not answer at ``silent_at``."""

    real_money: bool
    mock: bool
    answered_at: datetime | None
    silent_at: datetime | None
    trouble: str

    @property
    def silent(self) -> bool:
        """Whether the last request went without a clear answer."""
        return self.silent_at is not None and (self.answered_at is None or self.silent_at > self.answered_at)


class PaymentsView(Struct, frozen=True, kw_only=True):
    """``more``: there are older bills; ask with ``before=more``."""

    at: datetime
    ledger: LedgerView
    in_arrears: int
    gateway: GatewayView
    webhooks: WebhooksView
    mandates: list[MandateView]
    running: list[RunningView]
    unbilled: list[UnbilledView]
    bills: list[BillView]
    more: str | None
    refused: list[RefusalView]
    paise_per_kwh: float
    service_paise: int
    most_wh: int


class NoBilling:
    """The room where nobody pays: its view says that there is nothing."""

    commands: Mapping[type[Command], Carrier] = {}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        kinds = (
            PaymentsView,
            ArrearsView,
            ReconciliationView,
            DebitsView,
            RefundsView,
            DriverStatementView,
            FleetStatementView,
            DayStatementView,
        )
        return dict.fromkeys(kinds, self._view)

    async def run(self) -> None:
        """Nothing to do."""

    async def _view(self, _: Mapping[str, str]) -> None:
        return None
