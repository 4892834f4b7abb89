"""What raw samples of a cell or a pack say, as numbers: features of its charges, curves, pulses and days. Arrays in, arrays out.

    samples        time, current, voltage, temperatures: put in order, gaps told, sensors aligned, cut into charges and discharges
    sample_files   samples from tables of a laboratory and from the depot's lake
    charge_window  the end of one charge as the sixteen numbers that health is estimated from; or why there are none
    differential   ICA (dQ/dV) and DVA (dV/dQ) on a grid of voltages, their peaks, and where those have moved to
    pulses         steps of the current: ohmic, charge-transfer and diffusion resistance; resistance health at a reference
    relaxation     the answer to a step as a distribution of relaxation times, and impedance over frequency from it
    usage          coulombic efficiency, rainflow cycles, histograms of temperature and C-rate, spread of cells, gradients
    report         all of it from one table of samples

Currents are positive while charging. NumPy and SciPy alone; no state, no clock; only :mod:`sample_files` reads files.

FeaturesError
├── SamplesRefused   samples that cannot be used; the message says what is missing
└── WindowMissing    the stretch that a feature needs was not measured; the message says which
"""

from __future__ import annotations

from bms_bridge import BmsError


class FeaturesError(BmsError):
    """Root of the errors of features (drawn above)."""


class SamplesRefused(FeaturesError):
    """Samples that cannot be used."""


class WindowMissing(FeaturesError):
    """The stretch that a feature needs was not measured."""
