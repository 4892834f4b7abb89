"""What can go wrong in the optimizer. The tree is drawn in the package's docstring."""

from __future__ import annotations


class OptimizerError(Exception):
    """Root of this room's errors."""


class InvalidProblem(OptimizerError, ValueError):
    """A problem that cannot exist (wrong shape, not finite, departure before arrival); says which part and field."""


class InvalidScenario(InvalidProblem):
    """A scenario file that cannot be read; says which vehicle and field, and what was probably meant."""


class SolverFailed(OptimizerError):
    """No plan: the time was over before a feasible one was found, or HiGHS gave up. Says which."""
