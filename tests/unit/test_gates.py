"""The gates themselves: the script without an environment, the import rules, the budget for skipped tests."""

from __future__ import annotations

import ast
import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from skip_budget import Allowance, over_budget, read_allowances

from controller.app.testing import Tally, files_with, second_try, skip_table

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "chargeyard"


def run_script(*arguments: str, path: str = os.defpath, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(SCRIPT), *arguments]
    return subprocess.run(command, env={"PATH": path, **environment}, capture_output=True, text=True, check=False, timeout=60)


def path_without_python(tmp_path: Path, python: Path | None = None) -> str:
    """A PATH that holds what the script needs of a system, and perhaps something called python3."""
    for tool in ("sh", "dirname", "readlink", "sed", "head", "cat", "grep", "id", "mkdir", "sha256sum", "basename", "find", "rm"):
        found = shutil.which(tool)
        assert found, tool
        (tmp_path / tool).symlink_to(found)
    if python is not None:
        (tmp_path / "python3").symlink_to(python)
    return str(tmp_path)


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("help",), (), ("demo", "--help")])
def test_help_is_answered_without_environment_and_python(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run_script(*words, path=path_without_python(tmp_path), CHARGEYARD_VENV=str(tmp_path / "none"))
    assert done.returncode == 0, done.stderr
    assert "./chargeyard demo" in done.stdout
    assert not (tmp_path / "none").exists()


def test_version_is_the_projects_one(tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert run_script("--version", path=path_without_python(tmp_path)).stdout.strip() == version


def test_unknown_command_is_wrong_usage() -> None:
    done = run_script("chargge")
    assert done.returncode == 2
    assert "no command 'chargge'" in done.stderr
    assert "the commands are: demo run" in done.stderr


@pytest.mark.parametrize("old", [True, False], ids=["too old", "absent"])
def test_python_too_old_or_absent_says_what_to_type(old: bool, tmp_path: Path) -> None:
    stand_in = tmp_path / "old-python"
    stand_in.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")  # sys.exit(sys.version_info < (3, 11)) on an old one
    stand_in.chmod(0o755)
    bin_path = tmp_path / "bin"
    bin_path.mkdir()
    path = path_without_python(bin_path, stand_in if old else None)
    done = run_script("plan", path=path, CHARGEYARD_VENV=str(tmp_path / "venv"))
    assert done.returncode == 2
    assert "Python 3.11 or newer" in done.stderr
    assert "apt install" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("user", "apt", "code", "text"),
    [
        ("1000", "exit 0", 2, "type: sudo apt install python3-venv"),
        ("0", "exit 100", 3, "could not install python3-venv; check the network"),
    ],
    ids=["not root", "root without a network"],
)
def test_missing_venv_module_says_what_to_type(user: str, apt: str, code: int, text: str, tmp_path: Path) -> None:
    bin_path = tmp_path / "bin"
    bin_path.mkdir()
    path = path_without_python(bin_path)
    scripts = {"python3": 'case "$2" in *ensurepip*) exit 1 ;; esac', "id": f"echo {user}", "apt-get": apt}
    for name, body in scripts.items():
        (bin_path / name).unlink(missing_ok=True)
        (bin_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (bin_path / name).chmod(0o755)
    done = run_script("plan", path=path, CHARGEYARD_VENV=str(tmp_path / "venv"))
    assert done.returncode == code
    assert text in done.stderr


def test_install_makes_the_environment_and_byte_code_and_starts_nothing(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    python = venv / "bin" / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path / "ran"}\n', encoding="utf-8")
    python.chmod(0o755)
    done = subprocess.run(["sha256sum", "core.lock"], cwd=ROOT / "requirements", capture_output=True, text=True, check=True)
    (venv / ".chargeyard-stamp").write_text(done.stdout, encoding="utf-8")
    installed = run_script("--install", CHARGEYARD_VENV=str(venv))
    assert (installed.returncode, f"is installed in {venv}" in installed.stdout) == (0, True), installed.stderr
    (ran,) = (tmp_path / "ran").read_text(encoding="utf-8").splitlines()
    assert ran.startswith("-m compileall -q")
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["root_packages"]
    assert {Path(word).name for word in ran.split()[3:]} - {"lib"} == set(packages) - {"simulator"}


@pytest.mark.parametrize("network", [True, False], ids=["with a network", "without one"])
def test_the_demo_adds_what_its_batteries_need_or_goes_on_without(network: bool, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    python = venv / "bin" / "python"
    python.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path / "ran"}\ncase "$*" in *"pip install"*) exit {0 if network else 1} ;; esac\n', encoding="utf-8"
    )
    python.chmod(0o755)
    stamp = venv / ".chargeyard-stamp"
    sums = [
        subprocess.run(["sha256sum", f"{name}.lock"], cwd=ROOT / "requirements", capture_output=True, text=True, check=True).stdout
        for name in ("core", "lake")
    ]
    stamp.write_text(sums[0], encoding="utf-8")
    done = run_script("demo", CHARGEYARD_VENV=str(venv))
    assert done.returncode == 0, done.stderr
    ran = (tmp_path / "ran").read_text(encoding="utf-8").splitlines()
    assert any("pip install" in line and line.endswith("lake.lock") for line in ran)
    assert ran[-1] == "-m controller demo"
    assert stamp.read_text(encoding="utf-8") == "".join(sums if network else sums[:1])
    assert ("goes on without them" in done.stderr) is not network
    (tmp_path / "ran").unlink()
    for words in (("demo", "--help"), ("plan",)):
        assert run_script(*words, CHARGEYARD_VENV=str(venv)).returncode == 0
    assert "pip install" not in (tmp_path / "ran").read_text(encoding="utf-8")


