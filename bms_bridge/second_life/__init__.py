"""What a retired pack is worth, for what, and when to retire it. Pure: what a file says in, grades and money out.

    assumptions   every number that is not measured, with its source: assumptions.toml, or a file of anybody's own
    retired       a pack as its file tells it: cells, modules, its life's record, what is missing
    grading       the grade of pack and modules, with the interval, or "test required"; flags that rule out a second life
    worth         residual value P10, P50, P90 per application, by the twin's ensemble; carbon
    retirement    when leaving the vehicle is worth most, and when its range ends

SecondLifeError
├── PackRefused          a file of a retired pack that cannot be used
└── AssumptionsRefused   a file of assumptions that cannot be used
"""

from __future__ import annotations

from bms_bridge import BmsError


class SecondLifeError(BmsError):
    """Root of the errors of second life (drawn above)."""


class PackRefused(SecondLifeError):
    """A file of a retired pack that cannot be used."""


class AssumptionsRefused(SecondLifeError):
    """A file of assumptions that cannot be used."""
