"""What the steps of the drivers' site share: who asks, how often, in which language; the cookie; answers that say no."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from depot.ports import Clock
from web.auth import check_origin
from web.driver_cookie import Cookies, Visitor
from web.driver_limits import Limits
from web.driver_links import PlaceLinks
from web.driver_pages import DrivePages
from web.driver_words import Words, wished
from web.live import DepotLink
from web.problems import Problem

__all__ = ["DriveProblem", "DriveSite", "Driver"]

COOKIE = "chargeyard-drive"


class DriveProblem(Exception):
    """A no, as a page. ``key``: of the catalogue's section ``error``; ``said``: what the depot said, in its own words; ``retry_s``: the
    page loads itself again after this, 0: not."""

    def __init__(self, key: str, status: int, *, said: str = "", retry_s: int = 0, wait_s: float = 0.0) -> None:
        super().__init__(key)
        self.key, self.status, self.said, self.retry_s, self.wait_s = key, status, said, retry_s, wait_s


@dataclass(frozen=True, slots=True)
class Driver:
    """Who asks. ``known``: the cookie was ours."""

    request: Request
    visitor: Visitor
    words: Words
    known: bool
    address: str

    @property
    def driver_id(self) -> str:
        return self.visitor.driver_id


@dataclass(frozen=True, slots=True)
class DriveSite:
    """One application's parts."""

    link: DepotLink
    pages: DrivePages
    cookies: Cookies
    links: PlaceLinks
    clock: Clock
    secure: bool
    address_header: str
    mock_app: str
    reads: Limits
    wrong: Limits
    orders: Limits
    mandates_here: Limits
    mandates_address: Limits
    mandates_all: Limits

    @property
    def now_s(self) -> int:
        return int(self.clock.now().timestamp())

    @property
    def cookie(self) -> str:
        """``__Host-`` where phones come over HTTPS: such a cookie no other host can have set."""
        return f"__Host-{COOKIE}" if self.secure else COOKIE

    def driver(self, request: Request) -> Driver:
        """Who asks; raises :class:`DriveProblem` for who asks too often."""
        address = self._address(request)
        self.limit(self.reads, address)
        return self._who(request, address)

    def _who(self, request: Request, address: str) -> Driver:
        visitor = self.cookies.open(request.cookies.get(self.cookie, ""), self.now_s)
        known = visitor is not None
        visitor = visitor or self.cookies.fresh(self.now_s)
        language = visitor.language or wished(request.headers.get("accept-language", ""))
        return Driver(request, visitor, Words(language), known, address)

    def speaking(self, driver: Driver, language: str) -> Driver:
        """The same in another language."""
        return replace(driver, visitor=replace(driver.visitor, language=language), words=Words(language))

    def limit(self, limits: Limits, key: str) -> None:
        """Raises :class:`DriveProblem` where this key has no chance left."""
        wait_s = limits.take(key, self.clock.monotonic())
        if wait_s:
            raise DriveProblem("often", 429, wait_s=wait_s)

    async def own_form(self, driver: Driver) -> FormData:
        """The form, which must be one of this visitor's own pages; raises :class:`DriveProblem`."""
        try:
            check_origin(driver.request.headers)
        except Problem:
            raise DriveProblem("form", 403) from None
        form = await driver.request.form()
        if not driver.known or not self.cookies.is_own(driver.visitor, form.get("csrf")):
            raise DriveProblem("form", 403)
        return form

    def remember(self, response: Response, visitor: Visitor) -> Response:
        """Give the phone its cookie."""
        response.set_cookie(
            self.cookie,
            self.cookies.seal(visitor),
            max_age=self.cookies.most_s,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self.secure,
        )
        return response

    def forget(self, response: Response) -> Response:
        """Take it away."""
        response.delete_cookie(self.cookie, path="/", httponly=True, samesite="lax", secure=self.secure)
        return response

    def page(self, driver: Driver, template: str, *, status: int = 200, refresh_s: int = 0, **more: Any) -> Response:
        """A page in the driver's language. ``refresh_s``: it loads itself again after this, also without scripts."""
        here = driver.request.url.path if driver.request.method == "GET" else "/drive"
        context = {"csrf": self.cookies.csrf(driver.visitor) if driver.known else "", "here": here, "refresh_s": refresh_s}
        return self.pages.render(template, driver.words, status=status, **(context | more))

    def message(self, request: Request, problem: DriveProblem) -> Response:
        """A no, as a page."""
        driver = self._who(request, "")
        minutes = max(1, -(-int(problem.wait_s) // 60))
        said = problem.said or driver.words(f"error.{problem.key}", minutes=minutes)
        response = self.page(
            driver,
            "drive_message.html",
            status=problem.status,
            refresh_s=problem.retry_s,
            title=f"error.{problem.key}_title",
            said=said,
            home=driver.known and bool(driver.visitor.place),
        )
        if problem.wait_s:
            response.headers["retry-after"] = str(int(problem.wait_s) + 1)
        return response

    def _address(self, request: Request) -> str:
        """The phone's address; behind a tunnel the last one that its header names, for the others anybody can write."""
        peer = request.client.host if request.client is not None else "unknown"
        told = request.headers.get(self.address_header, "") if self.address_header else ""
        return told.rpartition(",")[2].strip()[:64] or peer
