"""What the fake depot says of bills and demand blocks."""

from __future__ import annotations

from datetime import timedelta

from fake_depot import FakeLink, at

from controller.bills_view import (
    BillLineView,
    BillsView,
    BlockView,
    ComparedView,
    DemandHistoryView,
    MonthBillView,
    MonthRow,
    UtilityBillView,
)

NOW = at(1, 12)


def bill(**more: object) -> MonthBillView:
    lines = [
        BillLineView(
            code="energy", text="Energy charge", quantity="48,210.25".replace(",", ""), unit="kWh", rate="5.9", amount_paise=28_444_048,
            explanation="48210.25 kWh × 5.9", order_ref="petition of 2019",
        ),
        BillLineView(
            code="demand", text="Demand charge", quantity="404.8", unit="kVA", rate="120", amount_paise=4_857_600,
            explanation="404.8 kVA recorded on 12 Nov 19:15", order_ref="petition of 2019",
        ),
    ]  # fmt: skip
    compared = [
        ComparedView(code="energy", text="Energy charge", ours_paise=28_444_048, theirs_paise=28_444_048, verdict="equal", words=""),
        ComparedView(
            code="demand", text="Demand charge", ours_paise=4_857_600, theirs_paise=4_880_000, verdict="unexplained",
            words="+224.00 are left that nothing here explains",
        ),
        ComparedView(code="total", text="Total", ours_paise=33_301_648, theirs_paise=33_324_048, verdict="unexplained", words="as above"),
    ]  # fmt: skip
    values: dict[str, object] = {
        "month": "2026-11",
        "at": NOW,
        "running": True,
        "tariff": "madhya-pradesh-ev-ht",
        "title": "Madhya Pradesh, electric-vehicle charging stations at HT",
        "currency": "INR",
        "problem": "",
        "lines": lines,
        "total_paise": 33_301_648,
        "expected_paise": 47_120_000,
        "energy_kwh": "48210.25",
        "energy_kvah": "50112.5",
        "power_factor": "0.962",
        "covered": 0.66,
        "blocks": 1901,
        "meter_blocks": 96,
        "caveats": ["34 % of the month was not measured"],
        "adders": ["fppca"],
        "utility": UtilityBillView(
            total_paise=33_324_048, lines={"energy": 28_444_048, "demand": 4_880_000}, recorded_w=None, recorded_va=404_800,
            import_wh=48_210_250, import_vah=None, power_factor="0.96", published={}, by="mani", at=NOW - timedelta(hours=2),
            reason="bill no. 1187",
        ),
        "compared": compared,
    }  # fmt: skip
    return MonthBillView(**(values | more))  # type: ignore[arg-type]  # as the test says


def month(name: str, **more: object) -> MonthRow:
    values: dict[str, object] = {
        "month": name, "running": False, "blocks": 0, "recorded_w": None, "recorded_va": None, "billing": None, "typed_by": "",
        "utility_paise": None,
    }  # fmt: skip
    return MonthRow(**(values | more))  # type: ignore[arg-type]  # as the test says


def months() -> list[MonthRow]:
    return [
        month("2026-11", running=True, blocks=1901, recorded_w=389_000, recorded_va=404_800, utility_paise=33_324_048),
        month("2026-10", blocks=2976, recorded_w=401_200, recorded_va=415_000),
        month("2026-09", recorded_va=398_000, billing=425_000, typed_by="mani"),
    ]


def demand(**more: object) -> DemandHistoryView:
    blocks = [
        BlockView(
            begins_at=at(22) + timedelta(minutes=15 * k), minutes=15, import_wh=80_000 + 500 * k, import_vah=84_000, export_wh=0,
            covered=1.0, source="own",
        )
        for k in range(8)
    ]  # fmt: skip
    values: dict[str, object] = {
        "at": NOW, "month": "2026-11", "interval_min": 15, "contract_w": None, "contract_va": 500_000, "target_w": 420_000,
        "blocks": blocks, "months": months(), "unit": "kVA",
    }  # fmt: skip
    return DemandHistoryView(**(values | more))  # type: ignore[arg-type]  # as the test says


def fill_bills(link: FakeLink) -> None:
    """Let the fake core answer for these pages."""
    link.shown |= {
        MonthBillView: bill(),
        BillsView: BillsView(at=NOW, tariff="madhya-pradesh-ev-ht", currency="INR", months=months()),
        DemandHistoryView: demand(),
    }
