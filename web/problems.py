"""Answers that say no: one catalogue of codes, as RFC 9457 problem+json for machines and as a page for people."""

from __future__ import annotations

from collections.abc import Mapping

from web import WebError

CATALOGUE: Mapping[str, tuple[int, str]] = {
    "invalid_request": (422, "The request is not what this address takes"),
    "bad_request": (400, "The request could not be read"),
    "not_signed_in": (401, "Sign in first"),
    "bad_token": (401, "This token is not known"),
    "forbidden": (403, "Not for your role"),
    "password_change_needed": (403, "Change your password first"),
    "csrf_failed": (403, "This form is too old or came from elsewhere"),
    "unknown_host": (400, "This server does not answer to that name"),
    "not_found": (404, "There is nothing here"),
    "unknown_charger": (404, "The depot has no such charger"),
    "unknown_station": (404, "The depot has no such station"),
    "method_not_allowed": (405, "This address does not do that"),
    "command_refused": (409, "The controller refused the command"),
    "too_large": (413, "The request is too large"),
    "too_many_tries": (429, "Too many tries to sign in"),
    "too_many_samples": (429, "More telemetry than is taken at once"),
    "too_many_streams": (503, "Too many live pages are open"),
    "core_unreachable": (503, "The controller's core does not answer"),
    "not_ready": (503, "The depot is not under full control"),
    "stale": (503, "The controller's data is old"),
    "store_unavailable": (503, "The users' database cannot be used now"),
    "internal": (500, "Something broke here"),
}
"""code -> (HTTP status, title)."""


class Problem(WebError):
    """A request's answer is no. ``detail`` says what to do next; ``errors``: field -> what is wrong with it."""

    def __init__(
        self, code: str, detail: str, *, errors: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status, self.title = CATALOGUE[code]
        self.detail = detail
        self.errors = dict(errors or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        """The problem+json document (RFC 9457 §3)."""
        body: dict[str, object] = {
            "type": f"urn:chargeyard:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        return body
