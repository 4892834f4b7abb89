"""Chargers <-> depot: the central-system side of OCPP-J, one station's connection at a time.

    wire      text frames in and out: a WebSocket, or an in-memory pipe
    session   sans-I/O OCPP-J framing: a frame in, what it means out; every readable CALL can be answered
    schemas   compiled JSON schemas of each version; strict first, then named repairs, then the right CALLERROR
    meter_values, skew, profiles   pure: normalised readings, the charger's clock, charging profiles
    station   what is kept of a station over its connections      frames   its message log, raw until somebody looks
    redaction, summaries       what people may see of a payload, and a line on it
    link      one connection: reader, one outstanding CALL, priorities, time-outs, circuit breaker
    reply     how a call ended: whatever came back becomes one Outcome
    version, dialect   what is spoken, and the Protocol of what the versions say differently; one per connection
    v16, v16_outbound, probe                       OCPP 1.6 messages <-> the depot's words
    v201, v201_outbound, probe201                  the same for OCPP 2.0.1, with its transactions201, samples201,
                                                   profiles201, device_model and reports
    v21, v21_outbound                              what 2.1 has beside it
    heard, quarantine, commission, ladder          what is the same in all: readings, strangers, the way to readiness
                                                   after a boot, how a level is said to a station
    access    pure: the security profiles 0 to 3, who is let in by which
    tls, handshakes, endpoint                      TLS, what a handshake may cost, the WebSocket server with both ports
    composite, installed       which profiles a station is believed to hold, and what they allow together
    checks, agreement          looks at what it says itself: its composite, its default, and whether that comes back
    central   registry (newest connection wins), the Chargers port

Errors of this room::

    OcppError
    ├── PortInUse          the port to listen on is taken
    ├── WireClosed         the connection is gone
    └── PayloadViolation   a payload that breaks its schema beyond the known repairs (carries the CALLERROR code)
"""

from ocpp_server.access import Access, AccessBook, Admitted, KeyedCredentials, OpenDoor, Reason, Refused, keyed_digest
from ocpp_server.central import Central
from ocpp_server.errors import OcppError, PayloadViolation, PortInUse, WireClosed
from ocpp_server.frames import Frame, Message
from ocpp_server.profiles import Purpose
from ocpp_server.reply import Reply
from ocpp_server.settings import OcppSettings
from ocpp_server.version import Version
from ocpp_server.wire import MemoryWire, Wire, memory_pipe

__all__ = [
    "Access",
    "AccessBook",
    "Admitted",
    "Central",
    "Frame",
    "KeyedCredentials",
    "MemoryWire",
    "Message",
    "OcppError",
    "OcppSettings",
    "OpenDoor",
    "PayloadViolation",
    "PortInUse",
    "Purpose",
    "Reason",
    "Refused",
    "Reply",
    "Version",
    "Wire",
    "WireClosed",
    "keyed_digest",
    "memory_pipe",
]
