"""The site and the utility: tariffs, demand blocks, the meter at the connection point.

GridError
├── TariffError
│   ├── UnknownTariff      no tariff of that name; the message lists the names
│   └── InvalidTariff      a tariff file or a parameter that cannot be right; the message says where
└── MeterError             a reading that cannot be used; counted and kept from the controller
"""

from __future__ import annotations


class GridError(Exception):
    """Root of this room's errors."""
