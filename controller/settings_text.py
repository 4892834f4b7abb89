"""What settings say about themselves: the table of the documentation, and each mistake as one line for people.

Settings (the model) --described--> Markdown        a file's or the environment's mistakes --complaint()--> where, what, what to write
"""

from __future__ import annotations

import difflib
import os
import types
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

PREFIX = "CHARGEYARD_"
GATEWAY_PREFIX = f"{PREFIX}GATEWAY_"
GATEWAY_SECRETS = tuple(GATEWAY_PREFIX + name for name in ("KEY_ID", "KEY_SECRET", "WEBHOOK_SECRET", "WEBHOOK_SECRET_OLD"))
"""The payment gateway's keys: read by :func:`payments.keys.keys_from`, from the environment only."""
NESTED = "__"
SECRETS = ("depot_secret", "contacts_key", "notify_webhook_secret", "reminder_secret", "notify_smtp_password", "notify_sms_token")
_NOT_SHOWN = ("key_hash", "password", *SECRETS)
"""Somebody may have written the password itself there."""


def described(root: type[BaseModel]) -> str:
    """Every setting as a Markdown table: path, type, unit, default, description."""
    lines = ["| setting | type | unit | default | meaning |", "|---|---|---|---|---|"]
    for path, field in _walk(root, ""):
        extra = field.json_schema_extra
        unit = extra.get("unit", "") if isinstance(extra, dict) else ""
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{path}` | {_type_text(field.annotation)} | {unit} | {_default_text(field)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _walk(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner, repeated = _model_in(field.annotation)
        if inner is None:
            yield f"{prefix}{name}", field
        else:
            yield from _walk(inner, f"{prefix}{name}{'[]' if repeated else ''}.")


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The section in an annotation, and whether there may be several of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for part in get_args(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part, get_origin(annotation) is tuple
    return None, False


def _type_text(annotation: Any) -> str:
    origin, parts = get_origin(annotation), [p for p in get_args(annotation) if p not in (type(None), Ellipsis)]
    if origin is Literal:
        return " or ".join(f"`{p}`" for p in parts)
    if origin is tuple:
        return f"list of {_type_text(parts[0])}"
    if origin in (Union, types.UnionType) or origin is not None:
        return _type_text(parts[0])
    names = {
        str: "text",
        int: "integer",
        Decimal: "exact number",
        float: "number",
        bool: "true or false",
        Path: "path",
        SecretStr: "secret text",
    }
    return names.get(annotation, "date and time with offset")


def _default_text(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined or default is ...:
        return "must be set"
    if default is None:
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(repr(part).replace(chr(39), chr(34)) for part in default)}]`"
    return f'`"{default}"`' if isinstance(default, str | Path) else f"`{default}`"


def complaint(root: type[BaseModel], raw: Mapping[str, Any], detail: ErrorDetails) -> str:
    """One mistake as one line: its place, what is wrong, what to write instead."""
    place = _place(raw, detail["loc"])
    variable = PREFIX + NESTED.join(str(part) for part in detail["loc"]).upper()
    if variable in os.environ:
        place = f"{place} (from {variable})"
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        model = _model_at(root, detail["loc"][:-1])
        known = list(model.model_fields) if model is not None else []
        close = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        return f"{place}: unknown setting; {hint}"
    if kind == "missing":
        return f"{place}: must be set"
    if detail["loc"] and kind != "value_error" and not isinstance(detail["input"], dict | list | tuple):
        if detail["loc"][-1] in _NOT_SHOWN:
            return f"{place}: {message[0].lower()}{message[1:]} (what was written is not shown here)"
        return f"{place}: {message[0].lower()}{message[1:]}, not {_shown(detail['input'])}"
    return f"{place}: {message}" if place else message


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _place(raw: Mapping[str, Any], location: Sequence[int | str]) -> str:
    """``station[3].connector[1].rated_kw``, counted from 1, with the id of what is counted where it has one."""
    text, here = "", raw
    for part in location:
        if isinstance(part, int):
            here = here[part] if isinstance(here, list | tuple) and part < len(here) else {}
            named = here.get("id") if isinstance(here, Mapping) else None
            text += f"[{part + 1}{f': {named}' if isinstance(named, str) else ''}]"
        else:
            here = here.get(part, {}) if isinstance(here, Mapping) else {}
            text += f".{part}" if text else part
    return text


def _model_at(root: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = root
    for part in location:
        if model is None or isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        model = _model_in(field.annotation)[0] if field is not None else None
    return model


def mistyped(known: Mapping[str, FieldInfo]) -> str:
    """What is wrong with a variable of the environment whose first word is almost a section of ``known``: it would silently do nothing.
    Others are not ours; "": nothing is wrong."""
    for variable in os.environ:
        if not variable.startswith(PREFIX) or variable in GATEWAY_SECRETS or variable[len(PREFIX) :].lower() in known:
            continue
        secret = difflib.get_close_matches(variable, GATEWAY_SECRETS, n=1, cutoff=0.85)
        if secret or variable.startswith(GATEWAY_PREFIX):
            known_ones = f"did you mean {secret[0]}?" if secret else f"known here: {', '.join(GATEWAY_SECRETS)}"
            return f"environment: {variable}: unknown setting; {known_ones}"
        section, *rest = variable[len(PREFIX) :].split(NESTED)
        close = difflib.get_close_matches(section.lower(), known, n=1, cutoff=0.6 if rest else 0.8)
        if close and close[0] != section.lower():
            meant = PREFIX + NESTED.join([close[0].upper(), *rest])
            return f"environment: {variable}: unknown setting; did you mean {meant}?"
    return ""
