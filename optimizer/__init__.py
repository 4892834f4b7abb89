"""Numbers in, numbers out: the charging plan of a depot.

Powers in kW (grid side, slot means), energies in kWh, durations in hours, money in the problem's currency. Importing
this package loads no solver: HiGHS comes with the first call of :func:`plan`, Pyomo with ``direct=False``.

    OptimizerError
    ├── InvalidProblem (ValueError)     a problem that cannot exist; says which part and field
    │   └── InvalidScenario             a scenario file that cannot be read
    └── SolverFailed                    no plan within the time, or HiGHS gave up
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.caps import Cap
from optimizer.charge_curve import ChargeCurve
from optimizer.errors import InvalidProblem, InvalidScenario, OptimizerError, SolverFailed
from optimizer.feeders import Feeder
from optimizer.heat import PackHeat
from optimizer.life import Ageing, LifeCost, life_cost
from optimizer.pieces import DemandPiece
from optimizer.problem import FloatArray, PlanResult, PlanStatus, Policy, Problem, Vehicle
from optimizer.site_limits import NamedLimit
from optimizer.stays import Milestone, Need, Shortfall
from optimizer.storage import Storage
from optimizer.weights import Aim, Frontier, FrontierPoint, FrontierProgress, Weights

if TYPE_CHECKING:
    from optimizer.planning import feasible_energy_kwh, min_peak_kw, plan, rule_plan
    from optimizer.replan import Replanner

__all__ = [
    "Ageing",
    "Aim",
    "Cap",
    "ChargeCurve",
    "DemandPiece",
    "Feeder",
    "FloatArray",
    "Frontier",
    "FrontierPoint",
    "FrontierProgress",
    "InvalidProblem",
    "InvalidScenario",
    "LifeCost",
    "Milestone",
    "NamedLimit",
    "Need",
    "OptimizerError",
    "PackHeat",
    "PlanResult",
    "PlanStatus",
    "Policy",
    "Problem",
    "Replanner",
    "Shortfall",
    "SolverFailed",
    "Storage",
    "Vehicle",
    "Weights",
    "feasible_energy_kwh",
    "life_cost",
    "min_peak_kw",
    "plan",
    "rule_plan",
]

_SOLVING = {
    "Replanner": "replan",
    "feasible_energy_kwh": "planning",
    "min_peak_kw": "planning",
    "plan": "planning",
    "rule_plan": "planning",
}


def __getattr__(name: str) -> Any:
    if name not in _SOLVING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # the core imports this package but never solves: no solver there

    return getattr(import_module(f"optimizer.{_SOLVING[name]}"), name)
