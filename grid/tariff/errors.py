"""What can be wrong with a tariff."""

from __future__ import annotations

from grid import GridError

__all__ = ["InvalidTariff", "TariffError", "UnknownTariff"]


class TariffError(GridError):
    """Root of this package's errors (drawn in :mod:`grid`)."""


class UnknownTariff(TariffError):
    """No tariff of that name; the message lists the names."""


class InvalidTariff(TariffError):
    """A tariff file, a zone or a parameter that cannot be right."""
