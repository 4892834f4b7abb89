"""A small process tree: starts children in order, restarts the dead, ends them all, leaves nothing behind.

    supervisor --start--> child --notify_ready()--> next child …     SIGINT, SIGTERM, SIGHUP: all end, in reverse order
               <--dead--  back-off 0.2 s … 10 s, start again

Synchronous, one thread, standard library only, so that a restart costs only the child's own start. Every child leads a
process group of its own: what it has started ends with it. The kernel kills the children when the supervisor is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

READY_VARIABLE = "CHARGEYARD_READY_FD"
FATAL_AT_FIRST_START = (2, 3)
"""Exit codes of the conventions: wrong usage (bad settings), a part that is needed is not reachable (port in use)."""

BACKOFF_FIRST_S = 0.2
BACKOFF_MOST_S = 10.0
STEADY_S = 60.0
GRACE_S = 10.0
_LOOK_S = 0.05
_UP_S = 5.0
_PR_SET_PDEATHSIG = 1
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One process. ``env`` is added to ours.

    ``reports_ready``: it calls :func:`notify_ready` once it is up; others are up when they run. ``essential``: the
    children after it wait until it is up, and exit code 2 or 3 before it was ever up ends everything with that code; a
    child that is not essential is tried again after any end. ``once``: its own end with code 0 is the end of its work.
    ``steady_s``: a child that was up for so long was sound, and its next restart is quick again.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    reports_ready: bool = True
    essential: bool = True
    once: bool = False
    steady_s: float = STEADY_S


def notify_ready() -> None:
    """Called in a child: everything that others wait for works. Harmless outside of a supervisor, and the second time."""
    number = os.environ.pop(READY_VARIABLE, None)
    if number is not None:
        with contextlib.suppress(OSError, ValueError):
            os.write(int(number), b"1")
            os.close(int(number))


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent (process id ``parent``) ends. For children of children."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # the parent was gone before the kernel knew


class Supervisor:
    """Runs ``children`` until a signal or a fatal end. ``on_ready(name)`` is called whenever a child is up."""

    def __init__(self, children: Sequence[ChildSpec], *, grace_s: float = GRACE_S, on_ready: Callable[[str], None] | None = None) -> None:
        self._children = [_Child(spec) for spec in children]
        self._grace_s = grace_s
        self._on_ready = on_ready

    def run(self) -> int:
        """Returns the exit code: 0 after a signal or when the work of all is done, or a child's fatal one."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            return self._run()
        finally:
            self._end_all()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run(self) -> int:
        while True:
            for child in self._children:
                if child.poll() and self._on_ready is not None:
                    self._on_ready(child.spec.name)
                if child.fatal is not None:
                    return child.fatal
            if all(child.done for child in self._children):
                return 0
            for child in self._children:
                if child.due(time.monotonic()):
                    child.start()
                if child.spec.essential and not child.done and not child.ready:
                    break  # the ones after it wait
            wait = min((child.wait_s(time.monotonic()) for child in self._children), default=STEADY_S)
            if _ending(signal.sigtimedwait(_SIGNALS, wait)):
                log.info("ending")
                return 0

    def _end_all(self) -> None:
        """Ask, wait, kill. A second signal does not wait any more."""
        running = [child for child in reversed(self._children) if child.running]
        for child in running:
            child.signal(signal.SIGTERM)
        until = time.monotonic() + self._grace_s
        while any(child.alive() for child in running) and (left := until - time.monotonic()) > 0:
            if _ending(signal.sigtimedwait(_SIGNALS, min(left, _LOOK_S))):
                break
        for child in running:
            if child.alive():
                log.warning("%s did not end within %.0f s; killed", child.spec.name, self._grace_s)
            child.bury()


def _ending(got: signal.struct_siginfo | None) -> bool:
    return got is not None and got.si_signo != signal.SIGCHLD


class _Child:
    """One child's life: waiting, starting, ready, dead, done."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.ready = False
        self.done = False
        self.fatal: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_fd: int | None = None
        self._started_s = 0.0
        self._start_at_s = 0.0
        self._failures = 0
        self._was_up = False

    @property
    def running(self) -> bool:
        return self._process is not None

    def due(self, now_s: float) -> bool:
        return self._process is None and not self.done and now_s >= self._start_at_s

    def wait_s(self, now_s: float) -> float:
        """How long nothing needs to be looked at, signals apart."""
        if self.done or self.ready:
            return STEADY_S
        if self._process is not None:
            return _LOOK_S
        return max(0.001, self._start_at_s - now_s) if self._start_at_s > now_s else _LOOK_S

    def start(self) -> None:
        self._started_s = time.monotonic()
        env = {**os.environ, **self.spec.env}
        pass_fds: tuple[int, ...] = ()
        if self.spec.reports_ready:
            self._ready_fd, write_fd = os.pipe()
            os.set_blocking(self._ready_fd, False)
            env[READY_VARIABLE] = str(write_fd)
            pass_fds = (write_fd,)
        parent = os.getpid()

        def prepare() -> None:  # between fork and exec, in the child
            die_with_parent(parent)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own programs
                list(self.spec.argv), env=env, pass_fds=pass_fds, process_group=0, stdin=subprocess.DEVNULL, preexec_fn=prepare
            )
        except OSError as error:
            self._close_ready()
            self._failed(f"can't be started: {error.strerror}: {error.filename}", code=3)
        finally:
            for fd in pass_fds:
                os.close(fd)

    def poll(self) -> bool:
        """Look at the process. True: it has just become ready."""
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return self._look_ready()
        up_s = time.monotonic() - self._started_s
        self.bury()
        if code == 0 and self.spec.once:
            self.done = True
            return False
        if up_s >= self.spec.steady_s:
            self._failures = 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self._failed(f"{how} after {up_s:.1f} s", code=code)
        return False

    def _look_ready(self) -> bool:
        if self.ready:
            return False
        if self._ready_fd is None:
            self.ready = True
        else:
            try:
                told = os.read(self._ready_fd, 1)
            except BlockingIOError:
                return False
            self._close_ready()
            if not told:
                return False  # closed without a word: it is about to end
            self.ready = True
        if self._failures:
            log.warning("%s is up again", self.spec.name)
        self._was_up = self._was_up or self.spec.reports_ready
        return True

    def _failed(self, how: str, *, code: int) -> None:
        if not self.spec.reports_ready and time.monotonic() - self._started_s >= _UP_S:
            self._was_up = True
        if not self._was_up and self.spec.essential and code in FATAL_AT_FIRST_START:
            log.error("%s %s at its first start; ending", self.spec.name, how)
            self.fatal = code
            return
        delay = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2.0**self._failures) * random.uniform(0.5, 1.0)  # noqa: S311  # spreads starts
        self._failures = min(self._failures + 1, 30)
        if self._failures & (self._failures - 1) == 0:  # 1, 2, 4, 8 …: a child that can't start does not fill the log
            log.error("%s %s; starting it again in %.1f s (time %d)", self.spec.name, how, delay, self._failures)
        self._start_at_s = time.monotonic() + delay

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """To the child only: it ends what it has started."""
        if self._process is not None:
            self._process.send_signal(number)

    def bury(self) -> None:
        """Kill whatever is left of its group, and forget it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close_ready()
        self._process = None
        self.ready = False

    def _close_ready(self) -> None:
        if self._ready_fd is not None:
            os.close(self._ready_fd)
            self._ready_fd = None
