"""A depot's money for tests of the Payments page: bills in every state that a person can meet."""

from __future__ import annotations

from datetime import timedelta

from fake_depot import NOW

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

_STATES = [
    ("estimated", "", 0, (), ""),
    ("pdn_delivered", "", 1, (), ""),
    ("debit_submitted", "", 1, (), ""),
    ("captured", "", 1, ("refund",), ""),
    ("retry_wait", "insufficient_funds", 2, (), "tried again later, without anybody's doing"),
    ("arrears", "mandate_cancelled", 1, ("retry", "write_off"), "the driver must set up a new mandate"),
    ("refunded", "", 1, (), ""),
    ("written_off", "debit_instrument_blocked", 3, (), "the driver must act in the UPI app (funds, limit, pause), or pay otherwise"),
    ("captured", "", 1, ("refund",), ""),
]


def bills() -> list[BillView]:
    found = []
    for k, (stage, reason, tries, may, advice) in enumerate(_STATES):
        energy_wh = 0 if stage == "estimated" else 8_240 + 3_310 * k
        net = round(energy_wh * 1.45)
        tax = 2 * round(net * 0.09)
        found.append(
            BillView(
                session_id=f"s-{k}", driver_id=f"driver {k % 4 + 1}", stage=stage, opened_at=NOW - timedelta(hours=1 + 5 * k),
                invoice_no="" if stage == "estimated" else f"2627/{120 - k:06d}", energy_wh=energy_wh, taxable_paise=net, tax_paise=tax,
                total_paise=net + tax, reserved_paise=73_612 if stage == "estimated" else 0, tries=tries,
                due_at=NOW + timedelta(hours=9) if stage == "pdn_delivered" else None, reason=reason, advice=advice, may=may,
            )
        )  # fmt: skip
    return found


def money() -> PaymentsView:
    """Everything at once."""
    return PaymentsView(
        at=NOW,
        ledger=LedgerView(
            entries=412, sum_paise=0, sound=True, owed_paise=1_24_560, collected_paise=86_41_275, revenue_paise=74_28_700,
            tax_paise=13_37_166, refunds_due_paise=0, bad_debts_paise=21_830,
        ),
        in_arrears=1,
        gateway=GatewayView(real_money=False, mock=True, answered_at=NOW - timedelta(seconds=4), silent_at=None, trouble=""),
        webhooks=WebhooksView(applied=1_642, pending=0, parked=1, odd=0, forged=2, unreadable=0, forged_at=NOW - timedelta(minutes=12)),
        mandates=[
            MandateView(
                mandate_id=f"m-{k}", driver_id=f"driver {k}", state=state, max_amount_paise=5_000_00, created_at=NOW,
                expire_at=NOW + timedelta(days=365), intent_url="upi://mandate?pa=depot@bank&tr=pay_1" if state == "intent_open" else None,
            )
            for k, state in enumerate(("active", "intent_open", "paused", "cancelled"), 1)
        ],
        running=[
            RunningView(
                session_id="s-0", driver_id="driver 1", connector="CP-03/1", started_at=NOW - timedelta(minutes=52), energy_wh=11_420,
                most_wh=40_000, reserved_paise=73_612,
            )
        ],
        unbilled=[UnbilledView(session_id="s-x", driver_id="driver 2", stopped_at=NOW, energy_wh=9_100, why="there is no mandate m-9")],
        bills=bills(),
        more="s-8",
        refused=[
            RefusalView(
                at=NOW - timedelta(minutes=3), driver_id="driver 3", station_id="CP-07",
                message="the mandate is paused: resume it in the UPI app",
            )
        ],
        paise_per_kwh=1450.0,
        service_paise=0,
        most_wh=40_000,
    )  # fmt: skip


def nothing_yet() -> PaymentsView:
    """Set up, and nobody has paid."""
    return PaymentsView(
        at=NOW,
        ledger=LedgerView(
            entries=0, sum_paise=0, sound=True, owed_paise=0, collected_paise=0, revenue_paise=0, tax_paise=0, refunds_due_paise=0,
            bad_debts_paise=0,
        ),
        in_arrears=0,
        gateway=GatewayView(real_money=True, mock=False, answered_at=None, silent_at=None, trouble=""),
        webhooks=WebhooksView(applied=0, pending=0, parked=0, odd=0, forged=0, unreadable=0, forged_at=None),
        mandates=[],
        running=[],
        unbilled=[],
        bills=[],
        more=None,
        refused=[],
        paise_per_kwh=1450.0,
        service_paise=200,
        most_wh=40_000,
    )  # fmt: skip
