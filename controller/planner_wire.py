"""What core and planner child say to each other: JSON in the frames of :mod:`controller.pipe_child`.

Arrays go as they lie in memory, {"shape", "f8"} in base64: a plan of 1,000 vehicles is 96,000 numbers, whose digits would hold the
core's loop for longer than all the rest.

child: ready            core: request {id, problem, policy, deadline_s}            child: answer {id, result | failure}
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import numpy as np

from controller.pipe_child import framed
from optimizer import PlanResult, Policy, Problem, Weights


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Solve this within ``deadline_s`` seconds. Ids count from 1."""

    id: int
    problem: Problem
    policy: Policy | Weights
    deadline_s: float


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A result, or a sentence why there is none. Without either and with :data:`~controller.pipe_child.READY_ID`: the child is warm."""

    id: int
    result: PlanResult | None = None
    failure: str = ""


def frame(message: Request | Answer) -> bytes:
    """A message as it goes through the pipe."""
    return framed(_encoder.encode(message))


def read_request(body: bytes) -> Request:
    """Raises :class:`msgspec.MsgspecError` for anything that is no request."""
    return _requests.decode(body)


def read_answer(body: bytes) -> Answer:
    """Raises :class:`msgspec.MsgspecError` for anything that is no answer."""
    return _answers.decode(body)


def from_array(value: Any) -> Any:
    """For msgspec: arrays as they lie in memory."""
    if isinstance(value, np.ndarray):
        return {"shape": value.shape, "f8": base64.b64encode(value.astype("<f8").tobytes()).decode("ascii")}
    raise NotImplementedError(f"{type(value)} has no place in a frame")


def to_array(_type: type, value: Any) -> Any:
    """For msgspec: the array again; raises its ValidationError."""
    try:
        numbers = np.frombuffer(base64.b64decode(value["f8"], validate=True), dtype="<f8")
        return numbers.reshape(value["shape"]).astype(np.float64)
    except (TypeError, KeyError, ValueError) as error:
        raise msgspec.ValidationError(f"numbers are expected ({error})") from None


_encoder = msgspec.json.Encoder(enc_hook=from_array)
_requests = msgspec.json.Decoder(Request, dec_hook=to_array)
_answers = msgspec.json.Decoder(Answer, dec_hook=to_array)
