"""Pools of contract certificates: a vehicle's request goes there as it came, signed contract data come back.

    Get15118EVCertificate --EvRequest--> HttpEvCertificates --POST /v1/ccp/signedContractData--> base64 for the vehicle

The shape is that of the Open Plug&Charge Protocol, as pools offer it to charging stations' operators. What is in requests and
answers is the vehicle's and its operator's affair: it is neither read nor logged here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from depot.contracts import EvAnswer, EvRequest

log = logging.getLogger(__name__)

PATH: Final = "/v1/ccp/signedContractData"
ANSWER_MOST: Final = 100_000
"""Bytes of a whole answer; the contract data in it have at most 17,000."""
_TOKEN_MOST: Final = 10_000


class HttpEvCertificates:
    """A pool at ``base_url``. ``token_file``: its bearer token, in a file that only its owner may read; read for each request, so
    that it may be replaced while the depot runs."""

    def __init__(self, base_url: str, *, token_file: Path | None, timeout_s: float) -> None:
        self._url = base_url.rstrip("/") + PATH
        self._token_file = token_file
        self._timeout_s = timeout_s
        self.name = urlsplit(base_url).hostname or base_url

    async def exchange(self, request: EvRequest) -> EvAnswer:
        """See :class:`depot.contracts.EvCertificates`."""
        body: dict[str, Any] = {"certificateInstallationReq": request.exi, "xsdMsgDefNamespace": request.schema}
        try:
            headers = self._headers()
            async with (
                asyncio.timeout(self._timeout_s),
                httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=self._timeout_s) as client,
                client.stream("POST", self._url, json=body, headers=headers) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    return self._failed("Refused", f"it answered HTTP {response.status_code}")
                found = b""
                async for part in response.aiter_bytes():
                    found += part
                    if len(found) > ANSWER_MOST:
                        return self._failed("BadAnswer", f"its answer has more than {ANSWER_MOST} bytes")
        except TimeoutError:
            return self._failed("NoAnswer", f"no answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return self._failed("NotReachable", f"no connection ({type(error).__name__})")
        except _TokenError as error:
            return self._failed("NotConfigured", str(error))
        return self._read(found, request)

    def _headers(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            if self._token_file.stat().st_mode & 0o077:
                raise _TokenError("the token's file can be read by others: chmod 600")
            token = self._token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise _TokenError("the token's file cannot be read") from None
        if not token or len(token) > _TOKEN_MOST or not token.isprintable():
            raise _TokenError("the token's file holds no token")
        return {"authorization": f"Bearer {token}"}

    def _read(self, found: bytes, request: EvRequest) -> EvAnswer:
        """The first contract of the answer, of those that the vehicle wants first where it says so."""
        try:
            rows = [row["messageDef"] for row in json.loads(found)["CCPResponse"]["emaidContent"]]
            wanted = [emaid.replace("-", "").casefold() for emaid in request.emaids]
            rows.sort(key=lambda row: _rank(row, wanted))
            exi = rows[0]["certificateInstallationRes"]
            base64.b64decode(exi, validate=True)
        except (ValueError, LookupError, TypeError, RecursionError, binascii.Error):
            return self._failed("BadAnswer", "its answer holds no contract data")
        return EvAnswer(exi, remaining=len(rows) - 1 if request.most is not None else None)

    def _failed(self, code: str, why: str) -> EvAnswer:
        log.warning("contract certificates of %s: %s", self.name, why)
        return EvAnswer(code=code, why=why)


class MockEvCertificates:
    """For tests and demonstrations: it answers each request with the same few bytes, which no vehicle takes for a contract."""

    name = "mock"
    EXI: Final = base64.b64encode(b"mock contract data, for demonstrations only").decode()

    async def exchange(self, request: EvRequest) -> EvAnswer:
        """See :class:`depot.contracts.EvCertificates`."""
        return EvAnswer(self.EXI, remaining=0 if request.most is not None else None)


class _TokenError(Exception):
    """The token cannot be used; the message says why, without it."""


def _rank(row: dict[str, Any], wanted: list[str]) -> int:
    emaid = str(row.get("emaid", "")).replace("-", "").casefold()
    return wanted.index(emaid) if emaid in wanted else len(wanted)
