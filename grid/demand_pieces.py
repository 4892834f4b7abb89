"""What a peak costs, for a planner: each demand charge of a tariff as straight pieces over the month's highest block mean.

    cost of a group = the highest, over its pieces, of  rate × max(0, highest block mean within the hours − free)

Free is what the month costs anyway: a share of the contract, a ratchet of past months, the peak that was already reached. Above
the contract a group of its own adds the dearer rate. By construction of the rules (:mod:`grid.tariff.rule`) the cost never falls
as the peak grows. The pieces are exact, except where demand beyond the contract pays its rate in place of the base rate, and a
rule counts a share of the recorded demand or some hours only: there it is reckoned with both, never less than the bill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from depot.metering import MeterBlock
from grid.billing.blocks import MonthOfBlocks
from grid.billing.demand import DemandAccount
from grid.billing.values import BillingHistory
from grid.months import Month
from grid.tariff import Tariff
from grid.tariff.hours import Hours, Valid
from grid.tariff.layers import DemandBasis, DemandLayer
from grid.tariff.model import nearest
from grid.tariff.numbers import plain
from grid.tariff.rule import Recorded, terms

__all__ = ["DemandPiece", "demand_pieces"]

NO_HISTORY = BillingHistory()


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPiece:
    """One piece, in kW of block means over ``block_min``. ``hours`` None: blocks of the whole day count. ``rate_per_kw``: of
    the month, in the currency, with percentages on it. ``above_contract``: the dearer part beyond the contract demand."""

    group: str
    block_min: int
    hours: Hours | None
    free_kw: Fraction
    rate_per_kw: Fraction
    above_contract: bool = False
    because: str = ""


def demand_pieces(
    tariff: Tariff,
    at: datetime,
    *,
    contract: Fraction | int | None = None,
    history: BillingHistory = NO_HISTORY,
    so_far: Sequence[MeterBlock] = (),
    power_factor: Fraction | None = None,
) -> list[DemandPiece]:
    """The pieces of the month of ``at`` (aware). ``contract``: in the unit of the demand charge; ``so_far``: this month's blocks;
    ``power_factor``: kW per kVA, else the tariff's parameter. Raises :class:`~grid.tariff.rule.NoContract` where a rule needs a
    contract, :class:`~grid.billing.BillingError` for blocks that a bill would refuse."""
    factor = power_factor if power_factor is not None else tariff.power_factor
    month = Month.of(at, tariff.zone)
    day = at.astimezone(tariff.zone).date()
    measured = MonthOfBlocks.of(so_far, month, tariff.zone, factor)
    agreed = _contract_on(day, contract, history)
    pieces: list[DemandPiece] = []
    for layer in nearest(tariff.demand, day):
        facts = DemandAccount(layer, measured, Valid(month.first, month.until), agreed, history)
        pieces += _layer_pieces(layer, facts, factor, tariff.with_percentages(layer.code, day))
    return pieces


def _contract_on(day: date, contract: Fraction | int | None, history: BillingHistory) -> Fraction | None:
    known = [change for change in history.contracts if change.since <= day]
    newest = max(known, key=lambda change: change.since, default=None)
    return newest.demand if newest is not None else None if contract is None else Fraction(contract)


def _layer_pieces(layer: DemandLayer, facts: DemandAccount, factor: Fraction, taxed: Fraction) -> list[DemandPiece]:
    """``taxed``: what a rupee of the charge costs with the percentages on it."""
    kw = factor if layer.basis is DemandBasis.KVA else Fraction(1)
    floor, bound = facts.base(), facts.bound
    in_place = layer.excess is not None and not layer.excess.also_base
    recorded = [term for term in terms(layer.billing_rule) if isinstance(term, Recorded)]
    rising = [term for term in recorded if not in_place or bound is None or floor.value < term.factor * bound]
    pieces = [
        DemandPiece(
            group=layer.code,
            block_min=layer.block_min,
            hours=term.hours,
            free_kw=floor.value / term.factor * kw,
            rate_per_kw=layer.rate * term.factor / kw * taxed,
            because=f"billed anyway: {floor.words}",
        )
        for term in rising
    ]
    if layer.excess is not None and bound is not None:
        free = max(bound, facts.recorded(None))
        in_base = in_place and any(term.factor == 1 and term.hours is None for term in rising)
        beyond = layer.excess.multiplier - (1 if in_base else 0)
        pieces.append(
            DemandPiece(
                group=f"{layer.code}-excess",
                block_min=layer.block_min,
                hours=None,
                free_kw=free * kw,
                rate_per_kw=layer.rate * beyond / kw * taxed,
                above_contract=True,
                because=f"above {plain(free, 3)} {layer.basis}: {plain(layer.excess.multiplier)} × the rate",
            )
        )
    return [piece for piece in pieces if piece.rate_per_kw > 0]
