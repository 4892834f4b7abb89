"""What core and questions child say to each other: JSON in the frames of :mod:`controller.pipe_child`, as the planner child does.

child: ready
core:  Question {id, problem, policy, what, deadline_s}
child: Told {id, progress} as often as there is any, then Told {id, result | failure}
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from controller.pipe_child import framed
from controller.planner_wire import from_array, to_array
from optimizer import Frontier, FrontierProgress, Policy, Problem, Weights
from optimizer.explain_values import CellReason, Explanation
from optimizer.what_if_values import Change, Comparison, Figures


class Explain(Struct, frozen=True, tag="explain", forbid_unknown_fields=True):
    """Why the plan is as it is. ``deep``: with remedies, and with what is found by solving changed problems only."""

    deep: bool


class Why(Struct, frozen=True, tag="why", forbid_unknown_fields=True):
    """Why these vehicles (by their places) draw what they draw in a slot."""

    slot: int
    vehicles: tuple[int, ...]


class Compare(Struct, frozen=True, tag="compare", forbid_unknown_fields=True):
    """What these changes would do to it."""

    changes: tuple[Change, ...]


class MakeFrontier(Struct, frozen=True, tag="frontier", forbid_unknown_fields=True):
    """What else could be picked. ``steps`` on the way to each aim."""

    steps: int


What = Explain | Why | Compare | MakeFrontier


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """An explanation's sentences: of each shortfall, and of each of its remedies, in its order; ``relaxed``: of milestones that are
    missed, and of limits that cannot be kept."""

    short: tuple[str, ...]
    remedies: tuple[tuple[str, ...], ...]
    relaxed: tuple[str, ...]


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """Answer this within ``deadline_s`` seconds. Ids count from 1. ``plan_id``: which plan it is about; ``zone``: whose clock the
    answer's words use."""

    id: int
    plan_id: str
    problem: Problem
    policy: Policy | Weights
    what: What
    zone: str
    deadline_s: float


class Told(Struct, frozen=True, forbid_unknown_fields=True):
    """How far it is, or its result, or a sentence why there is none. Id 0: the child is up. ``wear_cost``: of the plan that is
    explained; ``uncontrolled``: what it would come to if every vehicle charged at once, whatever the limits say."""

    id: int
    progress: FrontierProgress | None = None
    explanation: Explanation | None = None
    words: Words | None = None
    wear_cost: float | None = None
    uncontrolled: Figures | None = None
    reasons: tuple[CellReason, ...] = ()
    comparison: Comparison | None = None
    frontier: Frontier | None = None
    failure: str = ""


def frame(message: Question | Told) -> bytes:
    """A message as it goes through the pipe."""
    return framed(_encoder.encode(message))


def read_question(body: bytes) -> Question:
    """Raises :class:`msgspec.MsgspecError` for anything that is no question."""
    return _questions.decode(body)


def read_told(body: bytes) -> Told:
    """Raises :class:`msgspec.MsgspecError` for anything that is no answer."""
    return _told.decode(body)


_encoder = msgspec.json.Encoder(enc_hook=from_array)
_questions = msgspec.json.Decoder(Question, dec_hook=to_array)
_told = msgspec.json.Decoder(Told, dec_hook=to_array)
