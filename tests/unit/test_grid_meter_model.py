"""Model 203 of a reading: right numbers with right scale factors, and what is not known reads "not implemented"."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from depot.readings import SiteReading
from grid.limit_model import CHAIN
from grid.meter_model import ENERGY_SCALE, METER, MISSING_SENSOR, meter_points, values_of
from grid.registers import encode

NOW = datetime(2026, 1, 12, 6, tzinfo=UTC)
FULL = SiteReading(
    NOW, 345_678, 360_000, -42_000, 0.9602, 49.98, (231.4, 230.2, 229.9), (521.3, 498.7, 530.2), import_wh=12_345_678_900, export_wh=7_700
)


def told(values: dict[str, int], name: str, scale: str) -> float:
    return values[name] * 10.0 ** values[scale]


def test_everything_that_the_meter_tells_is_there_in_its_unit() -> None:
    values = dict(values_of(FULL, contract_w=400_000))
    assert told(values, "W", "W_SF") == pytest.approx(345_678, rel=1e-3)
    assert told(values, "VA", "VA_SF") == pytest.approx(360_000, rel=1e-3)
    assert told(values, "VAR", "VAR_SF") == pytest.approx(-42_000, rel=1e-3)
    assert told(values, "PF", "PF_SF") == pytest.approx(96.0)
    assert told(values, "Hz", "Hz_SF") == pytest.approx(49.98)
    assert told(values, "PhVphC", "V_SF") == pytest.approx(229.9)
    assert told(values, "PhV", "V_SF") == pytest.approx(230.5)
    assert told(values, "AphA", "A_SF") == pytest.approx(521, abs=0.5)
    assert told(values, "A", "A_SF") == pytest.approx(1550.2, abs=0.5)
    assert told(values, "TotWhImp", "TotWh_SF") == pytest.approx(12_345_678_900, abs=50)
    assert told(values, "TotWhExp", "TotWh_SF") == 7_700
    assert values["Evt"] == 0


@pytest.mark.parametrize("contract_w", [5_000, 63_000, 400_000, 1_500_000, 40_000_000])
def test_twice_the_contract_fits_and_the_scale_does_not_depend_on_the_reading(contract_w: int) -> None:
    empty = values_of(None, contract_w=contract_w)
    full = values_of(
        SiteReading(NOW, 2 * contract_w, currents_a=(2 * contract_w / 690,) * 3, voltages_v=(230.0,) * 3), contract_w=contract_w
    )
    for name in ("A_SF", "W_SF", "VA_SF", "VAR_SF", "Hz_SF", "PF_SF", "V_SF"):
        assert empty[name] == full[name]
    for name in ("W", "A", "AphB"):
        value = full[name]
        assert isinstance(value, int)
        assert abs(value) <= 32_767


def test_high_voltage_has_a_scale_of_its_own() -> None:
    values = values_of(SiteReading(NOW, 1, voltages_v=(6_351.0, 6_349.0, 6_350.0)), contract_w=1_000_000)
    assert (values["V_SF"], values["PhVphA"], values["PhV"]) == (0, 6_351, 6_350)


def test_what_the_meter_does_not_tell_reads_not_implemented() -> None:
    values = values_of(SiteReading(NOW, 1_000), contract_w=100_000)
    points = {point.name: point for point in meter_points()}
    for name in ("VA", "VAR", "PF", "Hz", "A", "AphA", "PhV", "PPV", "WphA", "VAphC"):
        assert encode(points[name], values.get(name)) == [0x8000], name
    assert encode(points["TotWhImp"], values.get("TotWhImp")) == [0, 0]
    assert encode(points["TotVAh_SF"], values.get("TotVAh_SF")) == [0x8000]
    assert values["TotWh_SF"] == ENERGY_SCALE


def test_a_stale_or_missing_reading_says_so() -> None:
    assert values_of(FULL, contract_w=400_000, stale=True)["Evt"] == MISSING_SENSOR
    assert values_of(None, contract_w=400_000)["Evt"] == MISSING_SENSOR


def test_the_model_stands_in_the_chain() -> None:
    model = next(model for model in CHAIN if model.model_id == METER)
    assert model.address_of("W") == 40_088
    assert model.address_of("W_SF") == 40_092
    assert model.address_of("Hz") == 40_086
