"""OCPP 2.1: whatever the norm lets a station send is answered so that the norm's schema holds, or with the right CALLERROR; and
what is sent (message type 6) is not answered at all. The smallest message that a schema allows, its largest, and one without
what it must have, each over a real socket."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import ocpp.v21
import pytest
from ocpp_fakes import FakeDepot
from test_ocpp201_stations import dial, listening

from ocpp_server.actions import CALLS, CALLS_21
from ocpp_server.schemas import UNANSWERED, schema_of, validator
from ocpp_server.version import Version

pytestmark = pytest.mark.anyio

FOLDER = Path(ocpp.v21.__file__).parent / "schemas"
SENT_BY_BOTH = {"DataTransfer"}
FROM_STATIONS = sorted(
    {path.stem.removesuffix("Request") for path in FOLDER.glob("*Request.json")} - CALLS_21 | SENT_BY_BOTH
)  # fmt: skip
ERRORS = {"NotSupported", "PropertyConstraintViolation"}
"""What a message that keeps its schema may be told: not offered here, or about a thing that is not there."""
TEXTS = {"date-time": "2026-11-20T12:00:00Z"}


def made(schema: dict[str, Any], root: dict[str, Any], *, full: bool, depth: int = 0) -> Any:
    """A value that keeps the schema: with what it must have, or with everything."""
    if "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return schema["enum"][-1 if full else 0]
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            parts = {key: part for key, part in schema.get("properties", {}).items() if key in required or (full and key != "customData")}
            return {key: made(part, root, full=full, depth=depth + 1) for key, part in parts.items()}
        case "array":
            count = min(schema.get("maxItems", 3), 3) if full and depth < 3 else max(1, schema.get("minItems", 1))
            return [made(schema["items"], root, full=full, depth=depth + 1) for _ in range(count)]
        case "string":
            text = TEXTS.get(schema.get("format", ""))
            return text or ("x" * schema.get("maxLength", 20) if full else "1")
        case "integer" | "number" as kind:
            return min(1 if kind == "integer" else 1.5, schema.get("maximum", 2))
        case "boolean":
            return True
    return None


def test_the_list_of_what_stations_send_is_the_norms() -> None:
    assert len(FROM_STATIONS) == 36
    assert not CALLS_21 - {path.stem.removesuffix("Request") for path in FOLDER.glob("*Request.json")}
    for name in CALLS_21:
        assert schema_of(name, Version.V21), name


@pytest.mark.parametrize("full", [False, True], ids=["smallest", "largest"])
async def test_every_message_of_a_station_is_answered_by_the_schema(full: bool) -> None:
    async with listening(FakeDepot()) as central, dial(central, "CP1", "ocpp2.1") as connection:
        wrong: dict[str, Any] = {}
        for number, action in enumerate(FROM_STATIONS):
            schema = schema_of(action, Version.V21)
            payload = made(schema, schema, full=full)
            validator(action, Version.V21)(payload)
            reply = await asked(connection, f"m{number}", action, payload)
            if reply[0] == 3:
                validator(f"{action}Response", Version.V21)(reply[2])
            elif reply[2] not in ERRORS:
                wrong[action] = reply
        assert not wrong


async def test_a_message_without_what_it_must_have_gets_the_right_error() -> None:
    async with listening(FakeDepot()) as central, dial(central, "CP1", "ocpp2.1") as connection:
        for number, action in enumerate(FROM_STATIONS):
            if not schema_of(action, Version.V21).get("required"):
                continue
            reply = await asked(connection, f"m{number}", action, {})
            assert reply[0] == 4, action
            assert reply[2] in {"OccurrenceConstraintViolation", "NotSupported"}, (action, reply)


async def test_calls_of_the_central_system_are_none_of_a_station() -> None:
    async with listening(FakeDepot()) as central, dial(central, "CP1", "ocpp2.1") as connection:
        for number, action in enumerate(sorted(CALLS_21 - SENT_BY_BOTH)):
            reply = await asked(connection, f"m{number}", action, {})
            assert reply[:3] == [4, f"m{number}", "NotImplemented"]
        for action in UNANSWERED:
            assert (await asked(connection, "s", action, {}))[:3] == [4, "s", "ProtocolError"]


async def asked(connection: Any, message_id: str, action: str, payload: dict[str, Any]) -> list[Any]:
    """The answer to a call; what the central system asks meanwhile is answered with nothing that it can use."""
    await connection.send(json.dumps([2, message_id, action, payload]))
    while True:
        reply: list[Any] = json.loads(await asyncio.wait_for(connection.recv(), 10))
        if reply[0] == 2:
            await connection.send(json.dumps([4, reply[1], "NotSupported", "", {}]))
        elif reply[1] == message_id:
            return reply


# ---------------------------------------------------------------------- bent payloads, in all versions

JUNK: tuple[Any, ...] = (None, True, -1, 2**70, 1e308, "", "x" * 600, [], {}, [[]], {"a": {}}, "NaN", "\u0000")
FOLDERS = {Version.V16: "v16", Version.V201: "v201", Version.V21: "v21"}
CODES = {
    "NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError", "FormationViolation", "FormatViolation",
    "PropertyConstraintViolation", "OccurenceConstraintViolation", "OccurrenceConstraintViolation", "TypeConstraintViolation",
    "GenericError", "RpcFrameworkError", "MessageTypeNotSupported",
}  # fmt: skip


def messages(version: Version) -> list[str]:
    """What a station of that version may send."""
    ending = ("Response", ".json") if version is Version.V16 else ("Request", "Request.json")
    names = {path.name.removesuffix(ending[1]) for path in (FOLDER.parent.parent / FOLDERS[version] / "schemas").glob("*.json")}
    return sorted(name for name in names if name.isalnum() and not name.endswith("Response") and name not in CALLS[version] - SENT_BY_BOTH
                  and name not in UNANSWERED)  # fmt: skip


def bent(rng: random.Random, part: Any) -> Any:
    """The same with one part of it replaced, taken out, or given another name."""
    if isinstance(part, dict) and part and rng.random() < 0.85:
        key = rng.choice(list(part))
        match rng.randrange(6):
            case 0:
                return {name: value for name, value in part.items() if name != key}
            case 1:
                return {name if name != key else key.upper(): value for name, value in part.items()}
        return {**part, key: bent(rng, part[key])}
    if isinstance(part, list) and part and rng.random() < 0.85:
        at = rng.randrange(len(part))
        return [*part[:at], bent(rng, part[at]), *part[at + 1 :]]
    return rng.choice(JUNK)


@pytest.mark.parametrize("version", list(Version))
async def test_fault_11_whatever_is_bent_the_answer_keeps_the_schema(version: Version) -> None:
    rng = random.Random(21)
    quick = {"frames_burst": 100_000, "frames_per_s": 100_000.0}
    async with listening(FakeDepot(), **quick) as central, dial(central, "CP1", version.subprotocol) as connection:
        for number in range(150):
            action = rng.choice(messages(version))
            schema = schema_of(action, version)
            payload = bent(rng, made(schema, schema, full=rng.random() < 0.5))
            if not isinstance(payload, dict):
                continue
            reply = await asked(connection, f"m{number}", action, payload)
            if reply[0] == 3:
                validator(f"{action}Response", version)(reply[2])
            else:
                assert reply[0] == 4
                assert reply[2] in CODES, reply
                assert reply[2] != "InternalError", (action, payload)
                assert len(reply) == 5
                assert len(reply[3]) <= 255
