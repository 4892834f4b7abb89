"""What the documents say is true: links lead somewhere, commands exist, versions agree, nothing private is committed."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer

from controller.app.cli import app

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {".git", ".venv", "var", "build", "dist", "__pycache__"}


def tracked() -> list[Path]:
    """The committed files; without git, or outside a checkout, all that could be."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        files = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        return [
            ROOT / path
            for path in files
            if not NOT_OURS & set(path.parts) and not path.parts[0].endswith("_cache") and (ROOT / path).is_file()
        ]
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


TRACKED = tracked()
PAGES = [path for path in TRACKED if path.suffix == ".md"]
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def commands() -> dict[str, list[str]]:
    """Every command (``user add`` for a sub-command) with its options and their long names."""
    found: dict[str, list[str]] = {}

    def walk(command: object, words: tuple[str, ...]) -> None:
        inner = getattr(command, "commands", None)
        if inner:
            for name, child in inner.items():
                walk(child, (*words, name))
            return
        params = getattr(command, "params", [])
        found[" ".join(words)] = [max(p.opts, key=len) for p in params if p.param_type_name == "option" and "--help" not in p.opts]

    walk(typer.main.get_command(app), ())
    return found


def section(page: str, title: str) -> str:
    """The text under the heading that contains ``title``, up to the next heading of the same or a higher level."""
    match = re.search(rf"^(#+) [^\n]*{re.escape(title)}[^\n]*\n(.*?)(?=^#{{1,3}} |\Z)", page, re.MULTILINE | re.DOTALL)
    return match.group(2) if match else ""


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_and_option_is_in_the_manual(command: str) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    text = section(page, f"`{command}")
    assert text, f"docs/operations.md has no heading with `{command}`"
    for option in commands()[command]:
        assert f"`{option}" in text, f"docs/operations.md, {command}: {option} is not explained"


def test_the_manual_knows_no_option_that_does_not_exist() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    known = {option for options in commands().values() for option in options} | {"--help", "--version", "--install"}
    assert set(re.findall(r"`(--[a-z0-9-]+)", page)) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_line_in_the_documents_exists(page: Path) -> None:
    names = {words.split()[0] for words in commands()} | {"help", "--help", "--version", "--install", "COMMAND"}
    for line in re.findall(r"\./chargeyard ([^\s`]+)", page.read_text(encoding="utf-8")):
        assert line.rstrip(".,;:)") in names, f"{page.name}: ./chargeyard {line}"


def test_the_script_and_the_command_line_know_the_same_commands() -> None:
    script = (ROOT / "chargeyard").read_text(encoding="utf-8")
    match = re.search(r'^commands="(.*)"$', script, re.MULTILINE)
    assert match
    assert set(match.group(1).split()) == {words.split()[0] for words in commands()}
    for name in match.group(1).split():
        assert f"./chargeyard {name}" in script, f"the script's help does not show {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_internal_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        goal = (page.parent / name).resolve() if name else page
        assert goal.exists(), f"{page.name} points to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name} points to {target}"


def test_the_changelog_tells_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("adr", ADRS, ids=lambda p: p.stem)
def test_every_decision_says_why_what_and_what_follows(adr: Path) -> None:
    text = adr.read_text(encoding="utf-8")
    for heading in ("Context", "Decision", "Consequence"):
        assert re.search(rf"^## {heading}", text, re.MULTILINE), f"{adr.name} has no {heading}"


def test_decisions_are_numbered_without_gaps() -> None:
    assert [path.name[:4] for path in ADRS] == [f"{n:04d}" for n in range(1, len(ADRS) + 1)]


def test_nothing_private_or_unfinished_is_committed() -> None:
    words = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
    hosts = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "crates" + ".io"]
    places = r"(?<![\w/.])/(?:home|root|Users|w" + r"ork)/\w"  # folders of somebody's machine
    unwanted = re.compile(rf"\b({'|'.join(words)})\b|{'|'.join(map(re.escape, hosts))}|{places}")
    for path in TRACKED:
        if path.suffix in {".png", ".ico", ".woff2", ".gz", ".parquet"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not unwanted.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
