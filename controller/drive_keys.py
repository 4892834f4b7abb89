"""The key of the drivers' pages: cookies and QR codes are signed with it. Made of the depot's secret, so that codes that hang at chargers
hold as long as the depot has it."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from controller.secrets import depot_secret

if TYPE_CHECKING:
    from controller.settings import Settings


def drive_key(settings: Settings) -> bytes:
    """32 bytes. Raises :class:`~controller.secrets.SecretError`."""
    return hmac.new(depot_secret(settings), f"drivers' pages\0{settings.depot.id}".encode(), hashlib.sha256).digest()
