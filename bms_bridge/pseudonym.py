"""Vehicles' identification numbers are persons' data: what has the shape of one is replaced by a pseudonym before it is kept.

    "MAT445401JPA12345" --HMAC-SHA-256, key of the depot--> "vin_" and 16 letters and digits, always the same

The same number has the same pseudonym for as long as the depot has its secret, so that what was told by one vehicle stays
together; who has not the secret can neither reverse nor guess it. A number's shape is that of ISO 3779: seventeen letters and
digits without I, O and Q, standing alone. It cannot be told from another text of that shape, and that is replaced as well; a
number within a longer word is not recognised.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b32encode
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final, Self

import msgspec

from bms_bridge import contract
from bms_bridge.contract import PackSample, Rejection
from bms_bridge.edge import WireError, wire
from depot.values import PackKey

PREFIX: Final = "vin_"
_DIGITS = 16
_VIN = re.compile(
    r"(?<![A-Za-z0-9])(?:(?=[0-9]*[A-Za-z])(?=[A-Za-z]*[0-9])[A-HJ-NPR-Za-hj-npr-z0-9]{17}|(?<!\.)[0-9]{17}(?!\.))(?![A-Za-z0-9])"
)
_VIN_BYTES = re.compile(_VIN.pattern.encode("ascii"))
_CUT = re.compile(r"[A-Za-z0-9]{1,17}\Z")
_ESCAPE = re.compile(r"\\u00([2-7][0-9A-Fa-f])")
_EXCERPT = 256
_REMEMBERED = 4096


class Pseudonyms:
    """Pseudonyms under one depot's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._redact = lru_cache(_REMEMBERED)(self._redacted)  # firmware, alarms and topics come again and again

    @classmethod
    def of_secret(cls, secret: bytes) -> Self:
        """Under a key that is derived from the depot's secret."""
        return cls(hmac.new(secret, b"vin pseudonyms", hashlib.sha256).digest())

    @classmethod
    def passing(cls) -> Self:
        """Under a key that ends with the process: for what keeps nothing."""
        return cls(secrets.token_bytes(32))

    def of(self, vin: str) -> str:
        """The pseudonym of a number, whatever its shape; small and capital letters are the same."""
        digest = hmac.new(self._key, vin.strip().upper().encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        return PREFIX + b32encode(digest).decode("ascii").lower()[:_DIGITS]

    def redact(self, text: str) -> str:
        """``text`` with a pseudonym in the place of each thing of that shape."""
        return self._redact(text) if len(text) <= _EXCERPT else self._redacted(text)

    def excerpt(self, text: str) -> str:
        """The same of a text that may have been cut, with JSON's escapes of plain letters undone: what may be the beginning of
        a number at its end goes too."""
        plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
        if len(text) >= _EXCERPT:
            plain = _CUT.sub("…", plain)
        return self._redacted(plain)

    def message(self, payload: bytes) -> bytes:
        """A message as it may be kept and read again: the same bytes where there is nothing to hide. One that cannot be read is
        not kept."""
        escaped = b"\\u" in payload
        if not escaped and _VIN_BYTES.search(payload) is None:
            return payload
        try:
            if wire.is_packed(payload):
                block = wire.decode(payload)
                alarms = tuple(map(self.redact, block.alarms))
                firmware = self.redact(block.firmware)[: contract.MOST_FIRMWARE]
                same = (firmware, alarms) == (block.firmware, block.alarms)
                return payload if same else wire.encode(replace(block, firmware=firmware, alarms=alarms))
            text = msgspec.json.encode(msgspec.json.decode(payload)) if escaped else payload
        except (WireError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return b""
        return self._redacted(text.decode("utf-8", "backslashreplace")).encode()

    def pack(self, pack: PackKey) -> PackKey:
        """The pack under names that may be kept."""
        vehicle_id, pack_id = self.redact(pack.vehicle_id), self.redact(pack.pack_id)
        return pack if (vehicle_id, pack_id) == pack else PackKey(vehicle_id, pack_id)

    def sample(self, sample: PackSample, known: Callable[[PackKey], bool]) -> PackSample:
        """The sample without a number in clear. A pack that the depot itself knows by such a name keeps it (``known``): that
        is the depot's choice, and its vehicle must be found."""
        pack = sample.pack if known(sample.pack) else self.pack(sample.pack)
        firmware = self.redact(sample.firmware) if sample.firmware else ""
        alarms = tuple(map(self.redact, sample.alarms)) if sample.alarms else ()
        if pack is sample.pack and firmware == sample.firmware and alarms == sample.alarms:
            return sample
        return replace(sample, pack=pack, firmware=firmware, alarms=alarms)

    def rejection(self, rejection: Rejection) -> Rejection:
        """The rejection as it may be kept."""
        return replace(
            rejection,
            text=self.redact(rejection.text),
            topic=self.redact(rejection.topic),
            excerpt=self.excerpt(rejection.excerpt),
            pack=None if rejection.pack is None else self.pack(rejection.pack),
        )

    def _redacted(self, text: str) -> str:
        return _VIN.sub(lambda found: self.of(found[0]), text)
