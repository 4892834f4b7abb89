"""Anomalies of packs, weeks before they are events: each pack against its cohort and against its own past. Arrays in, arrays out.

    pack_days   the table that all begins with: one row for each pack and day, read from files that may be anything
    from_lake   the same table out of the lake's samples
    pieces      … of many packs and days, in questions that the lake can answer
    kept        … of which the days before stay on the disk
    limits      the smallest leak that would be found, by chemistry
    leak        cells that lose charge: leak current from charge to charge, balancing counted, with its limit of detection
    cohorts     who a pack is compared with: batch and firmware, age matched
    charts      EWMA against the cohort, CUSUM against the pack's own beginning, on robust scales
    outliers    isolation forest and a linear autoencoder as a second opinion
    alerts      one alert for each trouble, ranked, with the signals that caused it
    decision    early work against risk, with assumptions that can be edited
    outcomes    what work orders found, and how probable an alert is real from then on
    work        work orders: opened, done, by whom and why

Only :mod:`outliers` loads scikit-learn, only :mod:`pack_days` and :mod:`from_lake` load Arrow.

AnomalyError
├── TableRefused        a table of pack days that cannot be used; the message names what is missing
├── AssumptionRefused   an assumption of the decision that cannot be
└── WorkRefused         a work order that is not there, or is done already
"""

from __future__ import annotations

from bms_bridge import BmsError


class AnomalyError(BmsError):
    """Root of the errors of anomalies (drawn above)."""


class TableRefused(AnomalyError):
    """A table of pack days that cannot be used."""


class AssumptionRefused(AnomalyError):
    """An assumption of the decision that cannot be."""


class WorkRefused(AnomalyError):
    """A work order that is not there, or is done already."""
