"""How a call to a station ended: whatever came back becomes one Outcome. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from depot.values import Outcome
from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.schemas import parse
from ocpp_server.session import ErrorReceived, Payload, ResultReceived
from ocpp_server.version import Version

NEVER_LEFT = frozenset({"Superseded", "QueueFull", "NeverSent"})
"""Codes of a :class:`Reply` whose call was never on the wire."""
UNREADABLE = "UnreadableAnswer"
_OUTCOMES = {
    "Accepted": Outcome.ACCEPTED,
    "Scheduled": Outcome.ACCEPTED,
    "RebootRequired": Outcome.ACCEPTED,
    "NotSupported": Outcome.UNSUPPORTED,
    "NotImplemented": Outcome.UNSUPPORTED,
}
"""``status`` of an answer; a status that is not named here is a refusal."""


@dataclass(frozen=True, slots=True)
class Reply:
    """``payload``: the answer, where there was a readable one; ``code``: why not, where not. ``said``: the answer as the
    station wrote it, with ``message_id`` and, of a CALLERROR, its ``description`` and ``details``. ``broken``: what is wrong with
    an answer that cannot be used, in OCPP's words."""

    outcome: Outcome
    payload: Payload = field(default_factory=dict)
    code: str = ""
    description: str = ""
    message_id: str = ""
    said: Payload | None = None
    details: Payload = field(default_factory=dict)
    broken: PayloadViolation | None = None

    @property
    def refused(self) -> bool:
        """The station said no: by its status, or by a CALLERROR. A frame that never left says nothing about it."""
        if self.outcome is Outcome.ERROR:
            return self.code not in NEVER_LEFT
        return self.outcome in (Outcome.REFUSED, Outcome.UNSUPPORTED)


def read_reply(action: str, incoming: ResultReceived | ErrorReceived, version: Version = Version.V16) -> tuple[Reply, tuple[str, ...]]:
    """The reply to our call ``action``, and the names of what was wrong with it.

    An unreadable answer is no failure (reference §6): the station did answer, so it may well have carried it out.
    """
    if isinstance(incoming, ErrorReceived):
        unsupported = incoming.code in (ErrorCode.NOT_SUPPORTED, ErrorCode.NOT_IMPLEMENTED)
        outcome = Outcome.UNSUPPORTED if unsupported else Outcome.ERROR
        code = incoming.code or "CallError"
        return Reply(outcome, code=code, description=incoming.description, message_id=incoming.message_id, details=incoming.details), ()
    if incoming.payload is None:
        unreadable = PayloadViolation(
            ErrorCode.FORMATION_VIOLATION, "the answer is no JSON array of three elements with an object as its payload"
        )
        return Reply(Outcome.UNKNOWN, code=UNREADABLE, message_id=incoming.message_id, broken=unreadable), ("unreadable_answer",)
    said, message_id = incoming.payload, incoming.message_id
    try:
        parsed = parse(f"{action}Response", incoming.payload, version)
    except PayloadViolation as bad:
        return Reply(Outcome.UNKNOWN, code=UNREADABLE, message_id=message_id, said=said, broken=bad), ("unreadable_answer",)
    status = str(parsed.payload.get("status", "Accepted"))
    return Reply(_OUTCOMES.get(status, Outcome.REFUSED), parsed.payload, message_id=message_id, said=said), parsed.repairs
