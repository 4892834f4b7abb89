"""The digital twin: what packs do under a duty, for a night or for years. Arrays in, arrays out; no file is written, no clock is read.

    lump       a pack as one warm body that takes less the fuller it is: packs.csv (the planner's veto steps with it, too)
    cell       the equivalent circuit: open-circuit voltage, resistance, what builds up behind it
    duty       what is asked of a pack on a day, and how warm it is where it stands: duties.toml
    day        a day of a duty, in seconds, for many packs at several healths: what it does to them
    ageing     what years of such days take: time and charged energy, each with its exponent: ageing.csv
    members    the ensemble: cells that differ, held against what a pack has lost so far: spread.csv
    years      months over years for packs x members: P10, P50, P90 of health, cycles to an end
    packs_file packs from a table

TwinError
├── PacksRefused    a file of packs that cannot be used; the message names it, the line, and what is missing
├── DutyRefused     a duty that is none
└── UnknownCell     a chemistry of which no ageing is known
"""

from __future__ import annotations

from bms_bridge import BmsError


class TwinError(BmsError):
    """Root of the errors of the twin (drawn above)."""


class PacksRefused(TwinError):
    """A file of packs that cannot be used."""


class DutyRefused(TwinError):
    """A duty that is none."""


class UnknownCell(TwinError):
    """A chemistry of which no ageing is known."""
