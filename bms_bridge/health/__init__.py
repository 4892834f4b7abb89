"""Battery health from measured charges and pulses: state of health, remaining life, grades of retired cells. Arrays in, arrays out.

    charge_table   charges of cells as arrays, read from files that may be anything
    features       the sixteen numbers of a partial charge, made comparable
    gauss, trees, fade_network    three estimators that predict with NumPy alone; training needs scikit-learn (the extra ``analytics``)
    conformal      intervals that hold for a new cell; a wider one for a new batch
    novelty        how far a charge lies from all that was taught
    soh            state of health from one charge: estimate, interval, or the reason why there is none
    soh_training   teaching it: folds by cell and by batch, calibration, weights
    early_life     cycles to the end of life from the first hundred
    pulse_table, grading, grade_training    the band of a retired cell from one pulse
    model_file     what was learned, as numbers with a checksum; never as code

Only the ``…_training`` modules and :mod:`early_life` load scikit-learn, only :mod:`charge_table` and :mod:`pulse_table` load Arrow.

HealthError
├── DataRefused     a file of charges or pulses that cannot be used; the message names it and says what is missing
└── ModelRefused    a model file that is none, is damaged, or was made for something else
"""

from __future__ import annotations

from bms_bridge import BmsError


class HealthError(BmsError):
    """Root of the errors of battery health (drawn above)."""


class DataRefused(HealthError):
    """A file of charges or pulses that cannot be used."""


class ModelRefused(HealthError):
    """A model file that is none, is damaged, or was made for something else."""
