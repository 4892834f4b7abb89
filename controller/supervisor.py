"""A small process tree: starts children in order, restarts the dead, ends them all, leaves nothing behind.

    supervisor --start--> child --notify_ready()--> next child …     SIGINT, SIGTERM, SIGHUP: all end, in reverse order
               <--dead--  back-off 0.2 s … 10 s, start again

Synchronous, one thread, standard library only, so that a restart costs only the child's own start. Every child leads a
process group of its own: what it has started ends with it. The kernel kills the children when the supervisor is killed.

A child with a *spare* has a second process beside it that has loaded its programs and waits: when the first one dies, the
spare goes on in its place, and what remains of the restart is the child's own work.
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

from controller.systemd import ServiceManager

log = logging.getLogger(__name__)

READY_VARIABLE = "CHARGEYARD_READY_FD"
GO_VARIABLE = "CHARGEYARD_GO_FD"
FATAL_AT_FIRST_START = (2, 3)
"""Exit codes of the conventions: wrong usage (bad settings), a part that is needed is not reachable (port in use)."""

BACKOFF_FIRST_S = 0.2
BACKOFF_MOST_S = 10.0
STEADY_S = 60.0
SPARE_AFTER_S = 5.0
"""A spare is made when its child has been up for so long: not while everybody starts."""

GRACE_S = 10.0
SAME_SIGNAL_S = 1.0
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
    ``steady_s``: a child that was up for so long was sound, and its next restart is quick again. ``preload``: it calls
    :func:`wait_for_go` once it is loaded, and is started while the children before it come up. ``spare``: so, and a
    second one is kept waiting there for as long as the first one is up.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    reports_ready: bool = True
    essential: bool = True
    once: bool = False
    steady_s: float = STEADY_S
    preload: bool = False
    spare: bool = False


def notify_ready() -> None:
    """Called in a child: everything that others wait for works. Harmless outside of a supervisor, and the second time."""
    number = os.environ.pop(READY_VARIABLE, None)
    if number is not None:
        with contextlib.suppress(OSError, ValueError):
            os.write(int(number), b"1")
            os.close(int(number))


def wait_for_go() -> None:
    """Called in a child that can be a spare, once everything is loaded: returns when it is its turn. Harmless outside of
    a supervisor."""
    number = os.environ.pop(GO_VARIABLE, None)
    if number is not None:
        with contextlib.suppress(OSError, ValueError):
            told = os.read(int(number), 1)
            os.close(int(number))
            if not told:
                os._exit(0)  # the supervisor is gone, or wants no spare any more


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent (process id ``parent``) ends. For children of children."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # the parent was gone before the kernel knew


class Supervisor:
    """Runs ``children`` until a signal or a fatal end. ``on_ready(name)`` is called whenever a child is up; ``manager`` is
    told that we are ready once all essential children are up, and from then on that we go on."""

    def __init__(
        self,
        children: Sequence[ChildSpec],
        *,
        grace_s: float = GRACE_S,
        on_ready: Callable[[str], None] | None = None,
        manager: ServiceManager | None = None,
    ) -> None:
        self._children = [_Child(spec) for spec in children]
        self._grace_s = grace_s
        self._on_ready = on_ready
        self._manager = manager or ServiceManager()

    def run(self) -> int:
        """Returns the exit code: 0 after a signal or when the work of all is done, or a child's fatal one."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            return self._run()
        finally:
            self._manager.stopping()
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
            waiting = False  # behind an essential child that is not up
            for child in self._children:
                if waiting:
                    child.preload()
                    continue
                if child.due(time.monotonic()):
                    child.start()
                child.keep_spare(time.monotonic())
                waiting = child.spec.essential and not child.done and not child.ready
            now_s = time.monotonic()
            self._tell(now_s)
            wait = min((child.wait_s(now_s) for child in self._children), default=STEADY_S)
            wait = min(wait, self._manager.wait_s(now_s))
            if _ending(signal.sigtimedwait(_SIGNALS, wait)):
                log.info("ending")
                return 0

    def _tell(self, now_s: float) -> None:
        self._manager.alive(now_s)
        self._manager.status(", ".join(f"{child.spec.name} {child.word}" for child in self._children))
        if all(child.ready or child.done for child in self._children if child.spec.essential):
            self._manager.ready()

    def _end_all(self) -> None:
        """Ask, wait, kill. A second signal does not wait any more; one that comes within ``SAME_SIGNAL_S`` of the first is
        the first once more, since ``timeout`` and shells signal a process and then its whole group."""
        running = [child for child in reversed(self._children) if child.running]
        for child in running:
            child.signal(signal.SIGTERM)
        began = time.monotonic()
        while any(child.alive() for child in running) and (left := began + self._grace_s - time.monotonic()) > 0:
            again = _ending(signal.sigtimedwait(_SIGNALS, min(left, _LOOK_S)))
            if again and time.monotonic() - began > SAME_SIGNAL_S:
                break
        waited_s = time.monotonic() - began
        for child in self._children:
            if child.alive():
                log.warning("%s did not end within %.1f s; killed", child.spec.name, waited_s)
            child.bury()


def _ending(got: signal.struct_siginfo | None) -> bool:
    return got is not None and got.si_signo != signal.SIGCHLD


