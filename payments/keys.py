"""The gateway's secrets, and the guard that keeps live keys and mocks apart.

They come from the environment and are never logged: the classes show dots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from payments import UnsafeKeys

__all__ = ["LIVE_HOST", "GatewayKeys", "guarded_url", "keys_from"]

LIVE_HOST = "api.razorpay.com"
_LIVE, _TEST = "rzp_live_", "rzp_test_"
_LEAST_SECRET = 16


@dataclass(frozen=True, slots=True)
class GatewayKeys:
    """``webhook_secrets``: the present one first, then those that old retries may still be signed with."""

    key_id: str
    key_secret: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.key_id.startswith((_LIVE, _TEST)):
            raise UnsafeKeys(f"the gateway's key id must begin with {_TEST} or {_LIVE}")
        if len(self.key_secret) < _LEAST_SECRET or not self.webhook_secrets or min(map(len, self.webhook_secrets)) < _LEAST_SECRET:
            raise UnsafeKeys(f"the gateway's key secret and webhook secret must have {_LEAST_SECRET} characters or more")

    @property
    def live(self) -> bool:
        """Whether these keys move real money."""
        return self.key_id.startswith(_LIVE)


def keys_from(environment: Mapping[str, str], *, prefix: str = "CHARGEYARD_GATEWAY_") -> GatewayKeys:
    """``…KEY_ID``, ``…KEY_SECRET``, ``…WEBHOOK_SECRET`` and, while a rotation lasts, ``…WEBHOOK_SECRET_OLD``. Raises
    :class:`UnsafeKeys`, naming what is missing and no value."""
    names = [f"{prefix}{name}" for name in ("KEY_ID", "KEY_SECRET", "WEBHOOK_SECRET")]
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise UnsafeKeys(f"set {', '.join(missing)} in the environment")
    key_id, key_secret, webhook = (environment[name] for name in names)
    old = environment.get(f"{prefix}WEBHOOK_SECRET_OLD")
    return GatewayKeys(key_id, key_secret, (webhook, old) if old else (webhook,))


def guarded_url(url: str, keys: GatewayKeys) -> str:
    """``url`` without a slash at its end, if it fits the keys. Live keys only go to the real host over TLS; test keys go
    there too (its sandbox) or to a mock, over plain HTTP on this machine only. Raises :class:`UnsafeKeys`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise UnsafeKeys(f"the gateway's address must look like https://{LIVE_HOST}/v1")
    real = parts.hostname == LIVE_HOST
    if keys.live and not real:
        raise UnsafeKeys(f"a live key must not be sent to {parts.hostname}: use test keys with a mock gateway")
    if real and (parts.scheme != "https" or parts.port not in (None, 443)):
        raise UnsafeKeys(f"keys go to {LIVE_HOST} over https only")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise UnsafeKeys(f"{parts.hostname} is another machine: use https")
    return url.rstrip("/")
