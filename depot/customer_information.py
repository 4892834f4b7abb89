"""What stations keep about customers (OCPP 2.x N09, N10): who asked which station for it, and how far it told. Pure.

    asked --station's word--> refused | telling --its messages--> done | incomplete

What a station tells is a person's data: it never becomes a fact, is not kept with these, and is forgotten soon. Facts say that it
was asked for, and about which kind of name, never about whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

KEPT = 200
"""Requests that are remembered, the newest."""
MAX_ID = 2**31 - 1


class RequestState(StrEnum):
    """How far a request got. ``asked``: the station gave no answer."""

    ASKED = "asked"
    REFUSED = "refused"
    TELLING = "telling"
    DONE = "done"
    INCOMPLETE = "incomplete"


class About(StrEnum):
    """By what a customer is named."""

    ID_TOKEN = "id token"  # noqa: S105  # a word, not a secret
    CERTIFICATE = "certificate"
    IDENTIFIER = "identifier"


@dataclass(frozen=True, slots=True)
class CustomerRequest:
    """``said``: the station's word; ``note``: why it is not complete."""

    request_id: int
    station_id: str
    report: bool
    clear: bool
    about: About
    asked_at: datetime
    asked_by: str
    state: RequestState = RequestState.ASKED
    said: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class CustomerRequests:
    """All that are remembered, oldest first. Never mutated."""

    requests: Mapping[int, CustomerRequest] = field(default_factory=dict)
    next_id: int = 1

    def asked(self, request: CustomerRequest) -> CustomerRequests:
        kept = list(self.requests.values())[-(KEPT - 1) :]
        requests = {r.request_id: r for r in kept if r.request_id != request.request_id} | {request.request_id: request}
        return CustomerRequests(requests, max(self.next_id, request.request_id % MAX_ID + 1))

    def changed(self, request_id: int, state: RequestState, *, said: str, note: str) -> CustomerRequests:
        known = self.requests.get(request_id)
        if known is None:
            return self
        changed = replace(known, state=state, said=said or known.said, note=note)
        return replace(self, requests={**self.requests, request_id: changed})


class CustomerDesk(Protocol):
    """Who hears what stations tell of customers."""

    def told_of_customer(self, station_id: str, request_id: int, data: str, *, seq_no: int, more: bool) -> None:
        """A NotifyCustomerInformation. ``more``: others follow."""
