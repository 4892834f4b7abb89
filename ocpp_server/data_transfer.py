"""DataTransfer from stations (OCPP 1.6 §4.3, 2.0.1 P02): who answers which vendor's message.

    transfers.register("com.example", "Ping", handler)      handler: (station_id, data) -> Transferred
    transfers.register("com.example", None, handler)        messages without a messageId

A vendor that nobody registered is answered ``UnknownVendorId``, a message that its vendor does not have here
``UnknownMessageId``. A handler that fails answers ``Rejected``: what a vendor made up never costs the connection.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

log = logging.getLogger(__name__)


class TransferStatus(StrEnum):
    """OCPP 1.6 DataTransferStatus."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    UNKNOWN_MESSAGE_ID = "UnknownMessageId"
    UNKNOWN_VENDOR_ID = "UnknownVendorId"


@dataclass(frozen=True, slots=True)
class Transferred:
    """An answer. ``data`` None: none."""

    status: TransferStatus
    data: str | None = None


Handler = Callable[[str, str], Awaitable[Transferred]]
"""(station_id, data) -> the answer. Data of 2.x that are no text come as JSON."""


class DataTransfers:
    """The table. Vendor and message ids are compared without regard to case (CiString)."""

    def __init__(self) -> None:
        self._handlers: dict[str, dict[str, Handler]] = {}

    def register(self, vendor_id: str, message_id: str | None, handler: Handler) -> None:
        """From now on ``handler`` answers this message of this vendor."""
        self._handlers.setdefault(vendor_id.casefold(), {})[(message_id or "").casefold()] = handler

    async def answer(self, station_id: str, request: dict[str, Any]) -> dict[str, Any]:
        """The DataTransfer.conf to a checked DataTransfer.req."""
        of_vendor = self._handlers.get(request["vendorId"].casefold())
        if of_vendor is None:
            return {"status": TransferStatus.UNKNOWN_VENDOR_ID.value}
        handler = of_vendor.get(request.get("messageId", "").casefold())
        if handler is None:
            return {"status": TransferStatus.UNKNOWN_MESSAGE_ID.value}
        try:
            data = request.get("data", "")
            done = await handler(station_id, data if isinstance(data, str) else json.dumps(data))
        except Exception:
            log.exception("a DataTransfer of %s (vendor %.60s) could not be handled", station_id, request["vendorId"])
            return {"status": TransferStatus.REJECTED.value}
        return {"status": done.status.value} | ({} if done.data is None else {"data": done.data})
