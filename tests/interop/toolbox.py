"""The clients of other makers, got ready at run time: compiled from what the system has, or installed from the registries
into a folder that is kept between runs. Nothing of theirs is in this repository. ``Missing`` says why one is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CLIENTS = Path(__file__).parent / "clients"
INSTALL_S = 240


class Missing(Exception):
    """A client cannot be had here; the message says why."""


def folder() -> Path:
    """Where installed clients are kept: ``CHARGEYARD_INTEROP``, or a folder among the system's temporary files."""
    path = Path(os.environ.get("CHARGEYARD_INTEROP", Path(tempfile.gettempdir()) / "chargeyard-interop"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def need(program: str, package: str) -> str:
    """The program's path."""
    found = shutil.which(program)
    if found is None:
        raise Missing(f"no {program} on the PATH (apt install {package})")
    return found


def carry_out(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; what it printed. Raises :class:`Missing` with the end of its complaint."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
            env={**os.environ, **(env or {})},
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} took longer than {INSTALL_S} s") from None
    if done.returncode:
        raise Missing(f"{Path(str(command[0])).name} failed: {(done.stderr or done.stdout).strip()[-200:]}")
    return done.stdout


def libmodbus(to: Path) -> list[str]:
    """The C client, compiled against the system's libmodbus."""
    compiler = need("gcc", "gcc")
    flags = carry_out(need("pkg-config", "pkg-config"), "--cflags", "--libs", "libmodbus").split()
    program = to / "libmodbus_client"
    carry_out(compiler, "-Wall", "-Werror", "-o", program, CLIENTS / "libmodbus_client.c", *flags)
    return [str(program)]


def goburrow(to: Path) -> list[str]:
    """The Go client, built with the system's packages."""
    program = to / "goburrow_client"
    env = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(folder() / "go"), "GOFLAGS": ""}
    carry_out(need("go", "golang-go golang-github-goburrow-modbus-dev"), "build", "-o", program, CLIENTS / "goburrow_client.go", env=env)
    return [str(program)]


def modbus_serial(to: Path) -> list[str]:
    """The Node.js client."""
    node, npm = need("node", "nodejs"), need("npm", "npm")
    home = folder() / "node"
    if not (home / "node_modules" / "modbus-serial").is_dir():
        home.mkdir(exist_ok=True)
        carry_out(npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", home, "modbus-serial")
    script = to / "modbus_serial_client.js"
    shutil.copy(CLIENTS / script.name, script)
    modules = to / "node_modules"
    if not modules.exists():
        modules.symlink_to(home / "node_modules")
    return [node, str(script)]


def modpoll(_to: Path) -> list[str]:
    """modpoll, in an environment of its own: it wants another pymodbus than ours."""
    home = folder() / "modpoll"
    program = home / "bin" / "modpoll"
    if not program.is_file():
        carry_out(need("python3", "python3-venv"), "-m", "venv", home)
        carry_out(home / "bin" / "pip", "install", "-q", "modpoll")
    return [str(program)]


def mbpoll(_to: Path) -> list[str]:
    """mbpoll, as the system has it."""
    return [need("mbpoll", "mbpoll")]
