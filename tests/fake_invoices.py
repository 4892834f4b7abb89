"""What the fake depot says of driver tariffs and invoices."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from fake_depot import NOW, FakeLink, at

from controller.driver_tariffs_view import DriverPriceView, DriverTariffsView, DriverTariffView, PriceStepView, TariffVersionView
from controller.fleet_costs_view import CostShareView, FleetCostsView
from controller.invoices_room import row_view
from controller.invoices_view import InvoicesView, InvoiceView, PayLinkView, RecipientsView, RecipientView, SeriesView
from payments.documents import DocumentKind, Sale, digest_of, document, to_text
from payments.driver_tariff import DriverTariff
from payments.gst import GstBook, Recipient, Supplier
from payments.invoices import IssuedDocument
from payments.money import bill_of_value
from payments.rating import Reading, SessionFacts, rate
from payments.tariff_text import digest_of as tariff_digest
from payments.tariff_text import from_text, to_data, told
from payments.upi_pay import PayLink

GSTIN = "27AAPFU0939F1ZV"
TARIFF = """{"schema": "driver-tariff/1", "id": "evening", "name": "Evening", "max_price": "900",
 "elements": [{"energy": {"price": "16.50"}, "when": {"from": "18:00", "to": "22:00"}},
              {"energy": {"price": "12.75"}, "idle": {"price": "120", "grace_min": 15}}]}"""
SUPPLIER = Supplier(
    name="Kothrud Charging Pvt Ltd", address="12 Paud Road, Pune 411038", gstin=GSTIN, state_code="27", vpa="kothrud@okaxis"
)


def tariff() -> DriverTariff:
    return from_text(TARIFF)


def issued(
    recipient: Recipient | None = None, *, number: str = "2627/000117", supplier: Supplier = SUPPLIER, session_id: str = "s-5"
) -> IssuedDocument:
    """A session of an evening over a change of price, with idle time, as invoiced."""
    start = NOW - timedelta(hours=8)
    facts = SessionFacts(
        readings=tuple(Reading(start + timedelta(minutes=15 * k), 1000 + 3_500 * k) for k in range(9)),
        full_at=start + timedelta(minutes=110),
        gone_at=start + timedelta(hours=3),
    )
    rated = rate(tariff(), facts)
    rule = GstBook(supplier=supplier).rule((NOW + timedelta(hours=5.5)).date(), recipient)
    sale = Sale(
        session_id=session_id, driver_id="driver 9", place="CP-03/1", started_at=facts.started_at, ended_at=facts.ended_at,
        tariff_id="evening", tariff_digest=tariff_digest(tariff()),
    )  # fmt: skip
    made = document(
        DocumentKind.INVOICE, number, NOW, sale=sale, rated=rated, bill=bill_of_value(rated.taxable_paise, rated.energy_wh, rule),
        gst=rule, supplier=supplier, recipient=recipient,
    )  # fmt: skip
    text = to_text(made)
    return IssuedDocument(
        number, DocumentKind.INVOICE, session_id, "driver 9", made["day"], None, made["total_paise"], digest_of(text), NOW, made
    )


def invoice(*, unpaid: bool = True, recipient: Recipient | None = None) -> InvoiceView:
    one = issued(recipient)
    pay = PayLink(vpa="kothrud@okaxis", name=SUPPLIER.name, number=one.number, amount_paise=one.total_paise)
    return InvoiceView(
        row=row_view(one),
        stage="arrears" if unpaid else "captured",
        owed_paise=one.total_paise if unpaid else 0,
        pay=PayLinkView(vpa=pay.vpa, name=pay.name, amount_paise=pay.amount_paise, url=pay.url) if unpaid else None,
        others=["2627/C000004"],
        digest=one.digest,
        document=one.body,
    )


def invoices() -> InvoicesView:
    rows = [row_view(issued(number=f"2627/{count:06d}", session_id=f"s-{count}")) for count in (117, 116, 115)]
    series = [SeriesView(series="invoice", year="2627", last=117, missing=["2627/000009"], missing_count=1)]
    return InvoicesView(at=NOW, documents=rows, more="2627/000115", series=series, supplier_missing=[])


def versions() -> list[TariffVersionView]:
    one = tariff()
    values = {
        "tariff_id": "evening",
        "name": "Evening",
        "digest": tariff_digest(one),
        "by": "mani",
        "valid_from": None,
        "valid_until": None,
    }
    values |= {"drivers": [], "groups": [], "stations": [], "says": told(one)}
    return [
        TariffVersionView(number=2, put_at=NOW, ended_at=None, in_force=True, **values),
        TariffVersionView(number=1, put_at=NOW - timedelta(days=40), ended_at=None, in_force=False, **values),
    ]


def price() -> DriverPriceView:
    def step(hours: float, until: float, paise: Fraction) -> PriceStepView:
        return PriceStepView(
            since=NOW + timedelta(hours=hours), until=NOW + timedelta(hours=until), paise_per_kwh=str(paise),
            paise_per_kwh_with_tax=round(paise * 118 / 100), time_paise_with_tax=0, idle_paise_with_tax=14_160, flat_paise_with_tax=0,
        )  # fmt: skip

    steps = [step(0, 16.8, Fraction(1275)), step(16.8, 20.8, Fraction(1650)), step(20.8, 24, Fraction(1275))]
    return DriverPriceView(
        at=NOW, driver_id="", station_id="", tariff_id="evening", number=2, says=told(tariff()), tax_percent=18.0, steps=steps,
        idle_free_min=15, least_paise=None, most_paise=90_000,
    )  # fmt: skip


def fleet_costs() -> FleetCostsView:
    """A month of two buses and a car that nobody knows."""
    rows = [("", "", 2, 18_400), ("E-101", "Route 12", 21, 1_204_000), ("E-102", "Route 12", 19, 1_100_250)]
    vehicles = [
        CostShareView(name=name, cost_centre=centre, sessions=sessions, energy_wh=wh, amount_paise=wh * 725 // 1000)
        for name, centre, sessions, wh in rows
    ]
    both = CostShareView(name="Route 12", cost_centre="Route 12", sessions=40, energy_wh=2_304_250, amount_paise=1_670_581)
    return FleetCostsView(
        month="2026-11", since=at(0) - timedelta(days=20), until=at(0) + timedelta(days=10), running=True, currency="INR", basis="price",
        paise_per_kwh="725", vehicles=vehicles, centres=[vehicles[0], both], sessions=42, energy_wh=2_322_650,
        amount_paise=sum(share.amount_paise for share in vehicles), remarks=[],
    )  # fmt: skip


def fill_invoices(link: FakeLink) -> None:
    """Let the fake core answer for these pages."""
    link.shown |= {
        InvoicesView: invoices(),
        InvoiceView: invoice(),
        RecipientsView: RecipientsView(
            at=NOW,
            recipients=[
                RecipientView(
                    driver_id="driver 9",
                    name="Rani Logistics",
                    address="4 MG Road, Bengaluru",
                    gstin="29AAGCB7383J1Z4",
                    state_code="29",
                    state="Karnataka",
                )
            ],
        ),
        DriverTariffsView: DriverTariffsView(
            at=NOW, timezone="Asia/Kolkata", versions=versions(), one_price=["14.50 INR/kWh"], tax_percent=18.0
        ),
        DriverTariffView: DriverTariffView(version=versions()[0], form="json", tariff=to_data(tariff())),
        DriverPriceView: price(),
        FleetCostsView: fleet_costs(),
    }
