"""The exception tree of this room (drawn in the package's docstring), and the CALLERROR codes of OCPP-J."""

from __future__ import annotations

from enum import StrEnum

from ocpp_server.version import Version


class ErrorCode(StrEnum):
    """OCPP-J 1.6 §4.2.3, in the spelling of that text (``FormationViolation``, ``Occurence…``); see :meth:`spelled`."""

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

    def spelled(self, version: Version) -> str:
        """The code as that version writes it."""
        return self.value if version is Version.V16 else _CORRECTED.get(self, self.value)


_CORRECTED = {
    ErrorCode.FORMATION_VIOLATION: "FormatViolation",
    ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION: "OccurrenceConstraintViolation",
}


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
