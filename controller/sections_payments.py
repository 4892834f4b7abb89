"""The section ``[payments]`` of the settings file: who may charge on credit, at which price, and by which gateway.

Keys are not in here: they come from the environment (:mod:`payments.keys`).
"""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Self

from pydantic import field_validator, model_validator

from controller.sections import Port, Section, setting

if TYPE_CHECKING:
    from controller.till import Price
    from payments.gst import DatedGst, Supplier
    from payments.service import Terms
    from payments.watch import Policy

REAL_GATEWAY = "https://api.razorpay.com/v1"
LEGAL_NOTICE_H = 24.0


class PaymentsSection(Section):
    """Drivers who pay by UPI. Without this section nobody pays and no start is refused for money."""

    price_inr_per_kwh: Decimal = setting(
        ..., "Price of energy without tax, for those for whom no driver tariff holds. Kept for a whole session from its start.",
        unit="₹/kWh", ge=0,
    )  # fmt: skip
    service_inr: Decimal = setting(Decimal(0), "Charge for each session with energy, without tax, beside that price.", unit="₹", ge=0)
    tariff_files: tuple[str, ...] = setting(
        (), "Driver tariffs (docs/driver-tariffs.md) that are put at each start, where they are new; as seen from the working folder."
    )
    gst_percent: Decimal = setting(Decimal(18), "GST on energy and service charge.", unit="%", ge=0, lt=100)
    sac: str = setting("998714", "Service accounting code on the bill.", pattern=r"^\d{4,8}$")
    supplier_state: str = setting("", "State code of the depot, first two digits of its GSTIN.", pattern=r"^(\d{2})?$")
    supply_state: str = setting("", "State code of the place of supply; another one than the depot's means IGST.", pattern=r"^(\d{2})?$")
    gst_changes: tuple[str, ...] = setting(
        (), "Later rates, in the order of their days: day, percent and code, like 2027-04-01 5 998714. By the invoice's day."
    )
    supplier_name: str = setting("", "Who issues the invoices, as registered.", max_length=120)
    supplier_address: str = setting("", "Its address, on one line.", max_length=240)
    supplier_gstin: str = setting("", "Its GSTIN in the depot's state. Without name, address and GSTIN documents say that they are none.")
    invoice_prefix: str = setting(
        "", "Put before the numbers of invoices and notes, so that depots under one GSTIN have numbers of their own.",
        pattern=r"^[A-Z0-9]{0,4}$",
    )  # fmt: skip
    irn_needed: bool = setting(False, "Turnover above ₹5 crore: invoices to businesses say that they need an IRN. None is fetched.")
    upi_vpa: str = setting("", "UPI address to which a driver can pay a bill by hand whose debit was given up. Shown as QR code.")
    whole_rupees: bool = setting(False, "Round each bill to whole rupees, with a line of its own.")
    cost_every_s: float = setting(
        60.0, "Between two running costs that a station shows to its driver, where it says that it can. 0: none.",
        unit="s", ge=0, le=3600,
    )  # fmt: skip
    most_kwh: float = setting(40.0, "Energy at which a paid session is ended. The gate counts with it.", unit="kWh", gt=0, le=1000)
    smaller_sessions: bool = setting(
        True, "Where a driver's money does not reach for a whole session, let a smaller one begin; it ends where the money does."
    )
    least_kwh: float = setting(2.0, "The smallest such session.", unit="kWh", gt=0, le=1000)
    longest_h: float = setting(8.0, "How long a paid session is taken to last at most, for the mandate's end.", unit="h", gt=0, le=72)
    credit_limit_inr: Decimal = setting(
        Decimal(5000), "The most that a driver may owe on AutoPay, sessions under way included.", unit="₹", gt=0
    )
    spread_days: int = setting(
        1,
        "Over how many days' debits this may be spread. One debit takes ₹15,000 at most, or the mandate's maximum.",
        unit="days",
        ge=1,
        le=14,
    )
    warn_percent: float = setting(
        20.0, "When so much is left of a block that does not reach for a whole session, the driver is asked to top up.",
        unit="%", ge=0, le=90,
    )  # fmt: skip
    stop_on_loss: bool = setting(True, "End a session whose mandate is revoked or paused while it runs. Never one of the own fleet.")
    grace_kwh: float = setting(1.0, "Energy that such a session still gets.", unit="kWh", ge=0, le=100)
    grace_min: float = setting(5.0, "Time that such a session still gets; it ends at whichever comes first.", unit="min", ge=0, le=240)
    end_replaced: bool = setting(
        True, "End a mandate at the gateway that a newer one of the same driver and kind has replaced, once nothing is open on it."
    )
    gateway_url: str = setting(REAL_GATEWAY, "Address of the gateway's API. With mock it is the mock's, whatever stands here.")
    webhook_host: str = setting("127.0.0.1", "Address on which the gateway's webhooks are awaited; put a TLS proxy in front.")
    webhook_port: Port = setting(8091, "Port on which they are awaited (path /gateway/webhook).")
    mock: bool = setting(False, "Run the mock gateway beside the depot: for trials, no money moves. Needs test keys.")
    mock_port: Port = setting(8090, "Port of the mock gateway, on this machine only.")
    mock_notice_s: float = setting(2.0, "Mock: how long the notice before a debit takes to arrive.", unit="s", ge=0)
    mock_decide_s: float = setting(1.0, "Mock: how long the bank takes to decide on a debit.", unit="s", ge=0)
    mock_profile: str = setting(
        "calm", "Mock: how it misbehaves: calm, slow, lossy, noisy, unlucky or chaos.", pattern="^(calm|slow|lossy|noisy|unlucky|chaos)$"
    )
    mock_seed: int = setting(1, "Mock: another seed is other luck.", ge=0)
    notice_h: float = setting(LEGAL_NOTICE_H, "Notice to the driver before each debit; RBI demands 24 h.", unit="h", ge=0, le=240)
    notice_margin_h: float = setting(1.0, "Added to the notice, for messages that come late.", unit="h", ge=0, le=24)
    windows: tuple[str, ...] = setting(
        ("00:00-10:00", "13:00-17:00", "21:30-00:00"), "When debits may be presented, Indian time, like 13:00-17:00.", min_length=1
    )
    cut_off: str = setting(
        "23:00", "When a driver's sessions of the day become one debit, Indian time; empty with the mock gateway: each session at once."
    )
    ask_above_15000: bool = setting(
        False, "Debit more than ₹15,000 at once, which the driver must approve in the UPI app, instead of splitting it over days."
    )
    reminder_days: tuple[int, ...] = setting(
        (0, 3, 7, 14), "Days after a bill came into arrears on which its driver is reminded.", max_length=12
    )
    reminder_url: str = setting(
        "", "Address of your messenger, which takes each reminder as JSON (docs/payments.md); empty: they stand on the pages only.",
        pattern=r"^(https://\S+|http://(127\.0\.0\.1|localhost)[:/]\S*)?$",
    )  # fmt: skip
    write_off_alone_inr: Decimal = setting(Decimal(1000), "Above this a write-off waits for a second person.", unit="₹", ge=0)
    max_retries: int = setting(3, "How often a debit that failed for a passing reason is tried again (NPCI: 3).", ge=0, le=3)
    retry_wait_h: float = setting(6.0, "How long to wait before that.", unit="h", ge=0, le=72)
    lookup_s: float = setting(90.0, "Between two look-ups of one debit (NPCI: 90 s).", unit="s", ge=0.1, le=3600)
    settle_min: float = setting(
        30.0, "An unanswered debit is asked for again only after this; longer than the gateway can hide one.", unit="min", gt=0, le=1440
    )

    @field_validator("windows")
    @classmethod
    def _readable(cls, windows: tuple[str, ...]) -> tuple[str, ...]:
        for text in windows:
            _window(text)
        return windows

    @field_validator("reminder_days")
    @classmethod
    def _rising(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if any(day < 0 or day > 365 for day in days) or list(days) != sorted(set(days)):
            raise ValueError("reminder_days are days from 0 to 365, each later than the one before")
        return days

    @field_validator("cut_off")
    @classmethod
    def _time_of_day(cls, text: str) -> str:
        try:
            if text and time.fromisoformat(text).tzinfo is not None:
                raise ValueError
        except ValueError:
            raise ValueError(f"{text!r} is no time of day; write it like 23:00") from None
        return text

    @model_validator(mode="after")
    def _least_is_less(self) -> Self:
        if self.smaller_sessions and self.least_kwh > self.most_kwh:
            raise ValueError(
                f"least_kwh ({self.least_kwh:g}) is above most_kwh ({self.most_kwh:g}): lower it, or set smaller_sessions = false"
            )
        return self

    @model_validator(mode="after")
    def _invoices_can_be_made(self) -> Self:
        from payments import PaymentsError

        try:
            self._supplier_and_changes()
        except PaymentsError as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _as_the_law_has_it(self) -> Self:
        if not self.mock:
            if not self.cut_off:
                raise ValueError("cut_off is empty: a debit for each session at once is for the mock gateway only; write it like 23:00")
            if self.notice_h < LEGAL_NOTICE_H:
                raise ValueError(f"notice_h ({self.notice_h:g}) is below {LEGAL_NOTICE_H:g}, which a real gateway's rules demand")
            if self.lookup_s < 90 or self.settle_min < 10:
                raise ValueError("lookup_s below 90 and settle_min below 10 are for the mock gateway only")
        return self

    def _supplier_and_changes(self) -> tuple[Supplier, tuple[DatedGst, ...]]:
        from payments.gst import GstBook, Supplier
        from payments.upi_pay import checked_vpa

        supplier = Supplier(
            name=self.supplier_name,
            address=self.supplier_address,
            gstin=self.supplier_gstin,
            state_code=self.supplier_state,
            vpa=checked_vpa(self.upi_vpa) if self.upi_vpa else "",
            prefix=self.invoice_prefix,
            irn_needed=self.irn_needed,
        )
        changes = tuple(_gst_change(text) for text in self.gst_changes)
        GstBook(changes=changes, supplier=supplier)
        return supplier, changes

    @property
    def write_off_alone_paise(self) -> int:
        """What one person may write off."""
        return _paise(self.write_off_alone_inr)

    def to_terms(self) -> Terms:
        """For the books of money."""
        from payments.money import GstRule
        from payments.rules import Rules
        from payments.service import Terms

        supplier, changes = self._supplier_and_changes()
        return Terms(
            credit_limit_paise=_paise(self.credit_limit_inr),
            spread_days=self.spread_days,
            cancel_older=self.end_replaced,
            gst=GstRule(
                rate=Fraction(self.gst_percent) / 100,
                sac=self.sac,
                supplier_state=self.supplier_state,
                supply_state=self.supply_state,
                whole_rupees=self.whole_rupees,
            ),
            gst_changes=changes,
            supplier=supplier,
            rules=Rules(
                notice=timedelta(hours=self.notice_h),
                notice_margin=timedelta(hours=self.notice_margin_h),
                windows=tuple(_window(text) for text in self.windows),
                max_retries=self.max_retries,
                retry_wait=timedelta(hours=self.retry_wait_h),
                lookup_spacing=timedelta(seconds=self.lookup_s),
                settle=timedelta(minutes=self.settle_min),
                cut_off=time.fromisoformat(self.cut_off) if self.cut_off else None,
                ask_second_factor=self.ask_above_15000,
                reminder_days=self.reminder_days,
            ),
        )

    def to_price(self) -> Price:
        """For the till."""
        from controller.till import Price

        return Price(
            paise_per_kwh=Fraction(self.price_inr_per_kwh) * 100,
            service_paise=_paise(self.service_inr),
            most_wh=round(self.most_kwh * 1000),
            least_wh=round(self.least_kwh * 1000) if self.smaller_sessions else None,
            longest=timedelta(hours=self.longest_h),
        )

    def to_watch_policy(self) -> Policy:
        """For the watch over running sessions."""
        from payments.watch import Policy

        return Policy(
            warn_share=self.warn_percent / 100,
            stop_on_loss=self.stop_on_loss,
            grace_wh=round(self.grace_kwh * 1000),
            grace=timedelta(minutes=self.grace_min),
        )


def _paise(rupees: Decimal) -> int:
    return round(rupees * 100)


def _gst_change(text: str) -> DatedGst:
    from payments import InvalidBill
    from payments.gst import DatedGst

    try:
        day, percent, sac = text.split()
        return DatedGst(date.fromisoformat(day), Fraction(percent) / 100, sac)
    except InvalidBill:
        raise
    except ValueError:
        raise InvalidBill(f"{text!r:.40} is no change of tax; write it like 2027-04-01 5 998714") from None


def _window(text: str) -> tuple[time, time]:
    start, dash, end = text.replace(" ", "").partition("-")
    try:
        if not dash:
            raise ValueError
        return time.fromisoformat(start), time.fromisoformat(end)
    except ValueError:
        raise ValueError(f"{text!r} is no window; write it like 13:00-17:00 (00:00 at the end is midnight)") from None
