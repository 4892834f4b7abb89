"""What a vehicle says on its own CAN bus, as samples of its pack.

    DBC (a maker's signals) + pack map (which signal is what here)  --bind-->  Binding
    bus or log file --> CanFrame --(J1939 transport protocol)--> Binding.cut() --> Gatherer --> PackSample --> Guard

    frame       one frame, and its identifier as J1939 reads it
    dbc         DBC files: loaded strictly, else with a warning, else refused with what to do
    cut         signals cut out of a frame's bytes (pure)
    pack_map    pack maps as data files; bind: a map and a DBC become one
    gather      values that come in many frames become one sample, at once where it matters
    times       timestamps that stand still or jump, repaired and said (pure)
    log_file    log files of many formats, as frames
    link        a live bus: frames handed over in bounded batches, silence and faults told

The decoder of GB/T 27930 (:mod:`bms_bridge.gbt27930`) needs neither DBC nor map.

CanError
├── InvalidDbc        a DBC that cannot be read at all; the message names line or message
├── InvalidPackMap    a map that cannot be right, or does not fit its DBC; ``problems`` says each thing with its line
├── UnknownPackMap    no map of that name
├── UnreadableLog     a log file that is not what its name says, or of a kind that is not read here
└── BusRefused        a bus that cannot be opened with these settings
"""

from __future__ import annotations

from bms_bridge import BmsError


class CanError(BmsError):
    """Root of what goes wrong with CAN (drawn above)."""


class InvalidDbc(CanError):
    """A DBC that cannot be read at all; the message names line or message, and says what to do."""


class InvalidPackMap(CanError):
    """A map that cannot be right, or does not fit its DBC; ``problems`` says each thing, with its line."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UnknownPackMap(CanError):
    """No map of that name; the message lists the names."""


class UnreadableLog(CanError):
    """A log file that is not what its name says, or of a kind that is not read here."""


class BusRefused(CanError):
    """A bus that cannot be opened with these settings."""
