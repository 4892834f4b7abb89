"""What of a payload people may see: everything but tags, keys, passwords, certificates and what stands before the @ of a URL.

    redact(payload) -> the same shape with less in it        redacted(tag) -> "…99"

Keys are looked up in lower case, so a station that spells them its own way hides nothing less. In doubt it is hidden: the free
text of a DataTransfer is shown only where it is JSON, and then by the same rules. Pure; called when somebody looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

HIDDEN = "(hidden)"

_TAGS = frozenset(
    {
        "idtokens",
        "pspref",
        "vatnumber",
        "idtag",
        "parentidtag",
        "parentid",
        "idtoken",
        "groupidtoken",
        "additionalidtoken",
        "customeridentifier",
        "prioritizedemaids",
        "emaid",
    }
)
_SECRETS = frozenset({"csr", "certificate", "certificatechain", "exirequest", "exiresponse", "simpin"})
_SECRET_NAME = re.compile(r"passw|secret|passphrase|authorizationkey|privatekey|psk|(?:^|[^a-z])pin(?:$|[^a-z])|token$")
"""Part of the name of a configuration key or variable whose value is nobody's business, in lower case."""
_NAMED_VALUES = frozenset({"value", "attributevalue", "variableattribute"})
_SEALED = re.compile(r"(://\S*/(?:firmware|logs)/\S*?/)[0-9a-z]{1,8}\.[\w-]{32}")
"""The key in an address of the depot's own file service."""
_USERINFO = re.compile(r"(://)[^\s/?#]*@")


def redact(part: Any, *, within: str = "") -> Any:
    """``part`` of a payload without what is not to be seen. ``within``: the key, in lower case, under which it stands."""
    if isinstance(part, dict):
        return _redact_object(part, within)
    if isinstance(part, list):
        return [redact(element, within=within) for element in part]
    if within in _TAGS:
        return redacted(part)
    return _SEALED.sub(r"\1…", _USERINFO.sub(r"\1…@", part)) if isinstance(part, str) else part


def is_secret(name: str) -> bool:
    """Whether the value of a configuration key or variable of this name is nobody's business."""
    return _SECRET_NAME.search(name.lower()) is not None


def redacted(tag: object) -> str:
    """An id tag as its last two characters: enough to compare, too little to copy."""
    return f"…{tag[-2:]}" if isinstance(tag, str) and len(tag) > 4 else "…"


def _redact_object(part: Mapping[str, Any], within: str) -> dict[str, Any]:
    secret_value = any(_SECRET_NAME.search(name) for name in _names(part))
    shown: dict[str, Any] = {}
    for key, value in part.items():
        name = key.lower()
        secret = name in _SECRETS or (name not in _TAGS and _SECRET_NAME.search(name)) or (name == "key" and within == "vpn")
        if (secret or (secret_value and name in _NAMED_VALUES)) and value is not None:
            shown[key] = HIDDEN
        elif name == "data" and "generatedAt" in part:
            shown[key] = HIDDEN  # NotifyCustomerInformation: a person's data
        elif name == "data" and isinstance(value, str):
            shown[key] = _free_text(value)
        else:
            shown[key] = redact(value, within=name)
    return shown


def _names(part: Mapping[str, Any]) -> list[str]:
    """What a pair of name and value is called, in lower case: a configuration key of 1.6, a variable of 2.x."""
    found = [value for key, value in part.items() if key.lower() == "key" and isinstance(value, str)]
    for key, value in part.items():
        if key.lower() in ("variable", "component") and isinstance(value, dict):
            found += [name for name in value.values() if isinstance(name, str)]
    return [name.lower() for name in found]


def _free_text(text: str) -> str:
    try:
        inner = msgspec.json.decode(text)
        if isinstance(inner, dict | list):
            return msgspec.json.encode(redact(inner)).decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        pass
    return f"({len(text)} characters)" if text else ""
