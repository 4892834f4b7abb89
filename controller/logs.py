"""Logging: lines for people or JSON for machines, on standard error, without secrets.

    logging, warnings, what nobody caught (main, threads, destructors)  --set_up()-->  one line each on standard error

A process's children begin to log as it does (``INHERIT_VARIABLE``), so that the first line of a child, written before it
has read its settings, has the same form as all others.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
import warnings
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

INHERIT_VARIABLE: Final = "CHARGEYARD_LOG_AS"
"""``json,info``: how the process that started this one writes, and its level."""

_SECRETS = re.compile(
    r"(?i)\b((?:basic|bearer)\s+|(?:password|passwd|secret|token|key_hash|authorization_?key)[\"']?\s*[=:]\s*[\"']?)([^\s\"',;&)}]+)"
)
_CHATTY = (
    "alembic", "amqtt", "asyncio", "httpcore", "httpx", "multipart", "pymodbus", "pyomo", "python_multipart", "sqlalchemy",
    "transitions", "uvicorn.access", "websockets",
)  # fmt: skip
"""Libraries whose information is of no use to an operator; some would tell passwords at their lowest level."""

_LEVELS: Final = ("debug", "info", "warning", "error")


def set_up(process: str, *, level: str | None = None, json_lines: bool | None = None) -> None:
    """Configure the logging of this process, also of what nobody catches. ``process`` is the name that its lines carry;
    ``level`` and ``json_lines`` None: as the process writes that started this one."""
    form, _, found = os.environ.get(INHERIT_VARIABLE, "").partition(",")
    if json_lines is None:
        json_lines = form == "json"
    if level is None:
        level = found if found in _LEVELS else "info"
    os.environ[INHERIT_VARIABLE] = f"{'json' if json_lines else 'people'},{level}"
    handler = _Handler(sys.stderr)
    handler.setFormatter(JsonFormatter(process) if json_lines else HumanFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    adopt_libraries()
    logging.captureWarnings(True)
    warnings.formatwarning = _warning_line
    sys.excepthook = _nobody_caught
    threading.excepthook = lambda found: _nobody_caught(found.exc_type, found.exc_value or found.exc_type(), found.exc_traceback)
    sys.unraisablehook = lambda found: _unraisable(found.exc_value, found.err_msg, found.object)


def adopt_libraries() -> None:
    """Take away what libraries have attached themselves (Pyomo writes to standard output): everything goes one way. Call
    it again once they are loaded."""
    for name in tuple(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def redacted(text: str) -> str:
    """``text`` with what looks like a password, token or key replaced. A net, no licence to log secrets."""
    return _SECRETS.sub(r"\1[hidden]", text)


class _Handler(logging.StreamHandler[Any]):
    """A record that can't be written is told in one line, not with the traceback that Python would print."""

    def handleError(self, record: logging.LogRecord) -> None:
        kind, problem = sys.exc_info()[:2]
        text = f"a record of {record.pathname}:{record.lineno} can't be written: {kind.__name__ if kind else ''}: {problem}"
        with contextlib.suppress(Exception):  # the stream itself may be gone; nobody is left to be told
            self.stream.write(self.format(_record(record.name, logging.ERROR, text)) + self.terminator)
            self.flush()


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
        return json.dumps(line)  # ASCII only: no reader, whatever it takes for a line's end or an encoding, can misread it


def _record(name: str, level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, text, None, None)


def _warning_line(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """A warning in one line: Python's own has the source on a second one."""
    return f"{filename}:{lineno}: {category.__name__}: {message}"


def _nobody_caught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    where = threading.current_thread().name
    who = "this process" if where == "MainThread" else f"thread {where}"
    logging.getLogger(__name__).critical("%s ends: %s", who, kind.__name__, exc_info=(kind, error, trace))


def _unraisable(error: BaseException | None, what: str | None, where: object) -> None:
    logging.getLogger(__name__).error(
        "%s %r", what or "an error that nobody could catch in", where, exc_info=error if error is not None else False
    )
