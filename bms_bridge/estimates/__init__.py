"""Health of packs in a running depot: from the lake's samples to estimates that are kept, each with interval, method, window or reason.

    lake rows --Buffer--> Samples --cut()--> Charge --judged()--> Estimate --Book--> pages, REST
                                                      |
                    curves, layout, nominal capacity -+         pure up to the Book; Job and Prospects are the rim

    samples     what a pack said, as arrays in the order of its own time, thinned where nothing happens
    layout      pack, modules, cells, sensors: which number belongs to which
    curves      voltage at rest and charge, both ways, with what an error of the voltage means
    charges     stretches without a gap, rests in them, and the charges between
    judging     what a charge tells: counted health (pack, modules, cells), resistance of its steps
    estimate    what one estimate is
    facts       what registry and settings say of a pack, put together
    shapes      the incremental capacity of a charge
    taught      health from the end of a charge, by a model that was taught other cells
    choice      which of two estimates of health counts
    outlook     remaining life, by a model that was taught whole lives
    charge_under_way, charge_kinds, charge_kept   state of charge while a pack is used, over restarts (docs/state-of-charge.md)
    trend       how fast health falls, from estimates with intervals
    duties      what a pack does today, out of the record of its life, for the twin
    use         how it was used until an estimate, and between two
    twin_run    a run of the twin that somebody asks for, in a child process
    prospect    grade, residual value, advice, twin runs of a pack; prospecting: of all packs, while there is time
    book        the tables: packs, charges, estimates
    shelf       the tables: newest health by cell, prospects, ageing of the fleet
    job         what is new in the lake, carried to the book

EstimatesError
└── InvalidCurve     a curve or a layout that cannot be; the message says what to write
"""

from __future__ import annotations

from bms_bridge import BmsError


class EstimatesError(BmsError):
    """Root of this room's errors (drawn above)."""


class InvalidCurve(EstimatesError):
    """A curve or a layout that cannot be."""
