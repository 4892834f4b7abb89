"""What a peak costs: the pieces that a planner gets, against the bill itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depot.metering import MeterBlock
from grid.billing import BillExtras, BillingHistory, ContractChange, Month, PastMonth, bill
from grid.demand_pieces import DemandPiece, demand_pieces
from grid.tariff import Tariff
from grid.tariff.hours import Hours
from grid.tariff.rule import NoContract

IST = ZoneInfo("Asia/Kolkata")
JUNE = Month(2025, 6)
MIDDLE = datetime(2025, 6, 15, 12, tzinfo=IST)
MAX_85 = {"max": [{"ref": "recorded"}, {"ref": "contract", "factor": "0.85"}, {"ref": "highest_billing", "factor": "0.75"}]}


def tariff(*demand: dict[str, Any], **more: Any) -> Tariff:
    told = {"name": "t", "title": "T", "currency": "INR", "timezone": "Asia/Kolkata", "order": "o", "source": "s"}
    return Tariff.of_tree({"schema": "tariff/2", **told, "energy": [{"basis": "kWh", "base": "7"}], "demand": list(demand), **more})


def block(day: int, minute: int, kw: int | Fraction) -> MeterBlock:
    at = datetime(2025, 6, day, minute // 60, minute % 60, tzinfo=IST)
    return MeterBlock(at.astimezone(UTC), 15, int(kw * 250))


def test_a_floor_makes_peaks_below_it_free() -> None:
    layered = tariff({"basis": "kVA", "rate": "180", "billing_rule": MAX_85, "excess": {"multiplier": 2}})
    base, excess = demand_pieces(layered, MIDDLE, contract=100, power_factor=Fraction(9, 10))
    assert (base.free_kw, base.rate_per_kw, base.block_min, base.hours) == (Fraction("76.5"), 200, 15, None)
    assert (excess.free_kw, excess.rate_per_kw, excess.above_contract, excess.group) == (90, 200, True, "demand-excess")
    assert "85 % of 100 kVA contract demand" in base.because
    with pytest.raises(NoContract):
        demand_pieces(layered, MIDDLE)


def test_what_was_reached_and_billed_before_is_free_too() -> None:
    layered = tariff({"basis": "kW", "rate": "100", "billing_rule": MAX_85, "excess": {"multiplier": "1.5"}})
    history = BillingHistory({JUNE.after(-11): PastMonth(Fraction(0), Fraction(124))}, (ContractChange(date(2025, 6, 1), Fraction(100)),))
    assert demand_pieces(layered, MIDDLE, contract=10, history=history)[0].free_kw == 93
    reached = demand_pieces(layered, MIDDLE, history=history, so_far=[block(2, 0, 97)])
    assert [piece.free_kw for piece in reached] == [97, 100]
    above = demand_pieces(layered, MIDDLE, history=history, so_far=[block(2, 0, 130)])
    assert [(piece.free_kw, piece.rate_per_kw, piece.above_contract) for piece in above] == [(130, 150, True)]


def test_hours_factors_and_percentages() -> None:
    rule = {"max": [{"ref": "recorded", "factor": "0.65", "from": "06:00", "to": "22:00"}, {"ref": "contract", "factor": "0.5"}]}
    duty = [{"code": "duty", "basis": "pct_of", "value": "10", "of": ["demand"]}]
    layered = tariff({"basis": "kW", "rate": "100", "block_min": 30, "billing_rule": rule, "excess": {"multiplier": "1.5"}}, adders=duty)
    base, excess = demand_pieces(layered, MIDDLE, contract=130)
    assert (base.hours, base.free_kw, base.rate_per_kw, base.block_min) == (Hours(360, 1320), 100, Fraction("71.5"), 30)
    assert (excess.hours, excess.free_kw, excess.rate_per_kw) == (None, 130, 165)


def test_a_tariff_without_demand_charge_has_no_pieces() -> None:
    assert demand_pieces(Tariff.named("delhi-ev-ht"), MIDDLE) == []


def test_the_layer_of_the_day_counts() -> None:
    layered = tariff({"basis": "kW", "rate": "1", "valid_until": "2025-06-10"}, {"basis": "kW", "rate": "2", "valid_from": "2025-06-10"})
    assert demand_pieces(layered, MIDDLE)[0].rate_per_kw == 2
    assert demand_pieces(layered, MIDDLE - timedelta(days=10))[0].rate_per_kw == 1


def cost(pieces: Sequence[DemandPiece], kw: Fraction, minute: int) -> Fraction:
    groups: dict[str, Fraction] = {}
    for piece in pieces:
        if piece.hours is None or piece.hours.hold(minute):
            more = piece.rate_per_kw * max(Fraction(0), kw - piece.free_kw)
            groups[piece.group] = max(groups.get(piece.group, Fraction(0)), more)
    return sum(groups.values(), Fraction(0))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 400),
    st.lists(st.tuples(st.integers(1, 14), st.integers(0, 95), st.integers(0, 400)), max_size=5, unique_by=lambda b: b[:2]),
    st.integers(0, 600),
    st.integers(0, 95),
    st.booleans(),
    st.sampled_from(["1", "1.5", "2"]),
    st.integers(0, 300),
)
def test_a_further_peak_costs_what_the_bill_grows_by(
    contract: int, before: list[tuple[int, int, int]], kw: int, quarter: int, also_base: bool, multiplier: str, past: int
) -> None:
    layered = tariff(
        {"basis": "kVA", "rate": "193", "billing_rule": MAX_85, "excess": {"multiplier": multiplier, "also_base": also_base}},
        energy=[{"basis": "kWh", "base": "0"}],
        adders=[{"code": "duty", "basis": "pct_of", "value": "9", "of": ["demand"]}],
    )
    factor = Fraction(19, 20)
    history = BillingHistory({JUNE.after(-4): PastMonth(Fraction(past), Fraction(past))})
    so_far = [block(day, 15 * k, power) for day, k, power in before]
    pieces = demand_pieces(layered, MIDDLE, contract=contract, history=history, so_far=so_far, power_factor=factor)
    extras = BillExtras(power_factor=factor)

    def total(blocks: list[MeterBlock]) -> int:
        return bill(layered, JUNE, blocks, history, contract=contract, extras=extras).total_paise

    grown = total([*so_far, block(20, 15 * quarter, kw)]) - total(so_far)
    assert abs(grown - cost(pieces, Fraction(kw), 15 * quarter) * 100) <= 4, "each line is rounded to the paisa"


@settings(deadline=None, max_examples=40)
@given(st.integers(50, 400), st.integers(0, 600), st.integers(0, 95), st.integers(0, 300))
def test_with_hours_and_shares_it_is_never_less_than_the_bill(contract: int, kw: int, quarter: int, past: int) -> None:
    name = "maharashtra-msedcl-ht-ev:energy_rate=1,wheeling_rate=1,demand_rate=583,solar_factor=1,evening_factor=1"
    layered = Tariff.named(name)
    july = Month(2025, 7)
    history = BillingHistory({july.after(-4): PastMonth(Fraction(past), Fraction(past))})
    at = datetime(2025, 7, 15, tzinfo=IST)
    pieces = demand_pieces(layered, at, contract=contract, history=history)
    extras = BillExtras(power_factor=Fraction(1), monthly={"fac": Fraction(0)})

    def total(kw: int) -> int:
        begin = datetime(2025, 7, 3, tzinfo=IST).astimezone(UTC) + timedelta(minutes=15 * (quarter - quarter % 2))
        blocks = [MeterBlock(begin + timedelta(minutes=15 * k), 15, kw * 250) for k in (0, 1)]
        made = bill(layered, july, blocks, history, contract=contract, extras=extras)
        return sum(line.amount_paise for line in made.lines if line.code.startswith("demand"))

    assert cost(pieces, Fraction(kw), 15 * (quarter - quarter % 2)) * 100 >= total(kw) - total(0) - 2
