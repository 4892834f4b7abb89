"""Currents per phase in a plan: which grid phase each vehicle loads, and what the site and its feeders carry on each. Pure.

    connector[].phases, the vehicle's own phases --wiring_of()--> Wiring --with_phases()--> caps of the optimizer's Problem

The site's background is taken to be spread evenly over the three phases. Plans keep these limits; the limiter, which reacts to
total powers, does not: the breakers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from controller.feeder_tree import below
from controller.yard import Yard
from depot.registry import Current, DepotSpec
from depot.state import Visit
from depot.values import ConnectorId
from optimizer import Problem
from optimizer.phases import PHASES, PhaseLimits, Wiring, phase_caps

THREE_PHASE = Wiring((1, 2, 3))
"""A DC charger loads all three alike."""


def wiring_of(yard: Yard, key: ConnectorId, visit: Visit) -> Wiring:
    """What a visit loads at its connector: by the connector's phases as built, and the vehicle's as registered, else as its meter
    showed. What nobody knows counts with its whole share on every phase."""
    spec = yard.spec.connectors[key]
    if spec.current is not Current.AC:
        return THREE_PHASE
    registered = yard.state.vehicles.get(visit.announced.vehicle_id)
    used = registered.phases if registered is not None else None
    share = yard.phase_share.get(key) if visit.present else None
    if used is None and share is not None:
        used = round(share * PHASES)
    return Wiring(spec.phases, used)


def with_phases(problem: Problem, spec: DepotSpec, wirings: Sequence[Wiring], feeders: Sequence[str], kept_share: np.ndarray) -> Problem:
    """``problem`` with the caps of site and feeders. ``wirings``, ``feeders``: of each row; ``kept_share`` [slot]: the part of each limit
    that is planned on. As it was where the depot names no such limit."""
    caps = list(problem.caps)
    for scope, limit in spec.phase_limits.items():
        here = set(below(scope, spec.feeder_parents)) if scope else None
        mine = {n: wiring for n, wiring in enumerate(wirings) if here is None or feeders[n] in here}
        names = [feeder.id for feeder in problem.feeders]
        storages = tuple(
            n
            for n, storage in enumerate(problem.storages)
            if here is None or (storage.feeder is not None and names[storage.feeder] in here)
        )
        background = np.zeros((PHASES, problem.n_slots)) if scope else np.tile(problem.background_kw / PHASES, (PHASES, 1))
        caps += phase_caps(
            PhaseLimits(
                id=f"phases of {scope}" if scope else "phases",
                wirings=mine,
                current_a=None if limit.current_a is None else limit.current_a * kept_share,
                unbalance_a=limit.unbalance_a,
                background_kw=background,
                voltage_v=limit.voltage_v,
                power_factor=spec.worst_power_factor,
                storages=storages,
            ),
            problem.n_slots,
        )
    return problem if len(caps) == len(problem.caps) else replace(problem, caps=tuple(caps))
