"""Linear expressions of the Pyomo model, built as finished lists of terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyomo.core.expr import LinearExpression, MonomialTermExpression


def linear(factors: list[float], columns: list[Any], *, plus: Sequence[Any] = ()) -> LinearExpression:
    """Σ factor · column + Σ plus: a column without a factor is an object less to make and to read."""
    return LinearExpression([*(MonomialTermExpression(term) for term in zip(factors, columns, strict=True)), *plus])
