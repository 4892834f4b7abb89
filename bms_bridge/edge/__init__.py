"""What runs on a vehicle's telematics unit: readings in, few bytes out, nothing lost without saying so.

    reading ──▶ recorder   deadband, events, window before an event ──▶ packet (wire)
                                                                        │
                store      on disk until the broker has confirmed it ◀──┘──▶ uplink: MQTT, TLS, QoS 1

    wire       the compact binary form, many readings of a pack in one message; both ways
    bands      how exactly each signal is told: resolution and error bound
    recorder   which readings are told at all, which at once
    store      messages that wait for the network, in files that survive everything
    uplink     the connection to the broker

Everything but :mod:`~bms_bridge.edge.uplink` needs the standard library only and knows nothing of a depot, so that it can be
taken over into a unit's firmware, or written anew from docs/telemetry.md.

EdgeError
├── WireError      bytes that are no message of this form, or a message that the form cannot hold
└── StoreError     the folder of waiting messages cannot be used
"""

from __future__ import annotations


class EdgeError(ValueError):
    """Root of this package's errors (drawn above)."""


class WireError(EdgeError):
    """Bytes that are no message of this form, or a message that the form cannot hold; the text says which."""


class StoreError(EdgeError):
    """The folder of waiting messages cannot be used."""
