"""Who may press the mock's buttons: programs, and pages of its own."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from payments.mock_gateway.desk import Refusal

__all__ = ["own_page"]

_LOCAL = ("127.0.0.1", "localhost", "::1", "testserver")


def own_page(request: Request) -> None:
    """A dependency. Raises :class:`Refusal` for a form or script of another site, and for a name that only points here."""
    if request.method == "GET":
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Refusal("this form is on another site", status=403)
    if urlsplit(f"//{request.headers.get('host', '')}").hostname not in _LOCAL:
        raise Refusal("the mock's buttons are for this machine only: open it at http://127.0.0.1", status=403)
