"""What the routes share."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from controller.readmodel import NowView
from depot.ports import Clock
from web.auth import Auth, Caller
from web.live import DepotLink, LiveHub
from web.pages import Pages
from web.problems import Problem
from web.roles import Permission
from web.settings import WebSettings


@dataclass(frozen=True, slots=True)
class Web:
    """One application's parts."""

    settings: WebSettings
    link: DepotLink
    auth: Auth
    pages: Pages
    hub: LiveHub
    clock: Clock

    def view(self) -> NowView:
        """The newest view; raises :class:`Problem` core_unreachable before the first."""
        view = self.link.view
        if view is None:
            raise Problem(
                "core_unreachable",
                "The controller's core has not spoken yet. It starts by itself; this page tries again.",
                headers={"retry-after": "3"},
            )
        return view

    def fresh_view(self) -> NowView:
        """A view that is young enough to command on; raises :class:`Problem` stale."""
        view = self.view()
        if self.pages.stale:
            raise Problem(
                "stale",
                "The data is too old to act on, so nothing was sent. Wait until the page is live again.",
                headers={"retry-after": "3"},
            )
        return view


def caller_of(request: Request) -> Caller:
    """Who asks, as the guard found out."""
    caller: Caller = request.state.caller
    return caller


def machine_tabs(request: Request, current: str) -> list[tuple[str, str, str, bool]]:
    """The pages around chargers: (key, address, words, whether it is this one), as far as the person may see them."""
    tabs = [("chargers", "/chargers", "Chargers"), ("stations", "/stations", "Stations")]
    if caller_of(request).may(Permission.STATIONS):
        tabs += [
            ("messages", "/messages", "Messages"),
            ("firmware", "/firmware", "Firmware and logs"),
            ("drift", "/drift", "Drift"),
            ("displays", "/display-messages", "Messages to drivers"),
        ]
    return [(*tab, tab[0] == current) for tab in tabs]


def address_of(request: Request) -> str:
    """The peer's address, for limiting tries."""
    return request.client.host if request.client is not None else "unknown"
