"""Makes the Payments page's view from the journal's facts and the books. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from controller.payments_view import (
    BillView,
    GatewayView,
    LedgerView,
    MandateView,
    PaymentsView,
    RefusalView,
    RunningView,
    UnbilledView,
    WebhooksView,
)
from depot.state import PaidSession, RefusedStart
from payments.ledger import Account
from payments.overview import BillLine, MandateLine, Overview
from payments.states import Stage
from payments.tallies import GATEWAY_ANSWERED, GATEWAY_SILENT, WEBHOOK_FORGED, WEBHOOK_UNREADABLE


def payments_view(
    books: Overview,
    *,
    at: datetime,
    paid: Sequence[PaidSession],
    refused: Sequence[RefusedStart],
    stuck: Mapping[str, str],
    energy_wh: Mapping[str, int],
    real_money: bool,
    mock: bool,
    paise_per_kwh: float,
    service_paise: int,
    most_wh: int,
) -> PaymentsView:
    """``stuck``: why a session cannot be billed; ``energy_wh``: of running sessions so far; both by session id."""
    return PaymentsView(
        at=at,
        ledger=_ledger(books),
        in_arrears=books.in_arrears,
        gateway=_gateway(books, real_money=real_money, mock=mock),
        webhooks=_webhooks(books),
        mandates=[_mandate(line) for line in books.mandates],
        running=[_running(p, energy_wh.get(p.terms.session_id, 0)) for p in paid if p.stopped_at is None],
        unbilled=[_unbilled(p, p.stopped_at, stuck) for p in paid if p.stopped_at is not None],
        bills=[_bill(line) for line in books.bills],
        more=books.more,
        refused=[
            RefusalView(at=r.at, driver_id=r.fact.driver_id, station_id=r.fact.station_id, message=r.fact.message)
            for r in reversed(refused)
        ],
        paise_per_kwh=paise_per_kwh,
        service_paise=service_paise,
        most_wh=most_wh,
    )


def _ledger(books: Overview) -> LedgerView:
    def held(*accounts: Account) -> int:
        return sum(books.balances.get(account, 0) for account in accounts)

    return LedgerView(
        entries=books.ledger.entries,
        sum_paise=books.ledger.sum_paise,
        sound=books.ledger.sound,
        owed_paise=held(Account.RECEIVABLE),
        collected_paise=held(Account.CLEARING),
        revenue_paise=-held(Account.REVENUE, Account.ROUND_OFF),
        tax_paise=-held(Account.CGST, Account.SGST, Account.IGST),
        refunds_due_paise=-held(Account.REFUNDS_DUE),
        bad_debts_paise=held(Account.BAD_DEBTS),
    )


def _gateway(books: Overview, *, real_money: bool, mock: bool) -> GatewayView:
    answered, silent = books.tallies.get(GATEWAY_ANSWERED), books.tallies.get(GATEWAY_SILENT)
    return GatewayView(
        real_money=real_money,
        mock=mock,
        answered_at=answered.at if answered is not None else None,
        silent_at=silent.at if silent is not None else None,
        trouble=silent.note if silent is not None else "",
    )


def _webhooks(books: Overview) -> WebhooksView:
    forged, unreadable = books.tallies.get(WEBHOOK_FORGED), books.tallies.get(WEBHOOK_UNREADABLE)
    return WebhooksView(
        **{name: books.webhooks.get(name, 0) for name in ("applied", "pending", "parked", "odd")},
        forged=forged.number if forged is not None else 0,
        unreadable=unreadable.number if unreadable is not None else 0,
        forged_at=forged.at if forged is not None else None,
    )


def _mandate(line: MandateLine) -> MandateView:
    return MandateView(
        mandate_id=line.mandate_id,
        driver_id=line.driver_id,
        state=line.state,
        max_amount_paise=line.max_amount_paise,
        expire_at=line.expire_at,
        created_at=line.created_at,
        intent_url=line.intent_url,
        mode=line.mode.value,
        blocked_paise=line.blocked_paise,
        debited_paise=line.debited_paise,
    )


def _running(paid: PaidSession, energy_wh: int) -> RunningView:
    return RunningView(
        session_id=paid.terms.session_id,
        driver_id=paid.terms.driver_id,
        connector=str(paid.connector),
        started_at=paid.started_at,
        energy_wh=energy_wh,
        most_wh=paid.terms.most_wh,
        reserved_paise=paid.terms.reserved_paise,
    )


def _unbilled(paid: PaidSession, stopped_at: datetime, stuck: Mapping[str, str]) -> UnbilledView:
    session_id = paid.terms.session_id
    return UnbilledView(
        session_id=session_id,
        driver_id=paid.terms.driver_id,
        stopped_at=stopped_at,
        energy_wh=paid.energy_wh or 0,
        why=stuck.get(session_id, ""),
    )


def _bill(line: BillLine) -> BillView:
    return BillView(
        session_id=line.session_id,
        driver_id=line.driver_id,
        stage=line.stage,
        opened_at=line.opened_at,
        invoice_no=line.invoice_no or "",
        energy_wh=line.energy_wh,
        taxable_paise=line.taxable_paise,
        tax_paise=line.tax_paise,
        total_paise=line.total_paise,
        reserved_paise=line.reserved_paise,
        tries=line.tries,
        due_at=line.due_at,
        reason=str(line.reason or ""),
        advice=line.what_to_do,
        may=_may(line),
        owed_paise=line.owed_paise,
        paid_paise=line.paid_paise,
    )


def _may(line: BillLine) -> tuple[str, ...]:
    if line.stage is Stage.ARREARS:
        return ("retry", "write_off", "paid")
    if line.stage in (Stage.CAPTURED, Stage.RECONCILED, Stage.PART_REFUNDED) and line.paid_paise > 0:
        return ("refund",)
    movable = line.stage.owed and line.stage not in (Stage.DEBIT_SUBMITTED, Stage.PENDING)
    return ("paid",) if movable and line.owed_paise > 0 else ()
