"""What a tariff says in other words than prices per kWh and kW: apparent energy, a contract with its floor.

The exact bill is :mod:`grid.billing`'s, and the depot's own tariff comes from there; this is for problems written by hand.
"""

from __future__ import annotations

import numpy as np

from optimizer.errors import InvalidProblem
from optimizer.pieces import DemandPiece
from optimizer.problem import FloatArray


def per_kwh(per_kvah: FloatArray | float, power_factor: float) -> FloatArray:
    """A price of apparent energy as one of energy: a site at ``power_factor`` (kW per kVA) counts 1/power_factor kVAh for a kWh.
    The same turns a demand charge per kVA into one per kW."""
    if not 0 < power_factor <= 1:
        raise InvalidProblem(f"power factor {power_factor} is not in (0, 1]")
    return np.asarray(per_kvah, dtype=np.float64) / power_factor


def contract_pieces(
    per_kw: float, contract_kw: float, *, floor_share: float = 0.0, excess_multiplier: float = 1.0
) -> tuple[DemandPiece, ...]:
    """A demand charge on the highest block, of which ``floor_share`` of the contract is billed anyway, so that peaks up to it cost
    nothing more; what exceeds the contract costs ``excess_multiplier`` times the rate. ``per_kw``: this horizon's share."""
    for name, value in (("per_kw", per_kw), ("contract_kw", contract_kw), ("floor_share", floor_share)):
        if not (np.isfinite(value) and value >= 0):
            raise InvalidProblem(f"contract: {name} is {value}; a finite number of at least 0 is expected")
    if not (np.isfinite(excess_multiplier) and excess_multiplier >= 1):
        raise InvalidProblem(f"contract: excess_multiplier is {excess_multiplier}; 1 is the least")
    pieces = [DemandPiece("demand", per_kw, floor_share * contract_kw, np.ones(()))]
    if excess_multiplier > 1:
        pieces.append(DemandPiece("demand-excess", per_kw * (excess_multiplier - 1), contract_kw, np.ones(())))
    return tuple(pieces)
