"""Logging: lines for people or JSON for machines, on standard error, without secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

_SECRETS = re.compile(
    r"(?i)\b((?:basic|bearer)\s+|(?:password|passwd|secret|token|key_hash|authorization_?key)[\"']?\s*[=:]\s*[\"']?)([^\s\"',;&)}]+)"
)
_CHATTY = ("alembic", "sqlalchemy", "websockets", "uvicorn.access", "httpx", "pymodbus")
"""Libraries whose information is of no use to an operator."""


def set_up(process: str, *, level: str = "info", json_lines: bool = False) -> None:
    """Configure the root logger of this process. ``process`` is the name that its lines carry."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process) if json_lines else HumanFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def redacted(text: str) -> str:
    """``text`` with what looks like a password, token or key replaced. A net, no licence to log secrets."""
    return _SECRETS.sub(r"\1[hidden]", text)


class HumanFormatter(logging.Formatter):
    """``18:30:00.123 core    WARNING journal writes again``"""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        text = redacted(record.getMessage())
        if record.exc_info:
            text += "\n" + redacted(self.formatException(record.exc_info))
        return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d} {self._process:<7} {record.levelname:<8} {text}"


class JsonFormatter(logging.Formatter):
    """One object a line: at, level, process, logger, message, and error where there was one."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)
