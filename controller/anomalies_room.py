"""Alerts and work orders of packs in the core: the book is read when somebody asks, in a thread; orders are opened and ended by command.

PackAlertsView, WorkOrdersView <-- book            the look itself is made by the health process, or by `battery anomalies --keep`
OpenWorkOrder, OpenWorkByHand, EndWorkOrder, ReopenWorkOrder --> book     each stands in the audit trail, and as a step with the order
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from bms_bridge.anomalies import AnomalyError
from bms_bridge.anomalies.outcomes import believed
from bms_bridge.anomalies.view import PackAlert, PackAlertsView, WorkFinding, WorkOrderRow, WorkOrdersView, WorkStep
from bms_bridge.anomalies.work import Ending, WorkBook, findings
from controller.link import CoreUnreachable
from controller.room import Carrier, Viewer
from depot import commands as cmd
from depot.events import Envelope
from depot.ports import Clock
from depot.values import InvalidValue
from storage import StorageError

T = TypeVar("T")
NOT_YET = "Nobody has looked yet: a depot with the sections [lake] and [health] looks once a day; so does `battery anomalies --keep`."


class AnomaliesRoom:
    """The room. ``database``: of work orders; made when it is first needed."""

    def __init__(self, database: Path, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._made = False
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.OpenWorkOrder: self._open,
            cmd.OpenWorkByHand: self._by_hand,
            cmd.EndWorkOrder: self._end,
            cmd.ReopenWorkOrder: self._reopen,
        }
        self.views: Mapping[type[Struct], Viewer] = {PackAlertsView: self._alerts, WorkOrdersView: self._orders}

    async def run(self) -> None:
        """Nothing of its own to do."""
        await asyncio.Event().wait()

    async def _alerts(self, _: Mapping[str, str]) -> PackAlertsView:
        now = self._clock.now()
        looked_at, packs, rows = await self._asked(lambda book: book.alerts())
        alerts = [msgspec.json.decode(row, type=PackAlert) for row in rows]
        return PackAlertsView(now, looked_at, packs, "" if looked_at is not None else NOT_YET, alerts)

    async def _orders(self, _: Mapping[str, str]) -> WorkOrdersView:
        now = self._clock.now()
        orders, intact = await self._asked(lambda book: (book.orders(ended=True), book.intact()))
        rows = [
            WorkOrderRow(
                order.number,
                order.key,
                order.pack,
                order.kind,
                order.due,
                order.cause,
                order.advice,
                order.state,
                [WorkStep(step.at, step.actor, step.what, step.reason) for step in order.steps],
            )
            for order in orders
        ]
        told = findings(orders)
        taken = {kind: belief.real for kind, belief in believed(told).items()}
        found = [WorkFinding(one.kind, one.right, one.false, one.else_found, taken.get(one.kind)) for one in told]
        return WorkOrdersView(now, intact, rows, found)

    async def _open(self, command: cmd.OpenWorkOrder, envelope: Envelope) -> tuple[cmd.CommandStatus, str]:
        found = {alert.key: alert for alert in (await self._alerts({})).alerts if alert.holds_now}
        alert = found.get(command.alert)
        if alert is None:
            raise InvalidValue(f"no alert {command.alert[:80]!r} holds now: look at the list of alerts")
        order, new = await self._asked(
            lambda book: book.open(
                key=alert.key,
                pack=alert.pack,
                kind=alert.kind,
                due=alert.due,
                cause=alert.why,
                advice=alert.advice,
                actor=envelope.actor,
                reason=command.reason,
                now=self._clock.now(),
            )
        )
        return cmd.CommandStatus.DONE, f"work order {order.number} {'opened' if new else 'is open already'}, due {order.due}"

    async def _by_hand(self, command: cmd.OpenWorkByHand, envelope: Envelope) -> tuple[cmd.CommandStatus, str]:
        asked, now = command, self._clock.now()
        order = await self._asked(
            lambda book: book.by_hand(pack=asked.pack, what=asked.what, due=asked.due, actor=envelope.actor, reason=asked.reason, now=now)
        )
        return cmd.CommandStatus.DONE, f"work order {order.number} opened, due {order.due}"

    async def _reopen(self, command: cmd.ReopenWorkOrder, envelope: Envelope) -> tuple[cmd.CommandStatus, str]:
        now = self._clock.now()
        order = await self._asked(lambda book: book.reopen(command.number, actor=envelope.actor, reason=command.reason, now=now))
        return cmd.CommandStatus.DONE, f"work order {order.number} is open again"

    async def _end(self, command: cmd.EndWorkOrder, envelope: Envelope) -> tuple[cmd.CommandStatus, str]:
        if command.result not in set(Ending):
            raise InvalidValue(f"there is no result {command.result[:40]!r}; write {', '.join(Ending)}")
        ending, now = Ending(command.result), self._clock.now()
        order = await self._asked(lambda book: book.end(command.number, ending, actor=envelope.actor, reason=command.reason, now=now))
        return cmd.CommandStatus.DONE, f"work order {order.number}: {order.state.replace('_', ' ')}"

    async def _asked(self, what: Callable[[WorkBook], T]) -> T:
        def work() -> T:
            with WorkBook.opened(self._database, made=self._made and self._database.exists()) as book:
                self._made = True
                return what(book)

        try:
            return await asyncio.to_thread(work)
        except AnomalyError as error:
            raise InvalidValue(str(error)) from None
        except StorageError as error:
            raise CoreUnreachable(f"work orders cannot be read now: {error}") from None
