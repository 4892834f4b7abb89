"""Responders of certificate authorities (OCSP, RFC 6960) over HTTP: asked within bounds, and remembered while an answer holds.

    StatusTarget --is its address allowed?--> POST --DER--> who checks it --> remembered until its next update

The address stands in a certificate that a stranger made, so it is not followed just anywhere (SSRF): only http and https,
no redirects, at most 20 kB within the time set, and only to public addresses of the Internet, or to hosts that the settings
name. The name is resolved once, and that very address is connected to: it can't become another one in between.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpx

from depot.contracts import Revocation, StatusTarget
from ocpp_server.ocsp import ANSWER_MOST, AnswerRefused, Believed, request_for

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
KEPT: Final = 2_000
KEPT_AT_MOST: Final = timedelta(days=7)
AGAIN_AFTER: Final = timedelta(seconds=30)
"""A responder that could not be asked is left alone for so long, for this certificate."""
_ASKS: Final = {"content-type": "application/ocsp-request", "accept": "application/ocsp-response"}
_PORTS: Final = {"http": 80, "https": 443}

Check = Callable[[bytes], Believed]
"""Takes what came; raises :class:`~ocpp_server.ocsp.AnswerRefused`."""


class Unreachable(Exception):
    """Nothing that can be believed came; the message says why, for the operator."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer. ``der``: as it came."""

    said: Believed
    der: bytes


@dataclass(frozen=True, slots=True)
class Reach:
    """``hosts``: who may be asked; () for anybody at a public address. ``timeout_s``: for the whole of one question."""

    hosts: tuple[str, ...] = ()
    timeout_s: float = 5.0


class Responders:
    """One per depot. ``now``: aware UTC."""

    def __init__(self, reach: Reach, *, now: Callable[[], datetime]) -> None:
        self._reach = reach
        self._now = now
        self._places = asyncio.Semaphore(AT_ONCE)
        self._kept: OrderedDict[tuple[str, str, str, str, bool], tuple[datetime, Answer | str]] = OrderedDict()

    async def ask(self, target: StatusTarget, check: Check, *, checked: bool = True) -> Answer:
        """The newest answer about a certificate. ``checked``: ``check`` looks at its signature, too; an answer that was taken
        unchecked never serves one who wants it checked. Raises :class:`Unreachable`."""
        key = (*target.key, checked)
        known = self._kept.get(key)
        if known is not None and self._now() < known[0]:
            if isinstance(known[1], str):
                raise Unreachable(known[1])
            return known[1]
        try:
            answer = await self._ask_all(target, check)
        except Unreachable as error:
            self._keep(key, self._now() + AGAIN_AFTER, str(error))
            raise
        if answer.said.next_update is not None and answer.said.status is not Revocation.UNKNOWN:
            self._keep(key, min(answer.said.next_update, self._now() + KEPT_AT_MOST), answer)
        else:
            self._kept.pop(key, None)
        return answer

    def _keep(self, key: tuple[str, str, str, str, bool], until: datetime, what: Answer | str) -> None:
        self._kept[key] = (until, what)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def _ask_all(self, target: StatusTarget, check: Check) -> Answer:
        if not target.urls:
            raise Unreachable("the certificate names no responder")
        why = ""
        for url in target.urls:
            try:
                der = await self._post(url, request_for(target))
                return Answer(check(der), der)
            except (Unreachable, AnswerRefused) as error:
                why = f"{_shown(url)}: {error}"
                log.warning("the status of a certificate could not be had: %s", why)
        raise Unreachable(why)

    async def _post(self, url: str, body: bytes) -> bytes:
        timeout_s = self._reach.timeout_s
        try:
            async with asyncio.timeout(timeout_s), self._places:
                parts = _parts(url)
                address = await self._address(parts)
                host = f"[{address}]" if ":" in address else address
                port = parts.port or _PORTS[parts.scheme]
                where = httpx.URL(f"{parts.scheme}://{host}:{port}{parts.path or '/'}{'?' + parts.query if parts.query else ''}")
                headers = _ASKS | {"host": parts.netloc}
                async with (
                    httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=timeout_s) as client,
                    client.stream("POST", where, content=body, headers=headers, extensions={"sni_hostname": parts.hostname}) as response,
                ):
                    if response.status_code != httpx.codes.OK:
                        raise Unreachable(f"it answered HTTP {response.status_code}")
                    found = b""
                    async for part in response.aiter_bytes():
                        found += part
                        if len(found) > ANSWER_MOST:
                            raise Unreachable(f"its answer has more than {ANSWER_MOST} bytes")
                    return found
        except TimeoutError:
            raise Unreachable(f"no answer within {timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unreachable(f"no connection ({type(error).__name__})") from None

    async def _address(self, parts: SplitResult) -> str:
        """Where to connect. Raises :class:`Unreachable` for where nobody may be sent."""
        host = parts.hostname or ""
        named = host.lower() in {name.lower() for name in self._reach.hosts}
        if self._reach.hosts and not named:
            raise Unreachable("its host is none of those that the settings name (contracts.responders)")
        found = await asyncio.get_running_loop().getaddrinfo(host, parts.port or _PORTS[parts.scheme], type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not (named or all_public(addresses)):
            raise Unreachable("its address is not public; name its host in the settings (contracts.responders) if it may be asked")
        return addresses[0]


def all_public(addresses: Sequence[str]) -> bool:
    """Whether each is an address of the public Internet."""
    for text in addresses:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        if not (mapped or address).is_global or (mapped or address).is_multicast:
            return False
    return True


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Unreachable("that is no address") from None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or not url.isascii() or not url.isprintable():
        raise Unreachable("only http and https addresses without a user are asked")
    return parts


def _shown(url: str) -> str:
    """An address for a log: without what stands behind its host."""
    try:
        return f"{urlsplit(url).hostname or '?'}"[:100]
    except ValueError:
        return "?"
