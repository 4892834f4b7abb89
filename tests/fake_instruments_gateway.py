"""A gateway that knows mandates only: customers, orders, links, tokens. For tests of drivers' instruments; no money moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from payments.gateway import Answer, AuthLink, Customer, IntentLink, LinkState, Ok, Order, Payment, Token, Unknown
from payments.reasons import Reason
from payments.states import MandateState, Mode, PaymentState

__all__ = ["InstrumentsGateway"]


@dataclass
class InstrumentsGateway:
    """``silent``: every call goes without a clear answer. ``asked``: names of calls, in order. The same contact is the same
    customer. ``now_s``: its clock."""

    now_s: int = 1_000
    silent: bool = False
    asked: list[str] = field(default_factory=list)
    customers: dict[str, str] = field(default_factory=dict)
    orders_by_receipt: dict[str, Order] = field(default_factory=dict)
    links: dict[str, AuthLink] = field(default_factory=dict)
    approvals: dict[str, list[Payment]] = field(default_factory=dict)
    known_tokens: dict[str, Token] = field(default_factory=dict)
    modes: dict[str, Mode] = field(default_factory=dict)

    def approve(self, order_id: str, token: Token) -> None:
        """The driver says yes in the UPI app."""
        self.known_tokens[token.token_id] = token
        payment = Payment(f"pay_{token.token_id}", order_id, PaymentState.CAPTURED, 100, "INR", token_id=token.token_id)
        self.approvals.setdefault(order_id, []).append(payment)

    def dummy(self, order_id: str) -> None:
        """The failed dummy payment with which a one-time mandate is authorised."""
        failed = Payment(f"dummy_{order_id}", order_id, PaymentState.FAILED, 100, "INR", reason=Reason.DUMMY)
        self.approvals.setdefault(order_id, []).append(failed)

    def set(self, token_id: str, state: MandateState, **changes: Any) -> None:
        """What happens to a mandate at the bank."""
        self.known_tokens[token_id] = replace(self.known_tokens[token_id], state=state, **changes)

    def _heard(self, name: str) -> bool:
        self.asked.append(name)
        return not self.silent

    async def create_customer(self, *, name: str, email: str, contact: str) -> Answer[Customer]:
        if not self._heard("create_customer"):
            return Unknown("time-out")
        customer_id = self.customers.setdefault(contact, f"cust_{len(self.customers) + 1}")
        return Ok(Customer(customer_id, email, contact), self.now_s)

    async def orders(self, receipt: str) -> Answer[Sequence[Order]]:
        if not self._heard("orders"):
            return Unknown("time-out")
        return Ok([order for known, order in self.orders_by_receipt.items() if known == receipt], self.now_s)

    async def create_mandate_order(
        self, *, customer_id: str, receipt: str, max_amount_paise: int, expire_at: datetime, currency: str, mode: Mode = Mode.AUTOPAY
    ) -> Answer[Order]:
        if not self._heard("create_mandate_order"):
            return Unknown("time-out")
        order = Order(f"order_{len(self.orders_by_receipt) + 1}", 100, currency, receipt, self.now_s)
        self.orders_by_receipt[receipt] = order
        self.modes[order.order_id] = mode
        return Ok(order, self.now_s)

    async def authorise(self, *, order: Order, customer: Customer) -> Answer[IntentLink]:
        if not self._heard("authorise"):
            return Unknown("time-out")
        return Ok(IntentLink(f"auth_{order.order_id}", f"upi://mandate?tr={order.order_id}"), self.now_s)

    async def create_auth_link(self, *, receipt: str, mode: Mode = Mode.AUTOPAY, **_: object) -> Answer[AuthLink]:
        if not self._heard("create_auth_link"):
            return Unknown("time-out")
        number = len(self.links) + 1
        link = AuthLink(f"inv_{number}", f"order_l{number}", f"https://gateway.example/l/{number}", LinkState.ISSUED, "cust_1")
        self.links[link.link_id] = link
        self.modes[link.order_id] = mode
        return Ok(link, self.now_s)

    async def auth_link(self, link_id: str) -> Answer[AuthLink]:
        return Ok(self.links[link_id], self.now_s) if self._heard("auth_link") else Unknown("time-out")

    async def cancel_auth_link(self, link_id: str) -> Answer[AuthLink]:
        if not self._heard("cancel_auth_link"):
            return Unknown("time-out")
        self.links[link_id] = replace(self.links[link_id], state=LinkState.CANCELLED)
        return Ok(self.links[link_id], self.now_s)

    async def payments(self, order_id: str) -> Answer[Sequence[Payment]]:
        return Ok(self.approvals.get(order_id, []), self.now_s) if self._heard("payments") else Unknown("time-out")

    async def token(self, customer_id: str, token_id: str) -> Answer[Token]:
        return Ok(self.known_tokens[token_id], self.now_s) if self._heard("token") else Unknown("time-out")

    async def cancel_token(self, customer_id: str, token_id: str) -> Answer[MandateState]:
        if not self._heard(f"cancel_token {token_id}"):
            return Unknown("time-out")
        self.set(token_id, MandateState.CANCEL_PENDING)
        return Ok(MandateState.CANCEL_PENDING, self.now_s)
