"""The exception tree of this room (drawn in the package's docstring), and the CALLERROR codes of OCPP-J 1.6."""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """OCPP-J 1.6 §4.2.3, in the spelling of that text (``FormationViolation``, ``Occurence…``)."""

    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    INTERNAL_ERROR = "InternalError"
    PROTOCOL_ERROR = "ProtocolError"
    SECURITY_ERROR = "SecurityError"
    FORMATION_VIOLATION = "FormationViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    OCCURENCE_CONSTRAINT_VIOLATION = "OccurenceConstraintViolation"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"
    GENERIC_ERROR = "GenericError"


class OcppError(Exception):
    """Root of this room's errors."""


class PortInUse(OcppError):
    """The port to listen on is taken; the message says what to do."""


class WireClosed(OcppError):
    """The connection is gone; nothing more can be sent or received on it."""


class PayloadViolation(OcppError):
    """A payload breaks its schema and no repair helps. ``code`` is the CALLERROR to answer with."""

    def __init__(self, code: ErrorCode, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
