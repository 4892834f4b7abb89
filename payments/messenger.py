"""Reminders to the operator's own messenger: one POST of JSON each, signed, taken with any 2xx.

    {"schema": "payment_reminder/1", "driver_id": …, "session_id": …, "invoice_no": …, "number": 1, "last": false,
     "owed_paise": 11800, "currency": "INR", "what_to_do": …}

Header ``X-Chargeyard-Signature``: hex HMAC-SHA256 of the body. It names no phone number: whoever sends
the message to the driver knows them by the depot's id.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from dataclasses import dataclass, field

import httpx

from payments.dunning import Reminder

__all__ = ["HttpMessenger"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpMessenger:
    """``url``: https, or http on this machine."""

    url: str
    secret: str = field(repr=False)
    currency: str = "INR"
    timeout_s: float = 10.0

    async def __call__(self, reminder: Reminder) -> bool:
        """Whether it was taken; never raises for what the other side does."""
        body = json.dumps(
            {
                "schema": "payment_reminder/1",
                "driver_id": reminder.driver_id,
                "session_id": reminder.session_id,
                "invoice_no": reminder.invoice_no,
                "number": reminder.number,
                "last": reminder.last,
                "owed_paise": reminder.owed_paise,
                "currency": self.currency,
                "what_to_do": reminder.what_to_do,
            }
        ).encode()
        signature = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "x-chargeyard-signature": signature}
        try:
            async with httpx.AsyncClient(timeout=self.timeout_s, trust_env=False) as client:
                answer = await client.post(self.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            log.info("the messenger did not take a reminder: %s", type(error).__name__)
            return False
        if not answer.is_success:
            log.info("the messenger did not take a reminder: it answered %d", answer.status_code)
        return answer.is_success
