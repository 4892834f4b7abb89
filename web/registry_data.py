"""What departures and registry ask the core for, and how lists of commands are sent to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec import Struct

from controller.departures_import import Timetable, timetable_of
from controller.departures_view import ROWS_MOST, DeparturesView
from controller.import_reader import Known, known_of
from controller.link import CoreUnreachable, LinkProtocol
from controller.registry_view import DriversView, FleetView, SiteDeclarationView
from controller.sheets import Complaint
from depot import commands as cmd
from web import actions
from web.context import Web
from web.problems import Problem

T = TypeVar("T", bound=Struct)

AT_ONCE = 8
"""Commands of one import that are under way together; the core writes them with one flush."""


async def ask(web: Web, kind: type[T], **args: str) -> T:
    """A view of the core; raises :class:`Problem` where it has none (an older core, still starting)."""
    try:
        found = await web.link.show(kind, **args)
    except LinkProtocol as error:
        raise Problem("invalid_request", str(error)) from None
    if found is None:
        raise Problem("core_unreachable", "The controller's core does not keep this list. Restart it with this release.")
    return found


async def departures(web: Web, **args: str) -> DeparturesView:
    return await ask(web, DeparturesView, **args)


async def fleet(web: Web) -> FleetView:
    return await ask(web, FleetView)


async def timetable(web: Web) -> Timetable:
    """What imports and forms of departures are read against."""
    return timetable_of(await departures(web, limit=str(ROWS_MOST)), await fleet(web))


async def known(web: Web, kind: str) -> Known:
    """What imports and forms of this kind are read against. Drivers' names only where they are needed."""
    if kind == "drivers":
        return known_of(None, await ask(web, DriversView))
    if kind in ("stations", "feeders"):
        return known_of(None, None, await ask(web, SiteDeclarationView))
    return known_of(await fleet(web))


@dataclass(frozen=True, slots=True)
class Sent:
    """How a list of commands went. ``last``: the answer that a person is shown."""

    done: int
    total: int
    refused: tuple[str, ...]
    last: cmd.CommandResult | None

    @property
    def status(self) -> str:
        return "refused" if self.refused and not self.done else "failed" if self.refused else "done"


async def send_all(web: Web, commands: Sequence[cmd.Command], *, together: bool) -> Sent:
    """Send all; ``together``: they do not depend on each other. What was refused is named; a core that goes away in
    between leaves what is done done, and the same file again does the rest."""
    gate = asyncio.Semaphore(AT_ONCE if together else 1)

    async def one(command: cmd.Command) -> cmd.CommandResult | Exception:
        async with gate:
            try:
                return await actions.send(web, command)
            except (CoreUnreachable, Problem) as error:
                return error

    answers = await asyncio.gather(*(one(command) for command in commands))
    refused = [str(answer) for answer in answers if isinstance(answer, Exception)]
    results = [answer for answer in answers if isinstance(answer, cmd.CommandResult)]
    refused += [r.message for r in results if r.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED)]
    return Sent(len(answers) - len(refused), len(answers), tuple(refused), results[-1] if results else None)


def field_errors(complaints: Sequence[Complaint]) -> dict[str, str]:
    """Column → what is wrong, the first of each; "" for what belongs to none."""
    errors: dict[str, str] = {}
    for complaint in complaints:
        text = complaint.text[:1].upper() + complaint.text[1:]
        errors.setdefault(complaint.column, text)
    return errors
