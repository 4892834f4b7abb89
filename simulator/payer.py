"""A driver who pays: a phone with a UPI app at the mock gateway, and a card for the charger's reader.

    async with Payer("http://127.0.0.1:8090", contact="+91…", tag="CARD-7") as payer:
        await payer.approve_mandate()            waits until the depot has asked for one, and says yes
        payer.present(station, connector)        holds the card to the reader of a plugged simulated station

Plays the other side only: what the depot asks for comes over the gateway, what the driver does goes to the mock's own page.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import httpx

__all__ = ["Asked", "Mandate", "PatienceLost", "Payer", "Reader"]

_LOOK_S = 0.2


class PatienceLost(Exception):
    """What the driver waited for did not come."""


class Reader(Protocol):
    """A station's card reader: :meth:`simulator.station.Station.presented`."""

    def presented(self, connector: int, tag: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Something that waits for the driver's PIN. ``kind``: mandate, or debit (above the limit for no second factor)."""

    payment_id: str
    kind: str
    amount_paise: int


@dataclass(frozen=True, slots=True)
class Mandate:
    """A mandate as the driver's app shows it. ``status``: confirmed, paused, cancelled."""

    token_id: str
    status: str
    max_amount_paise: int


class Payer:
    """``url``: of the mock gateway, without ``/v1``. Real seconds throughout: it is a person at a phone."""

    def __init__(self, url: str, *, contact: str, tag: str) -> None:
        self.contact, self.tag = contact, tag
        self._client = httpx.AsyncClient(base_url=url, timeout=10.0, trust_env=False)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def asked(self) -> list[Asked]:
        """What waits for a PIN."""
        return [Asked(row["id"], row["kind"], row["amount_paise"]) for row in (await self._phone())["waiting"]]

    async def mandates(self) -> list[Mandate]:
        """The driver's mandates, newest first."""
        return [Mandate(row["id"], row["status"], row["max_amount_paise"]) for row in (await self._phone())["mandates"]]

    async def debited_paise(self) -> list[int]:
        """What was taken from the driver's account, newest first, less what was given back."""
        return [row["amount_paise"] - row["refunded_paise"] for row in (await self._phone())["debits"]]

    async def approve_mandate(self, patience_s: float = 60.0) -> None:
        """Wait until the depot has asked for a mandate, and approve it. Raises :class:`PatienceLost`."""
        await self._press("payments", (await self._wait("mandate", patience_s)).payment_id, "approve")

    async def decline_mandate(self, patience_s: float = 60.0) -> None:
        """The same, but no."""
        await self._press("payments", (await self._wait("mandate", patience_s)).payment_id, "decline")

    async def pause(self) -> None:
        """Pause every mandate that is in force."""
        await self._change("confirmed", "pause")

    async def resume(self) -> None:
        """Take every paused mandate up again."""
        await self._change("paused", "resume")

    async def revoke(self) -> None:
        """End every mandate."""
        await self._change("confirmed", "revoke")
        await self._change("paused", "revoke")

    def present(self, reader: Reader, connector: int = 1) -> None:
        """Hold the card to the reader of a station with a plugged vehicle."""
        reader.presented(connector, self.tag)

    async def _wait(self, kind: str, patience_s: float) -> Asked:
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    with contextlib.suppress(httpx.TransportError):  # the gateway is not up yet, or just restarts
                        for asked in await self.asked():
                            if asked.kind == kind:
                                return asked
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise PatienceLost(f"nobody asked for a {kind} within {patience_s:g} s") from None

    async def _change(self, status: str, word: str) -> None:
        for mandate in await self.mandates():
            if mandate.status == status:
                await self._press("tokens", mandate.token_id, word)

    async def _press(self, kind: str, id_: str, word: str) -> None:
        answer = await self._client.post(f"/app/{kind}/{id_}/{word}")
        if answer.status_code != 303:
            answer.raise_for_status()

    async def _phone(self) -> dict[str, Any]:
        answer = await self._client.get("/app/phone", params={"contact": self.contact})
        answer.raise_for_status()
        shown: dict[str, Any] = answer.json()
        return shown
