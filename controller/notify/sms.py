"""Short messages to telephones, through a gateway that speaks HTTP: the worst alarms, evacuations and drills, nothing else.

    POST url   {"to": ["+91…"], "text": "…", "reference": "<message id>"}     Authorization: Bearer <token of the environment>
    2xx: the gateway took it for all; 4xx but 408, 425, 429: it never will; else again

Gateways differ: ours is this one shape, and a few lines of any HTTP server turn it into another. A gateway that took a message has
not delivered it yet: nobody is proven to have read it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from controller.notify.channels import Never, NotNow
from controller.outbox import Message

MOST_CHARS: Final = 300
"""Two or three short messages; a text that is longer is cut."""

URGENT: Final = frozenset({"evacuation_begun", "evacuation_ended", "drill"})
_AGAIN: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Sms:
    """``token``: what the gateway knows us by. ``priority``: alarms of this priority or worse are told."""

    url: str
    token: str
    to: tuple[str, ...]
    depot_name: str
    timeout_s: float
    priority: int = 1
    name: str = "sms"

    def wants(self, message: Message) -> bool:
        """Whether the message is worth a telephone at night."""
        return message.kind in URGENT or (message.priority is not None and message.priority <= self.priority)

    def text(self, message: Message) -> str:
        """As it is sent."""
        words = " ".join(f"{self.depot_name}: {message.title}. {message.text}".split())
        return words if len(words) <= MOST_CHARS else f"{words[: MOST_CHARS - 1]}…"

    async def send(self, message: Message) -> None:
        body = msgspec.json.encode({"to": list(self.to), "text": self.text(message), "reference": message.id})
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.token}", "idempotency-key": message.id}
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=self.timeout_s) as client,
                client.stream("POST", self.url, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except TimeoutError:
            raise NotNow(f"no answer within {self.timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise NotNow(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None
        if 200 <= status < 300:
            return
        if 400 <= status < 500 and status not in _AGAIN:
            raise Never(f"the gateway answers {status}: look at its address, the token and the numbers")
        raise NotNow(f"the gateway answers {status}")
