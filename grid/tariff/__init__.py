"""Named tariffs: what a kWh costs at a moment, a kW of peak in a month, and what else stands on the bill.

    file (TOML, JSON, CSV) --reading--> layers --> Tariff --> prices per slot                (here)
                                                      |-----> bill of a month               (grid.billing)
                                                      `-----> what a peak costs, in pieces  (grid.demand_pieces)

A tariff is data (``grid/tariffs/*.toml``): dated layers, each with the order that it stands in. Numbers stay exact
(Fraction) until :meth:`Tariff.vector`. Parameters are written behind the name: ``kerala-kseb-ev:average_ruling_tariff=7.40``.

    errors, numbers, hours   exact numbers and rounding, hours and validity
    layers, rule             what an order says, as values; how a billing demand is found
    fields, reading, flat    from a file to a tariff
    files, sheet, urdb       files of one's own: TOML, JSON, tables, rates of the Utility Rate Database
    model                    the tariff and its prices; words, check: what it says, what is doubtful
"""

from __future__ import annotations

from grid.tariff.errors import InvalidTariff, TariffError, UnknownTariff
from grid.tariff.layers import Parameter
from grid.tariff.model import Tariff
from grid.tariff.numbers import minor_units

__all__ = ["InvalidTariff", "Parameter", "Tariff", "TariffError", "UnknownTariff", "minor_units"]
