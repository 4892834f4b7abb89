"""State of charge from current, voltage and temperature: always with an interval, or with the reason why there is none.

    trace        samples of a cell or a pack from a file; gaps, clocks
    align        how far the voltage's clock lies behind the current's
    ocv          open-circuit voltage over state of charge: shipped, or learned from a slow charge
    cells        what is known of a kind of cell: curve, resistances, hysteresis, how far each may be off
    filters      extended and unscented Kalman filter on an equivalent circuit, many cells at once
    counting     counted charge alone, for comparison
    estimate     a trace to states of charge with intervals, anchors and reasons
    bar_delta    each cell of a pack as a small difference to the pack's mean
    identify     resistance by recursive least squares, capacity between anchors
    learned      a small taught estimator, for comparison

Fractions 0 to 1, A with charging positive, V per cell unless a name says otherwise, s, °C.

SocError
├── TraceRefused    a file of samples that cannot be used; the message says what is missing
└── CurveRefused    an open-circuit curve, or a charge to learn one from, that cannot be used
"""

from __future__ import annotations

from bms_bridge import BmsError


class SocError(BmsError):
    """Root of the errors of the state of charge (drawn above)."""


class TraceRefused(SocError):
    """A file of samples that cannot be used."""


class CurveRefused(SocError):
    """An open-circuit curve, or a charge to learn one from, that cannot be used."""
