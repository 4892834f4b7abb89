"""What people found who looked after alerts, and how probable an alert of the same kind is real from then on. Pure.

    assumed share, worth so many looks --Beta--> + right, + false of this depot --> share that is taken for real

The prior is Beta(n·p, n·(1 − p)): ``p`` is assumed, beside the rates of false alarms that were measured (docs/models/anomalies.md says
which rate of faults it stands for), ``n`` is how many looks that assumption weighs as much as. After ``r`` right and ``f`` false alerts
the mean is (n·p + r) / (n + r + f). Work that found something else counts for neither: the pack was not well, but the alert had said
another thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

REAL: Final[Mapping[str, float]] = MappingProxyType(
    {"internal_short": 0.8, "plating": 0.4, "self_discharge": 0.5, "resistance": 0.5, "imbalance": 0.5}
)
"""Assumed share of the alerts of a kind that are real, before anybody looked. None was measured in the field."""

LOOKS: Final = 5.0
"""So many looks the assumed share weighs as much as."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What people found who looked after alerts of one kind, in ended orders."""

    kind: str
    right: int = 0
    false: int = 0
    else_found: int = 0

    @property
    def looked(self) -> int:
        """How often somebody looked."""
        return self.right + self.false + self.else_found


@dataclass(frozen=True, slots=True)
class Belief:
    """``assumed``: share that is real before anybody looked; ``right``, ``false``: what was found in this depot; ``real``: share that is
    taken for real now."""

    assumed: float
    real: float
    right: int = 0
    false: int = 0

    @property
    def words(self) -> str:
        """Half a sentence on alerts of the kind."""
        if not self.right + self.false:
            return f"nobody has looked after one here yet, {100 * self.assumed:.0f} % are assumed to be real"
        told = f"{self.right} of {self.right + self.false} {'was' if self.right == 1 else 'were'} right here"
        return f"{told}, so {100 * self.real:.0f} % are taken for real ({100 * self.assumed:.0f} % assumed before)"


def believed(found: Iterable[Finding], assumed: Mapping[str, float] = REAL, *, looks: float = LOOKS) -> dict[str, Belief]:
    """By each kind of ``assumed``. ``looks``: what the assumption weighs, above 0."""
    known = {one.kind: one for one in found}
    return {kind: _belief(share, known.get(kind, Finding(kind)), looks) for kind, share in assumed.items()}


def _belief(assumed: float, found: Finding, looks: float) -> Belief:
    real = (looks * assumed + found.right) / (looks + found.right + found.false)
    return Belief(assumed, real, found.right, found.false)
