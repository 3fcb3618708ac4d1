"""Every page can be read: links lead somewhere, what is named exists, tables fit."""

import ast
import re
from pathlib import Path

import pytest

from shared.config import SETTINGS
from tests.infra.tools import ROOT

PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
WIDEST_ROW = 140
README_LINES = 150
MADE = ("demo/", "dist/", ".venv/", "runs/", "state/", "broken/", "audit/", "portal/limits/")
"""Folders that only commands or the app make."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Targets of links on a page: its headings, as GitHub names them, and its own names."""
    text = page.read_text("utf-8")
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    named = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
    return named | set(re.findall(r'<a id="([\w-]+)"></a>', text))


def test_the_readme_is_short() -> None:
    """The README stays as short as agreed."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_LINES


def test_the_index_leads_to_every_page() -> None:
    """The index names every page."""
    text = (ROOT / "docs" / "index.md").read_text("utf-8")
    found = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([\w./-]+)", text)}
    assert {page for page in PAGES if page.name != "index.md"} - found == set()


@pages
def test_links_lead_somewhere(page: Path) -> None:
    """Every link leads to a file and a heading that exist."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)) + re.findall(
        r'src="([^"]+)"', prose(page)
    ):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pages
def test_named_files_exist(page: Path) -> None:
    """Every path in code is a file or folder of the project."""
    folders = "|".join(
        path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."
    )
    named = re.findall(
        rf"`((?:{folders}|\.github|\.devcontainer|\.vscode|\.ci)/[\w./-]*)", page.read_text("utf-8")
    )
    for path in named:
        if not path.startswith(MADE):
            assert (ROOT / path).exists(), path


@pages
def test_named_commands_exist(page: Path) -> None:
    """Targets of make, modules that are run, and scripts are there, with the options named."""
    text = page.read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make (\w+)|^make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target
    for module in re.findall(r"-m ((?:local|tests)[\w.]*)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module
    for script, options in re.findall(r"((?:infra/)[\w/.-]+\.(?:sh|ps1))((?: [^`\n]+)?)", text):
        source = (ROOT / script).read_text("utf-8")
        for option in re.findall(r" (--[\w-]+)", options):
            assert option in source, f"{script} {option}"
        for option in re.findall(r" -([A-Z]\w+)", options):
            assert f"${option}" in source, f"{script} -{option}"


@pages
def test_azd_values_exist(page: Path) -> None:
    """What `azd env set` is told to set is a setting or an option of the deployment."""
    known = (ROOT / "infra" / "main.parameters.json").read_text("utf-8")
    for name in re.findall(r"azd env set (\w+)", page.read_text("utf-8")):
        assert f"${{{name}}}" in known or name == "NAME", name
    outputs = (ROOT / "infra" / "main.bicep").read_text("utf-8")
    for name in re.findall(r"azd env get-value (\w+)", page.read_text("utf-8")):
        assert f"output {name} " in outputs or name == "NAME", name


@pages
def test_settings_are_spelled_right(page: Path) -> None:
    """A name in capitals that looks like a setting is one, or a variable that exists."""
    others = "".join(
        path.read_text("utf-8")
        for pattern in ("infra/**/*.bicep", "infra/*.json", "local/**/*.py", "shared/**/*.py")
        for path in ROOT.glob(pattern)
    )
    others += (ROOT / "tests" / "infra" / "compiler.py").read_text("utf-8")
    gone = {"SIGN_IN_CLIENT_ID", "SIGN_IN_ALLOWED_APPLICATIONS", "PHOTO_SYNC_TOKEN"}
    known = {setting.name for setting in SETTINGS}
    for name in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)", page.read_text("utf-8")):
        known_here = name in known or re.search(rf"\b{name}\b", others) or name in gone
        assert known_here or _is_of_the_workplace(name), name


def _is_of_the_workplace(name: str) -> bool:
    """Names that only workflows and tests read."""
    files = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("tests/infra/*.py")]
    files += [ROOT / ".ci" / "run", ROOT / "tests" / "docs" / "test_call.py"]
    return any(name in path.read_text("utf-8") for path in files)


@pages
def test_tables_fit_a_screen(page: Path) -> None:
    """No row of a table is wider than a screen."""
    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("|")]
    assert [row for row in rows if len(row) > WIDEST_ROW] == []


@pages
def test_the_user_is_they(page: Path) -> None:
    """Pages call the user "they"."""
    assert re.findall(r"\b(?:he|his|him|himself)\b", page.read_text("utf-8"), re.IGNORECASE) == []


@pages
def test_every_block_of_commands_is_named(page: Path) -> None:
    """Blocks for a shell say for which."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert {language for language, _ in blocks} <= {"", "bash", "powershell", "python", "json"}
    for language, code in blocks:
        if language == "python":
            ast.parse(code)
