"""Contact data as screens and logs may show them: masks, a net for log lines, and messages without persons' data. Pure, and light to load.

+919876543210 -> 98•••••210      rani.k@okaxis -> ra•••@okaxis      rani@example.org -> r•••@example.org
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

__all__ = ["LogFilter", "mask_email", "mask_name", "mask_phone", "mask_vpa", "phone_digits", "scrub", "without_persons"]

_DOTS: Final = "•••••"
_PERSONAL = frozenset({"contact", "email", "vpa", "name", "phone", "customer_details", "upi", "bank_account", "card"})
"""Keys of the gateway's messages under which a person's data stand."""


def without_persons(value: Any) -> Any:
    """A message of the gateway without what stands under persons' keys; ids, amounts and states stay."""
    if isinstance(value, dict):
        return {key: without_persons(item) for key, item in value.items() if key not in _PERSONAL}
    return [without_persons(item) for item in value] if isinstance(value, list) else value


def phone_digits(phone: str) -> str:
    """The number's digits with its country code: ``098765 43210``, ``+91 98765-43210`` -> ``919876543210`` (India is meant
    where none is said)."""
    digits = re.sub(r"\D", "", phone)
    digits = digits.removeprefix("00") if digits.startswith("00") else digits
    if len(digits) == 11 and digits.startswith("0"):
        digits = digits[1:]
    return f"91{digits}" if len(digits) == 10 else digits


# -- masks ----------------------------------------------------------------------------------------------------------


def mask_phone(phone: str) -> str:
    """``+919876543210`` -> ``98•••••210``: as people know their own number again. Short ones show nothing."""
    digits = phone_digits(phone)
    if len(digits) < 10:
        return _DOTS
    national = digits[-10:]
    return f"{national[:2]}{_DOTS}{national[-3:]}"


def mask_vpa(vpa: str) -> str:
    """``rani.k@okaxis`` -> ``ra•••@okaxis``; without a handle nothing is shown."""
    name, at, handle = vpa.partition("@")
    return f"{name[:2]}•••@{handle}" if at and name and handle else _DOTS


def mask_email(email: str) -> str:
    """``rani@example.org`` -> ``r•••@example.org``."""
    name, at, host = email.partition("@")
    return f"{name[:1]}•••@{host}" if at and name and host else _DOTS


def mask_name(name: str) -> str:
    """``Rani Kulkarni`` -> ``R••• K•••``."""
    return " ".join(f"{word[:1]}•••" for word in name.split()[:3]) or _DOTS


# -- logs -----------------------------------------------------------------------------------------------------------

_EMAIL_OR_VPA = re.compile(r"(?<![\w.+-])[\w.+-]{2,64}@[A-Za-z][A-Za-z0-9.-]{1,80}")
_PHONE = re.compile(r"(?<![\w.:-])(?:(?:\+|00)?91[ -]?|0)?[6-9]\d{4}[ -]?\d{5}(?![\w-]|[.:]\d)")
"""An Indian mobile number: ten digits, the first 6 to 9 (Department of Telecommunications, National Numbering Plan)."""


def scrub(text: str) -> str:
    """``text`` with phone numbers, VPAs and e-mail addresses masked. A net, no licence to log them."""

    def address(found: re.Match[str]) -> str:
        whole = found[0]
        return mask_email(whole) if "." in whole.partition("@")[2] else mask_vpa(whole)

    return _PHONE.sub(lambda found: mask_phone(found[0]), _EMAIL_OR_VPA.sub(address, text))


class LogFilter(logging.Filter):
    """On a handler of a process that meets contact data: masks them in each record, its arguments and its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = scrub(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = scrub(record.exc_text)
        return True
