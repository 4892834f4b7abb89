"""Vehicles' batteries: what they say, whether to believe it, and what must be done at once.

    contract       topic and JSON payload, version by version; what is refused and why
    validation     ranges, sensors that lie, order and clocks: a sample becomes something to decide on (pure)
    chemistry      thresholds per chemistry, and what an alarm of a battery management system means
    rules          what derates and what trips, each rule a small pure module, with what it promises
    sop            state of power: what a pack can be charged with for 10 s, 2 min, 30 min
    charging       what the depot knows of a pack and of the session that charges it
    thermal        normal → derated → tripped, one pack at a time (pure)
    latches        trips, in a file of their own that survives everything
    guard          all packs of a depot: samples in, verdicts out, resets by people
    mqtt           the client: samples from any broker, handed over on the spot
    broker         the embedded broker, a process of its own; accounts: who may say what to it
    ocpp_samples   what a charger says of a battery, as a sample with less certainty
    can            what a vehicle says on its own CAN bus: DBCs, pack maps, logs, live buses (a package)
    gbt27930       charger and vehicle on the charging line, message by message; gbt_session: a session, and its samples
    j1939_tp       messages that come in packets, put together
    health         state of health from charges, with intervals (a package; teaching it needs the extra ``analytics``)
    ect            what happens in a cell that is too hot: State of Safety, time to thermal runaway
    layout         where vehicles stand, and what stands between them (pure)
    pack_propagation, bay_propagation    which cells and modules, which bays follow a runaway, and when (pure)

BmsError
├── InvalidTelemetry    a topic, id or setting that cannot be; the message says what is allowed
├── InvalidThreshold    a threshold that would loosen what the table demands, or that is out of order
├── InvalidLayout       bays or walls that cannot stand as they are said to
├── ResetRefused        a trip is not reset; the message says what is missing
├── AccountsError       the broker's accounts cannot be read or written
├── LinkRefused         the broker is there but does not let us in or subscribe
└── CanError            a DBC, a pack map, a log or a bus that cannot be used (drawn in bms_bridge.can)
"""

from __future__ import annotations


class BmsError(Exception):
    """Root of this room's errors (drawn above)."""


class InvalidTelemetry(BmsError):
    """A topic, id or setting that cannot be."""


class InvalidThreshold(BmsError):
    """A threshold that would loosen what the table demands, or that is out of order."""


class InvalidLayout(BmsError):
    """Bays or walls that cannot stand as they are said to, or a bay that has no place."""


class ResetRefused(BmsError):
    """A trip is not reset; the message says what is missing."""


class AccountsError(BmsError):
    """The broker's accounts cannot be read or written."""


class LinkRefused(BmsError):
    """The broker is there but does not let us in or subscribe."""
