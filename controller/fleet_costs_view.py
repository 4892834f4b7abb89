"""What pages and machines are told of the own fleet's charging costs. Amounts are integer paise, energies Wh at the grid side."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class CostShareView(Struct, frozen=True, kw_only=True):
    """One vehicle's or cost centre's part. ``name`` "": sessions of no vehicle that is known; ``cost_centre`` "": of none."""

    name: str
    cost_centre: str
    sessions: int
    energy_wh: int
    amount_paise: int


class FleetCostsView(Struct, frozen=True, kw_only=True):
    """A month's statement. ``running``: the month is not over. ``basis``: ``price`` (of the settings) or ``purchase`` (what the depot's
    tariff asked for energy while a session ran). ``remarks``: what is not in it. It is no invoice, and there is no tax in it."""

    month: str
    since: datetime
    until: datetime
    running: bool
    currency: str
    basis: str
    paise_per_kwh: str
    vehicles: list[CostShareView]
    centres: list[CostShareView]
    sessions: int
    energy_wh: int
    amount_paise: int
    remarks: list[str]