@dataclass(slots=True)
class _Process:
    """A process with the pipe on which it says that it is ready, and the one on which it is told to go."""

    popen: subprocess.Popen[bytes]
    ready_fd: int | None
    go_fd: int | None

    def go(self) -> None:
        if self.go_fd is not None:
            with contextlib.suppress(OSError):
                os.write(self.go_fd, b"1")
            self.close_go()

    def close_go(self) -> None:
        if self.go_fd is not None:
            os.close(self.go_fd)
            self.go_fd = None

    def close_ready(self) -> None:
        if self.ready_fd is not None:
            os.close(self.ready_fd)
            self.ready_fd = None

    def bury(self) -> None:
        """Kill whatever is left of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self.close_ready()
        self.close_go()


def _launch(spec: ChildSpec) -> _Process:
    """Raises OSError where the program can't be started."""
    env = {**os.environ, **spec.env}
    ours: list[int] = []
    theirs: list[int] = []
    if spec.reports_ready:
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, False)
        env[READY_VARIABLE] = str(write_fd)
        ours.append(read_fd)
        theirs.append(write_fd)
    waits = spec.preload or spec.spare
    if waits:
        read_fd, write_fd = os.pipe()
        env[GO_VARIABLE] = str(read_fd)
        ours.append(write_fd)
        theirs.append(read_fd)
    parent = os.getpid()

    def prepare() -> None:  # between fork and exec, in the child
        die_with_parent(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    try:
        popen = subprocess.Popen(  # noqa: S603  # our own programs
            list(spec.argv), env=env, pass_fds=theirs, process_group=0, stdin=subprocess.DEVNULL, preexec_fn=prepare
        )
    except OSError:
        for fd in ours:
            os.close(fd)
        raise
    finally:
        for fd in theirs:
            os.close(fd)
    return _Process(popen, ours[0] if spec.reports_ready else None, ours[-1] if waits else None)


class _Child:
    """One child's life: waiting, starting, ready, dead, done."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.ready = False
        self.done = False
        self.fatal: int | None = None
        self._process: _Process | None = None
        self._spare: _Process | None = None
        self._started_s = 0.0
        self._ready_s = 0.0
        self._start_at_s = 0.0
        self._failures = 0
        self._was_up = False

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def word(self) -> str:
        """For people."""
        if self.done:
            return "done"
        return "up" if self.ready else ("starting" if self.running else "down")

    def due(self, now_s: float) -> bool:
        return self._process is None and not self.done and now_s >= self._start_at_s

    def wait_s(self, now_s: float) -> float:
        """How long nothing needs to be looked at, signals apart."""
        if self.ready and self.spec.spare and self._spare is None:
            return max(0.001, self._ready_s + SPARE_AFTER_S - now_s)
        if self.done or self.ready:
            return STEADY_S
        if self._process is not None:
            return _LOOK_S
        return max(0.001, self._start_at_s - now_s) if self._start_at_s > now_s else _LOOK_S

    def start(self) -> None:
        self._started_s = time.monotonic()
        if self._spare is not None and self._spare.popen.poll() is not None:
            self._drop_spare()
        try:
            self._process = self._spare if self._spare is not None else _launch(self.spec)
        except OSError as error:
            self._failed(f"can't be started: {error.strerror}: {error.filename}", code=3)
            return
        self._spare = None
        self._process.go()

    def keep_spare(self, now_s: float) -> None:
        """Have a second process wait, once the first one is up and others have had their turn."""
        if self._spare is not None and self._spare.popen.poll() is not None:
            self._drop_spare()
            self._ready_s = now_s  # the next one not at once: what cannot be loaded would be started without end
        if self.spec.spare and self._spare is None and self.ready and now_s >= self._ready_s + SPARE_AFTER_S:
            self._make_spare(now_s)

    def preload(self) -> None:
        """Load while others come up: what starts first is the spare."""
        if self.spec.preload and self._process is None and self._spare is None and not self.done:
            self._make_spare(time.monotonic())

    def _make_spare(self, now_s: float) -> None:
        try:
            self._spare = _launch(self.spec)
        except OSError as error:
            log.warning("%s has no spare: %s", self.spec.name, error.strerror)
            self._ready_s = now_s + STEADY_S

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare.bury()
            self._spare = None

    def poll(self) -> bool:
        """Look at the process. True: it has just become ready."""
        if self._process is None:
            return False
        code = self._process.popen.poll()
        if code is None:
            return self._look_ready(self._process)
        up_s = time.monotonic() - self._started_s
        self._forget()
        if code == 0 and self.spec.once:
            self.done = True
            return False
        if up_s >= self.spec.steady_s:
            self._failures = 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self._failed(f"{how} after {up_s:.1f} s", code=code)
        return False

    def _look_ready(self, process: _Process) -> bool:
        if self.ready:
            return False
        if process.ready_fd is not None:
            try:
                told = os.read(process.ready_fd, 1)
            except BlockingIOError:
                return False
            process.close_ready()
            if not told:
                return False  # closed without a word: it is about to end
        self.ready = True
        self._ready_s = time.monotonic()
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
        return self._process is not None and self._process.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """To the child only: it ends what it has started."""
        if self._process is not None:
            self._process.popen.send_signal(number)

    def bury(self) -> None:
        """Kill whatever is left of it, its spare too."""
        self._drop_spare()
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            self._process.bury()
            self._process = None
            self.ready = False
