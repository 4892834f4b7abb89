"""Which errors mean something to a person, and with which exit code a process ends for them."""

from __future__ import annotations

from bms_bridge.in_one_step import why

STOPPED = 130
"""The code of a command that Ctrl-C ended, as shells have it."""

EXPECTED: dict[str, int] = {
    "bms_bridge.BmsError": 2,
    "bms_bridge.lake.ArchiveRefused": 1,
    "bms_bridge.lake.LakeDamaged": 1,
    "builtins.ConnectionError": 3,
    "builtins.OSError": 2,
    "controller.app.audit.AuditError": 2,
    "controller.archive.BackupDamaged": 1,
    "controller.archive.BackupError": 2,
    "controller.link.LinkError": 3,
    "controller.secrets.SecretError": 2,
    "controller.settings.SettingsError": 2,
    "controller.journal_store.JournalError": 3,
    "depot.ports.JournalFrozen": 3,
    "depot.values.DepotError": 2,
    "grid.GridError": 2,
    "grid.limit_server.PortInUse": 3,
    "ocpp_server.errors.OcppError": 2,
    "ocpp_server.errors.PortInUse": 3,
    "optimizer.errors.OptimizerError": 2,
    "optimizer.errors.SolverFailed": 1,
    "payments.PaymentsError": 2,
    "simulator.build.DayError": 2,
    "storage.errors.StorageError": 3,
    "web.WebError": 2,
    "web.serve.PortInUse": 3,
}
"""Errors that mean something to a person, with their exit code; the nearest ancestor counts. By name: nothing is loaded
for it. Anything else is a mistake of ours and keeps its traceback."""


def exit_code_of(error: BaseException) -> int | None:
    """The exit code for an expected error; None for one that nobody expected."""
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((EXPECTED[name] for name in names if name in EXPECTED), None)


def sentence(error: BaseException) -> str:
    """What an expected error says to a person."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {why(error)}"
    if isinstance(error, OSError) and error.strerror is not None:
        return why(error)
    return str(error) or type(error).__name__
