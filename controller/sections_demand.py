"""The section ``[demand]`` of the settings file: the billing meter's blocks and what their averages may be; see
:mod:`controller.sections` for how sections are written."""

from __future__ import annotations

from controller.sections import Section, setting


class DemandSection(Section):
    """Demand blocks. Their length is the tariff's."""

    contract_kw: float | None = setting(
        None, "Contract demand as the average of a block, where the contract names kW. The limiter keeps it.", unit="kW", gt=0
    )
    contract_kva: float | None = setting(
        None, "The same where the contract names kVA. Apparent power is measured, or found with power_factor.", unit="kVA", gt=0
    )
    peak_target_kw: float | None = setting(
        None, "The month's highest block average shall stay below this, as long as every vehicle leaves in time.", unit="kW", gt=0
    )
    choose_peak_target: bool = setting(
        False, "Choose such a target every noon from the nights of the past weeks, where peak_target_kw is unset (docs/uncertainty.md)."
    )
    power_factor: float = setting(0.95, "kW per kVA of the site where the meter tells no apparent power.", ge=0.5, le=1)
    clock_offset_s: float | None = setting(
        None,
        "By how much the billing meter's clock is ahead of the right time. Unset: measured, where the connection meter is the billing "
        "meter and shows each block's demand; 0 otherwise.",
        unit="s", ge=-1800, le=1800,
    )  # fmt: skip
    clock_error_s: float = setting(30.0, "How far that may be off either way.", unit="s", ge=0, le=120)
    keep_days: int = setting(1100, "How long block records are kept.", unit="days", ge=62, le=4000)
