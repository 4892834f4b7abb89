"""Bills: each rule of an order by itself, with numbers small enough to check by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depot.metering import MeterBlock
from grid import GridError
from grid.billing import Bill, BillExtras, BillingError, BillingHistory, ContractChange, Month, PastMonth, bill
from grid.tariff import Tariff
from grid.tariff.rule import NoContract

JUNE = Month(2025, 6)
IST = ZoneInfo("Asia/Kolkata")


def tariff(**layers: Any) -> Tariff:
    tree: dict[str, Any] = {
        "schema": "tariff/2",
        "name": "t",
        "title": "T",
        "currency": "INR",
        "timezone": "Asia/Kolkata",
        "order": "an order",
        "source": "nowhere",
        "energy": [{"basis": "kWh", "base": "7"}],
    }
    return Tariff.of_tree({**tree, **layers})


def blocks(kwh: Mapping[tuple[int, int], str | int | Fraction], *, factor: str = "") -> list[MeterBlock]:
    """Blocks of June by (day, minute of the day). ``factor``: the power factor that was measured."""
    made = []
    for (day, minute), energy in kwh.items():
        begin = datetime(2025, 6, day, minute // 60, minute % 60, tzinfo=IST)
        wh = int(Fraction(energy) * 1000)
        made.append(MeterBlock(begin.astimezone(UTC), 15, wh, int(wh / Fraction(factor)) if factor else None))
    return made


def amounts(made: Bill) -> list[tuple[str, int]]:
    assert sum(line.amount_paise for line in made.lines) == made.total_paise
    assert all(line.explanation and line.order_ref for line in made.lines)
    return [(line.code, line.amount_paise) for line in made.lines]


# -- energy -------------------------------------------------------------------------------------------------------------


def test_rules_that_add_are_lines_beside_the_base() -> None:
    tod = [{"from": "18:00", "to": "22:00", "op": "add", "value": "1"}, {"from": "22:00", "to": "06:00", "op": "add", "value": "-1.50"}]
    made = bill(tariff(energy=[{"basis": "kWh", "base": "6", "tod": tod}]), JUNE, blocks({(1, 600): 10, (1, 1080): 20, (2, 0): 30}))
    assert amounts(made) == [("energy", 36000), ("energy", 2000), ("energy", -4500)]
    assert [line.text for line in made.lines] == ["Energy charge", "Surcharge, 18:00–22:00", "Rebate, 22:00–06:00"]


def test_rules_that_multiply_make_zones_at_their_own_price() -> None:
    tod = [{"from": "09:00", "to": "16:00", "op": "mul", "value": "0.7"}, {"from": "16:00", "to": "09:00", "op": "mul", "value": "1.3"}]
    taken = {(3, 540): 10, (3, 945): 10, (3, 960): 10, (3, 525): 10}
    made = bill(tariff(energy=[{"basis": "kWh", "base": "7.15", "tod": tod}]), JUNE, blocks(taken))
    assert amounts(made) == [("energy", 10010), ("energy", 18590)]
    assert made.lines[1].explanation == "energy 16:00–09:00: 7.15 × 1.3 = 9.295"


def test_a_rule_of_the_day_may_have_months_weekdays_and_dates() -> None:
    tod = [
        {"op": "abs", "value": "1", "days": ["sun"]},
        {"op": "abs", "value": "2", "months": [7]},
        {"op": "abs", "value": "3", "valid_from": "2025-06-10", "valid_until": "2025-06-11"},
    ]
    made = bill(tariff(energy=[{"basis": "kWh", "base": "7", "tod": tod}]), JUNE, blocks({(1, 0): 1, (2, 0): 1, (10, 0): 1}))
    assert {line.rate: line.amount_paise for line in made.lines} == {1: 100, 7: 700, 3: 300}


@pytest.mark.parametrize(
    ("kwh", "expected"),
    [(0, [0]), (50, [20000]), (100, [40000]), (101, [40000, 600]), (250, [40000, 60000, 40000])],
)
def test_telescopic_slabs(kwh: int, expected: list[int]) -> None:
    slabs = [{"up_to": 100, "rate": 4}, {"up_to": 200, "rate": 6}, {"rate": 8}]
    made = bill(tariff(energy=[{"basis": "kWh", "slabs": slabs}]), JUNE, blocks({(1, 0): kwh}))
    assert [line.amount_paise for line in made.lines] == expected


@pytest.mark.parametrize(("kwh", "expected"), [(100, 40000), (101, 60600), (250, 200000)])
def test_slabs_of_which_the_one_reached_prices_all(kwh: int, expected: int) -> None:
    slabs = [{"up_to": 100, "rate": 4}, {"up_to": 200, "rate": 6}, {"rate": 8}]
    made = bill(tariff(energy=[{"basis": "kWh", "slabs": slabs, "slab_mode": "whole"}]), JUNE, blocks({(1, 0): kwh}))
    assert made.total_paise == expected


def test_time_of_day_on_slabs_is_on_their_mean_price() -> None:
    slabs = [{"up_to": 100, "rate": 4}, {"rate": 6}]
    tod = [{"from": "18:00", "to": "22:00", "op": "mul", "value": "1.2"}]
    made = bill(tariff(energy=[{"basis": "kWh", "slabs": slabs, "tod": tod}]), JUNE, blocks({(1, 0): 150, (1, 1080): 50}))
    # 100 × 4 + 100 × 6 = 1000, mean 5; a fifth of it on 50 kWh
    assert amounts(made) == [("energy", 40000), ("energy", 60000), ("energy", 5000)]


def test_slabs_of_a_part_of_the_month_are_cut_to_its_days() -> None:
    slabs = [{"up_to": 90, "rate": 4}, {"rate": 6}]
    energy = [
        {"basis": "kWh", "slabs": slabs, "valid_until": "2025-06-11", "order_ref": "old"},
        {"basis": "kWh", "base": "5", "valid_from": "2025-06-11", "order_ref": "new"},
    ]
    made = bill(tariff(energy=energy), JUNE, blocks({(10, 1425): 40, (11, 0): 100}))
    # ten of thirty days: the slab ends at 30 kWh
    assert amounts(made) == [("energy", 12000), ("energy", 6000), ("energy", 50000)]
    assert [line.order_ref for line in made.lines] == ["old", "old", "new"]
    assert "10 of 30 days (2025-06-01 to 2025-06-10)" in made.lines[0].explanation


def test_apparent_energy_is_billed_as_measured_or_with_the_power_factor_given() -> None:
    kvah = tariff(energy=[{"basis": "kVAh", "base": "4"}])
    made = bill(kvah, JUNE, blocks({(1, 0): 80}, factor="0.8"))
    assert (made.total_paise, made.power_factor, made.energy_kvah) == (40000, Fraction(4, 5), 100)
    given_ = bill(kvah, JUNE, blocks({(1, 0): 80}), extras=BillExtras(power_factor=Fraction(1, 2)))
    assert given_.total_paise == 64000
    assert any("reckoned with a power factor of" in told for told in given_.caveats)
    with pytest.raises(BillingError, match="apparent energy was not measured"):
        bill(kvah, JUNE, blocks({(1, 0): 80}))


def test_a_day_that_no_energy_charge_prices_has_no_bill() -> None:
    with pytest.raises(BillingError, match="no energy charge of this tariff holds on 2025-06-22"):
        bill(tariff(energy=[{"basis": "kWh", "base": "7", "valid_until": "2025-06-21"}]), JUNE, blocks({(22, 0): 1}))


# -- demand -------------------------------------------------------------------------------------------------------------


def demand(**more: Any) -> dict[str, Any]:
    return {"basis": "kW", "rate": "100", **more}


MAX_85 = {"max": [{"ref": "recorded"}, {"ref": "contract", "factor": "0.85"}]}


@pytest.mark.parametrize(
    ("kwh", "billing", "paise"),
    [(20, 85, 850_000), (Fraction("21.25"), 85, 850_000), (24, 96, 960_000), (25, 100, 1_000_000)],
)
def test_a_floor_of_85_percent_of_the_contract(kwh: int, billing: int, paise: int) -> None:
    made = bill(tariff(demand=[demand(billing_rule=MAX_85)]), JUNE, blocks({(1, 0): kwh}), contract=100)
    assert (made.demands[0].billing, dict(amounts(made))["demand"]) == (billing, paise)
    assert made.demands[0].recorded == kwh * 4
    assert made.demands[0].at == datetime(2025, 5, 31, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("excess", "expected"),
    [
        ({"multiplier": 2}, {"demand": 1_000_000, "demand-excess": 400_000}),
        ({"multiplier": "1.5"}, {"demand": 1_000_000, "demand-excess": 300_000}),
        ({"multiplier": 2, "also_base": True}, {"demand": 1_200_000, "demand-excess": 400_000}),
        ({"multiplier": 2, "above": "1.1"}, {"demand": 1_100_000, "demand-excess": 200_000}),
    ],
)
def test_demand_above_the_contract(excess: dict[str, Any], expected: dict[str, int]) -> None:
    made = bill(tariff(demand=[demand(billing_rule=MAX_85, excess=excess)]), JUNE, blocks({(1, 0): 30}), contract=100)
    assert {code: paise for code, paise in amounts(made) if code != "energy"} == expected


def test_the_ratchet_of_eleven_months_is_capped_by_the_contract() -> None:
    rule = {
        "max": [
            {"ref": "recorded", "factor": "0.65", "from": "06:00", "to": "22:00"},
            {"ref": "highest_billing", "lookback": 11, "factor": "0.75", "cap": {"ref": "contract"}},
            {"ref": "contract", "factor": "0.5"},
        ]
    }
    months = {JUNE.after(-k): PastMonth(Fraction(50), Fraction(60)) for k in range(1, 12)}
    layered = tariff(demand=[demand(billing_rule=rule, block_min=30)])

    def billing(past: Mapping[Month, PastMonth], kwh: Mapping[tuple[int, int], int]) -> Fraction:
        return bill(layered, JUNE, blocks(kwh), BillingHistory(past), contract=100).demands[0].billing

    assert billing(months, {}) == 50
    assert billing({**months, JUNE.after(-11): PastMonth(Fraction(0), Fraction(90))}, {}) == Fraction("67.5")
    assert billing({**months, JUNE.after(-12): PastMonth(Fraction(0), Fraction(90))}, {}) == 50
    assert billing({**months, JUNE.after(-3): PastMonth(Fraction(0), Fraction(140))}, {}) == 75
    assert billing(months, {(1, 300): 100, (1, 315): 100}) == 50, "400 kW at five in the morning: not in the rule's hours"
    assert billing(months, {(1, 360): 25, (1, 375): 35}) == 78, "two blocks of fifteen minutes are one of thirty"
    assert "not known" in " ".join(bill(layered, JUNE, blocks({}), contract=100).caveats)


def test_recorded_and_billing_demand_are_rounded_as_the_order_says() -> None:
    for mode, billed in [("nearest", 82), ("down", 81), ("up", 82)]:
        made = bill(tariff(demand=[demand(round={"to": 1, "mode": mode})]), JUNE, blocks({(1, 0): "20.375"}))
        assert made.demands[0].billing == billed


def test_apparent_demand() -> None:
    made = bill(tariff(demand=[demand(basis="kVA")]), JUNE, blocks({(1, 0): 20}, factor="0.8"))
    assert made.demands[0].recorded == 100


@pytest.mark.parametrize(
    ("mid_month", "expected"),
    [
        ("days", [("2025-06-01", 80, 10), ("2025-06-11", 80, 20)]),
        ("part", [("2025-06-01", 40, 10), ("2025-06-11", 80, 20)]),
        ("first", [("2025-06-01", 80, 30)]),
        ("last", [("2025-06-01", 80, 30)]),
    ],
)
def test_a_demand_rate_that_changes_within_the_month(mid_month: str, expected: list[tuple[str, int, int]]) -> None:
    layers = [
        demand(rate="100", valid_until="2025-06-11", mid_month=mid_month),
        demand(rate="200", valid_from="2025-06-11", mid_month=mid_month),
    ]
    made = bill(tariff(demand=layers), JUNE, blocks({(1, 0): 10, (20, 0): 20}))
    rates = {"first": [100], "last": [200]}.get(mid_month, [100, 200])
    lines = [line for line in made.lines if line.code == "demand"]
    assert [(str(line.valid.since), line.quantity) for line in lines] == [(since, quantity) for since, quantity, _ in expected]
    assert [line.amount_paise for line in lines] == [
        round(Fraction(rate * quantity * days * 100, 30)) for rate, (_, quantity, days) in zip(rates, expected, strict=True)
    ]


def test_a_contract_that_changes_within_the_month_makes_two_accounts() -> None:
    history = BillingHistory(contracts=(ContractChange(date(2025, 6, 16), Fraction(200)),))
    layered = tariff(demand=[demand(billing_rule=MAX_85, excess={"multiplier": 2})])
    made = bill(layered, JUNE, blocks({(1, 0): 30, (20, 0): 45}), history, contract=100)
    # to the 15th: 120 recorded, 100 in contract, 20 above; from the 16th: 180 recorded, all in contract; half a month each
    assert amounts(made)[1:] == [("demand", 500_000), ("demand-excess", 200_000), ("demand", 900_000)]
    assert [one.contract for one in made.demands] == [100, 200]
    plain_demand = bill(tariff(demand=[demand()]), JUNE, blocks({(1, 0): 30, (20, 0): 45}), history)
    assert len(plain_demand.demands) == 1, "a charge that asks for no contract is not cut by it"


def test_a_floor_without_a_contract_has_no_bill() -> None:
    with pytest.raises(NoContract):
        bill(tariff(demand=[demand(billing_rule=MAX_85)]), JUNE, blocks({}))
    with pytest.raises(NoContract, match="contract"):
        bill(tariff(demand=[demand(excess={"multiplier": 2})]), JUNE, blocks({}))
    with pytest.raises(NoContract, match="contract"):
        bill(tariff(fixed=[{"amount": "50", "per": "contract"}]), JUNE, blocks({}))
    with pytest.raises(BillingError, match="above 0"):
        bill(tariff(demand=[demand(billing_rule=MAX_85)]), JUNE, blocks({}), contract=0)


# -- fixed, power factor, adders, rounding ---------------------------------------------------------------------------------


def test_fixed_charges_by_month_day_and_contract() -> None:
    fixed = [
        {"code": "meter", "amount": "1000"},
        {"code": "service", "amount": "3", "per": "day"},
        {"code": "load", "amount": "50", "per": "contract", "valid_from": "2025-06-16"},
    ]
    made = bill(tariff(fixed=fixed), JUNE, blocks({}), contract=10)
    assert amounts(made)[1:] == [("meter", 100_000), ("service", 9_000), ("load", 25_000)]


STEPS = [
    {"below": "0.90", "pct": "1", "points_from": "0.90"},
    {"at_least": "0.95", "below": "1", "pct": "-1"},
    {"at_least": "1", "pct": "-7"},
]


@pytest.mark.parametrize(
    ("factor", "paise"),
    [("0.80", 70_000), ("0.885", 14_000), ("0.89", 7_000), ("0.90", None), ("0.949", None), ("0.95", -7_000), ("1", -49_000)],
)
def test_power_factor_surcharge_and_incentive(factor: str, paise: int | None) -> None:
    layered = tariff(pf=[{"steps": STEPS}])
    made = bill(layered, JUNE, blocks({(1, 0): 1000}), extras=BillExtras(power_factor=Fraction(factor)))
    assert dict(amounts(made)).get("pf") == paise


def test_power_factor_per_unit_and_rounded() -> None:
    steps = [{"below": "0.90", "per_kwh": "0.03", "points_from": "0.90"}]
    layered = tariff(pf=[{"steps": steps, "round": {"to": "0.01"}}])
    made = bill(layered, JUNE, blocks({(1, 0): 1000}), extras=BillExtras(power_factor=Fraction("0.876")))
    assert amounts(made)[-1] == ("pf", 6_000)
    measured = bill(layered, JUNE, blocks({(1, 0): 1000}, factor="0.5"))
    assert (measured.power_factor, amounts(measured)[-1]) == (Fraction(1, 2), ("pf", 120_000))
    unknown = bill(layered, JUNE, blocks({(1, 0): 1000}))
    assert "power factor is not known" in unknown.caveats[-1]


def test_adders_per_unit_by_the_month_and_in_percent_of_lines() -> None:
    adders = [
        {"code": "fppca", "basis": "kWh", "monthly": True},
        {"code": "wheeling", "basis": "kVAh", "value": "0.60"},
        {"code": "duty", "basis": "pct_of", "value": "9", "of": ["energy", "demand", "fppca"]},
        {"code": "cess", "basis": "pct_of", "value": "1", "of": ["duty"]},
    ]
    layered = tariff(adders=adders, demand=[demand()])
    extras = BillExtras(monthly={"fppca": Fraction("-0.13")})
    made = bill(layered, JUNE, blocks({(1, 0): 1000}, factor="1"), extras=extras)
    assert amounts(made) == [
        ("energy", 700_000),
        ("demand", 40_000_000),
        ("fppca", -13_000),
        ("wheeling", 60_000),
        ("duty", 3_661_830),
        ("cess", 36_618),
    ]
    without = bill(layered, JUNE, blocks({(1, 0): 1000}, factor="1"))
    assert "fppca" not in dict(amounts(without))
    assert any("value of 2025-06 is not known" in told for told in without.caveats)


def test_a_percentage_that_changes_within_the_month_is_of_what_falls_into_its_days() -> None:
    adders = [
        {"code": "duty", "basis": "pct_of", "value": "5", "of": ["energy", "fixed"], "valid_until": "2025-06-11"},
        {"code": "duty", "basis": "pct_of", "value": "10", "of": ["energy", "fixed"], "valid_from": "2025-06-11"},
    ]
    made = bill(tariff(adders=adders, fixed=[{"amount": "300"}]), JUNE, blocks({(10, 0): 100, (11, 0): 300}))
    # 5 % of 700 and a third of 300; 10 % of 2100 and two thirds of 300
    assert amounts(made) == [("energy", 280_000), ("fixed", 30_000), ("duty", 4_000), ("duty", 23_000)]


@pytest.mark.parametrize(
    ("kwh", "mode", "total", "change"),
    [
        ("1.5", "nearest", 1_100, 50),
        ("1.4", "nearest", 1_000, 20),
        ("1.4", "down", 900, -80),
        ("1.01", "up", 800, 93),
        ("1", "nearest", 700, 0),
    ],
)
def test_the_bill_is_rounded_to_the_rupee_in_a_line_of_its_own(kwh: str, mode: str, total: int, change: int) -> None:
    layered = tariff(rounding={"bill": {"to": "1", "mode": mode}})
    made = bill(layered, JUNE, blocks({(1, 0): kwh}))
    assert made.total_paise == total
    assert dict(amounts(made)).get("rounding", 0) == change


def test_lines_are_rounded_before_they_are_added() -> None:
    energy = [{"basis": "kWh", "base": "0.335", "tod": [{"from": "12:00", "to": "13:00", "op": "abs", "value": "0.335"}]}]
    made = bill(tariff(energy=energy), JUNE, blocks({(1, 0): 1, (1, 720): 1}))
    assert amounts(made) == [("energy", 34), ("energy", 34)]
    to_rupees = bill(tariff(rounding={"line": {"to": "1"}}), JUNE, blocks({(1, 0): "1.2"}))
    assert to_rupees.total_paise == 800


# -- what cannot be billed, and what is said ----------------------------------------------------------------------------------


def test_blocks_that_cannot_be_right_are_refused() -> None:
    begin = JUNE.bounds(IST)[0]
    with pytest.raises(BillingError, match="overlaps"):
        bill(tariff(), JUNE, [MeterBlock(begin, 30, 1), MeterBlock(begin + timedelta(minutes=15), 15, 1)])
    with pytest.raises(BillingError, match="overlaps"):
        bill(tariff(), JUNE, [MeterBlock(begin, 15, 1), MeterBlock(begin, 15, 1)])
    with pytest.raises(BillingError, match="not aligned"):
        bill(tariff(), JUNE, [MeterBlock(begin + timedelta(minutes=7), 15, 1)])
    with pytest.raises(BillingError, match="30 min can't tell a demand over 15 min"):
        bill(tariff(demand=[demand()]), JUNE, [MeterBlock(begin, 30, 1)])
    tod = [{"from": "18:15", "to": "22:00", "op": "add", "value": "1"}]
    with pytest.raises(BillingError, match="straddle"):
        bill(tariff(energy=[{"basis": "kWh", "base": "6", "tod": tod}]), JUNE, [MeterBlock(begin, 30, 1)])
    with pytest.raises(BillingError, match="power factor"):
        bill(tariff(), JUNE, [], extras=BillExtras(power_factor=Fraction(11, 10)))
    assert issubclass(BillingError, GridError)


def test_what_a_bill_does_not_know_is_said() -> None:
    few = [
        *blocks({(day, 15 * k): int((day, k) == (1, 0)) for day in (1, 2, 3) for k in range(96)}),
        MeterBlock(datetime(2025, 7, 1, tzinfo=IST).astimezone(UTC), 15, 1_000_000),
    ]
    made = bill(tariff(leaves_out=["duty"], valid_until="2025-06-15"), JUNE, few)
    assert made.covered == Fraction(1, 10)
    assert made.energy_kwh == 1, "the block of July is not June's"
    told = " | ".join(made.caveats)
    assert all(words in told for words in ("90 % of the month was not measured", "held until 2025-06-14", "not in this tariff: duty"))


def test_a_zone_with_summer_time_has_a_month_with_a_missing_and_one_with_a_doubled_hour() -> None:
    zone = ZoneInfo("Europe/Berlin")
    tod = [{"from": "02:00", "to": "03:00", "op": "abs", "value": "1"}]
    layered = tariff(timezone="Europe/Berlin", energy=[{"basis": "kWh", "base": "2", "tod": tod}], demand=[demand(block_min=30)])
    spring, autumn = Month(2025, 3), Month(2025, 10)
    for month, days, hours in [(spring, 31, 743), (autumn, 31, 745)]:
        begin, end = month.bounds(zone)
        made = [MeterBlock(begin + timedelta(minutes=15 * k), 15, 1000) for k in range(hours * 4)]
        assert made[-1].ends_at == end
        got = bill(layered, month, made)
        assert got.covered == 1
        assert got.energy_kwh == hours * 4
        assert {line.rate: line.quantity for line in got.lines if line.code == "energy"} == {
            1: (days - 1) * 4 if month == spring else (days + 1) * 4,
            2: days * 23 * 4,
        }
        assert got.demands[0].recorded == 4, "the doubled hour is two hours of blocks, not one with twice the energy"


# -- properties ---------------------------------------------------------------------------------------------------------------


ALL_AT_ONCE = tariff(
    energy=[
        {
            "basis": "kVAh",
            "base": "6.15",
            "tod": [{"from": "06:00", "to": "10:00", "op": "mul", "value": "1.17"}],
            "valid_until": "2025-06-18",
        },
        {"basis": "kWh", "slabs": [{"up_to": 700, "rate": "5.55"}, {"rate": "6.1"}], "valid_from": "2025-06-18"},
        {"code": "wheeling", "text": "Wheeling", "basis": "kWh", "base": "0.57"},
    ],
    demand=[demand(basis="kVA", billing_rule=MAX_85, excess={"multiplier": "1.5"}, block_min=30)],
    pf=[{"steps": STEPS}],
    adders=[{"code": "duty", "basis": "pct_of", "value": "7.5", "of": ["energy", "wheeling", "demand", "pf"]}],
    rounding={"bill": {"to": "1"}},
)


HALF_HOURS = st.tuples(st.integers(0, 30 * 48 - 1), st.integers(0, 50_000), st.integers(0, 9_000))


def halves(block: MeterBlock) -> list[MeterBlock]:
    """The same energy in two blocks, one with a third of it."""
    whole = (block.import_wh, block.import_vah or 0)
    first = [n // 3 for n in whole]
    second = [n - one for n, one in zip(whole, first, strict=True)]
    return [MeterBlock(block.begins_at, 15, *first), MeterBlock(block.begins_at + timedelta(minutes=15), 15, *second)]


@settings(deadline=None, max_examples=50)
@given(st.lists(HALF_HOURS, max_size=40, unique_by=lambda b: b[0]))
def test_lines_add_up_and_splitting_blocks_changes_no_bill(found: Sequence[tuple[int, int, int]]) -> None:
    begin = JUNE.bounds(IST)[0]
    whole = [MeterBlock(begin + timedelta(minutes=30 * k), 30, wh, wh + more) for k, wh, more in found]
    split = [half for block in whole for half in halves(block)]
    one, two = (bill(ALL_AT_ONCE, JUNE, made, contract=90) for made in (whole, split))
    assert amounts(one) == amounts(two)
    assert one.total_paise % 100 == 0
    assert one.energy_kwh == two.energy_kwh == Fraction(sum(wh for _, wh, _ in found), 1000)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(40)))
def test_the_order_of_blocks_does_not_matter(order: Sequence[int]) -> None:
    made = blocks({(1, 15 * k): k for k in range(40)}, factor="0.9")
    assert bill(ALL_AT_ONCE, JUNE, [made[k] for k in order], contract=90) == bill(ALL_AT_ONCE, JUNE, made, contract=90)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(
        ["kerala-kseb-ev", "telangana-ht-ix-ev:power_factor=0.9", "delhi-ev-ht:power_factor=0.96", "karnataka-bescom-lt-6c", "slabs"]
    ),
    st.integers(0, 30 * 96 - 1),
    st.integers(0, 1_400),
)
def test_a_further_kwh_costs_what_the_price_says(name: str, quarter: int, used: int) -> None:
    """The two that follow from one tariff: prices for the planner, and the bill."""
    slabs = [{"up_to": 700, "rate": "5.55"}, {"up_to": 1400, "rate": "6.1"}, {"rate": "7"}]
    duty = [{"code": "duty", "basis": "pct_of", "value": "9", "of": ["energy"]}, {"code": "fac", "basis": "kWh", "value": "0.21"}]
    layered = tariff(energy=[{"basis": "kWh", "slabs": slabs}], adders=duty) if name == "slabs" else Tariff.named(name)
    at = JUNE.bounds(IST)[0] + timedelta(minutes=15 * quarter)
    extras = BillExtras(power_factor=layered.power_factor)

    def total(wh: int) -> int:
        return bill(layered, JUNE, [MeterBlock(at, 15, used * 1000 + wh)], contract=100, extras=extras).total_paise

    most = 1 if name == "slabs" else 1000
    price = layered.price_per_kwh(at, used=Fraction(used))
    rounding = 100 if name.startswith("karnataka") else 2
    assert abs(total(most * 1000) - total(0) - price * most * 100) <= rounding