def test_foreign_folder_is_never_emptied(tmp_path: Path) -> None:
    keep = tmp_path / "letter"
    keep.write_text("dear", encoding="utf-8")
    path = f"{Path(sys.executable).resolve().parent}:{os.defpath}"
    done = run_script("plan", path=path, CHARGEYARD_VENV=str(tmp_path))
    assert done.returncode == 2
    assert "CHARGEYARD_VENV" in done.stderr
    assert keep.read_text(encoding="utf-8") == "dear"


def test_script_is_posix_shell() -> None:
    shell = shutil.which("dash") or "/bin/sh"
    subprocess.run([shell, "-n", str(SCRIPT)], check=True)
    assert SCRIPT.stat().st_mode & 0o111


def test_ci_runs_the_same_command_as_everybody() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert lines == ['exec "$(dirname "$0")/../chargeyard" test']


@pytest.mark.parametrize("name", ["core", "lake", "analytics", "dev"])
def test_every_locked_package_carries_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    packages = [line for line in text.splitlines() if "==" in line]
    assert packages
    assert all("--hash=sha256:" in line for line in packages)
    assert "://" not in text


def test_each_lock_holds_all_of_the_one_before_it() -> None:
    """The script installs one list; a package that is missing from a larger one is missing in the depot that needs both."""
    found = []
    for name in ("core", "lake", "analytics", "dev"):
        text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
        found.append(set(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE)))
    assert all(smaller <= larger for smaller, larger in itertools.pairwise(found))


def test_vocabulary_uses_the_standard_library_only() -> None:
    """import-linter can forbid names; this keeps out those that nobody has thought of yet."""
    allowed = (sys.stdlib_module_names | {"depot"}) - {"asyncio", "threading", "time", "random", "secrets", "socket", "os", "pathlib"}
    for path in (ROOT / "depot").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in allowed, f"{path.name} imports {name}"


def allowance(reason: str, most: int, when: str = "always") -> Allowance:
    return Allowance(re.compile(reason), most, when)


@pytest.mark.parametrize(
    ("reasons", "complaint"),
    [
        ([], None),
        (["no disk quota here"], None),
        (["no disk quota here"] * 2, "2 tests were skipped"),
        (["felt like it"], "does not know"),
        (["real data sets not found in x"], "does not hold here"),
    ],
)
def test_skip_budget(reasons: list[str], complaint: str | None) -> None:
    allowances = [allowance("no disk quota", 1), allowance("real data", 9, "no data")]
    found = over_budget(reasons, allowances=allowances, conditions={"always"})
    assert (complaint is None and not found) or (complaint is not None and complaint in found[0])


def test_skip_budget_file_is_valid() -> None:
    assert read_allowances()


def test_run_fails_when_more_is_skipped_than_allowed(tmp_path: Path) -> None:
    for name in ("conftest.py", "skip_budget.py", "skips_allowed.toml"):
        shutil.copy(ROOT / "tests" / name, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_a(): pytest.skip('felt like it')\ndef test_b(): pass\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    free = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    kept = subprocess.run([*command, "--skip-budget", "--summary", "s.json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert free.returncode == 0, free.stdout
    assert kept.returncode == 1, kept.stdout
    assert "felt like it" in kept.stdout.partition("more skipped than allowed")[2]
    assert '"passed": 1' in (tmp_path / "s.json").read_text(encoding="utf-8")


def test_tally_joins_runs_into_pytests_own_last_line() -> None:
    tally = Tally()
    tally.add({"outcomes": {"passed": 3, "skipped": 1}, "skips": ["a"]}, 0)
    tally.add({"outcomes": {}, "skips": []}, 5)  # nothing is marked serial: no failure
    assert not tally.failed
    assert tally.last_line(2.04) == "3 passed, 1 skipped in 2.0s"
    tally.add({}, 3)  # an internal error leaves no summary
    assert tally.failed


def test_a_few_serial_tests_get_a_second_try_and_it_is_told() -> None:
    summary = {"outcomes": {"passed": 3, "failed": 2}, "skips": [], "failures": ["t.py::a", "t.py::b"], "over_budget": []}
    assert second_try(summary, 1) == ["t.py::a", "t.py::b"]
    assert second_try({**summary, "over_budget": ["too many"]}, 1) == []
    assert second_try({**summary, "outcomes": {"failed": 1, "errors": 1}}, 1) == []  # a fixture that fails is no matter of time
    assert second_try({**summary, "outcomes": {"failed": 5}, "failures": list("abcde")}, 1) == []
    assert second_try({}, 3) == []
    tally = Tally()
    tally.add(summary, 0)
    tally.add_second_try(summary["failures"], {"outcomes": {"passed": 2}}, 0)
    assert (tally.failed, tally.last_line(1.0), tally.again) == (False, "5 passed in 1.0s", ["t.py::a", "t.py::b"])
    tally.add_second_try(["t.py::a"], {"outcomes": {"failed": 1}}, 1)
    assert tally.failed


def test_files_with_a_marker_are_found() -> None:
    assert "tests/fault/test_core_process.py" in files_with("apart")
    assert "tests/fault/test_outputs.py" in files_with("serial")
    assert "tests/unit/test_controller_limiter.py" not in files_with("apart") + files_with("serial")


def test_skip_table_groups_by_reason() -> None:
    assert skip_table(["x in /a/b", "y", "x in /a/c"]) == ["    2 × x in …", "    1 × y"]
