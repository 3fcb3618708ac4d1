"""The manuals tell the truth, and say something about everything that an operator can meet."""

import ast
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.checkpoint.runs import COMPLETED, INTERRUPTED, RUNNING, STOPPED
from shared.config.settings import SETTINGS
from shared.model import Outcome
from tests.infra.compiler import INFRA, Compiler
from tests.infra.test_permissions import FULL, GROUP, NARROW
from tests.infra.tools import ROOT

DEPLOY, OPERATE, SECURITY = (
    (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("deploy", "operate", "security")
)
MESSAGE_WORDS = 4  # shorter texts are parts, names or code
NO_MESSAGES = {
    "settings.py",  # what is accepted stands in the table of settings
    "csom.py:User Profile Error 1000",  # words of SharePoint by which errors are told apart
    "csom.py:managing your own data",
    "csom.py:required permissions to access profile",
    "identity.py:Token request error:",  # words of a library, cut off
    "checks.py:<object id of the identity>",
    "report.py:photo-sync run summary",
    "report.py:photo-sync nothing to do",
}


def table(text: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    part = text.partition(f"\n{heading}\n")[2]
    lines = part[part.index("\n|") :].lstrip().split("\n\n")[0].splitlines()
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines[2:]
    ]


def sentences(path: Path) -> Iterator[str]:
    """Texts of a module that can reach an operator; of a composed one the longest fixed part."""
    tree = ast.parse(path.read_text("utf-8"))
    skip = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        parts: list[str] = []
        if isinstance(node, ast.JoinedStr):
            constants = [value for value in node.values if isinstance(value, ast.Constant)]
            skip.update(id(value) for value in constants)
            parts = [str(value.value) for value in constants]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = [] if id(node) in skip else re.split(r"%\w", node.value)
        text = max(parts, key=len, default="").strip()
        name = f"{path.name}:{text}"
        if len(text.split()) >= MESSAGE_WORDS and name not in NO_MESSAGES and text[0] != "<":
            yield text


MODULES = [path for path in sorted((ROOT / "shared").glob("*.py")) if path.name not in NO_MESSAGES]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_every_message_is_in_the_manual(path: Path) -> None:
    """Whoever is called at night searches the manual for what he reads, and finds it."""
    missing = [text for text in sentences(path) if text not in OPERATE]
    assert missing == [], "add them with their remedy to docs/operate.md, Messages"


def test_messages_are_found_at_all() -> None:
    """The search above sees plain, formatted and logged texts."""
    found = {text for path in MODULES for text in sentences(path)}
    assert "the list of users is empty" in found
    assert any("the next firing tries one user" in text for text in found)
    assert len(found) > 40


def test_messages_of_the_tools_are_in_the_manual() -> None:
    """What grant.sh and the package builder say when they fail is explained."""
    shell = (INFRA / "permissions" / "grant.sh").read_text("utf-8")
    manual = re.sub(r"…", "", OPERATE)
    texts = re.findall(r"\b(?:fail|stop) [\"'](.+?)[\"'](?: 2)?$", shell, re.MULTILINE)
    assert len(texts) >= 8
    for text in texts:
        fixed = max(re.split(r"\$\w+", text.split(":")[0]), key=len).strip(" ,")
        assert fixed.split(", e.g.")[0] in manual, fixed


@pytest.mark.parametrize("outcome", [outcome.value for outcome in Outcome])
def test_every_outcome_is_explained(outcome: str) -> None:
    """The closed set of outcomes stands in the manual."""
    assert f"\n| `{outcome}` | " in OPERATE


@pytest.mark.parametrize("status", [RUNNING, COMPLETED, INTERRUPTED, STOPPED])
def test_every_status_is_explained(status: str) -> None:
    """So does every status of a run."""
    assert f"\n| `{status}` | " in OPERATE


def test_every_setting_is_documented_as_it_is() -> None:
    """Name, default, what is accepted and meaning: equal on both sides, nothing more or less."""
    documented = [[cell.strip("`") for cell in row] for row in table(DEPLOY, "## Settings")]
    known = [[s.name, s.default or "", s.accepted, s.meaning] for s in SETTINGS]
    assert documented == known


def test_every_option_is_documented_as_it_is(compiler: Compiler) -> None:
    """Every parameter that is no setting stands in the table of options, with its azd name."""
    names = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    settings = {setting.name for setting in SETTINGS}
    expected = {
        (value["value"][2:-1], parameter)
        for parameter, value in names.items()
        if value["value"][2:-1] not in settings
    }
    rows = [[cell.strip("`") for cell in row] for row in table(DEPLOY, "## Options")]
    assert {(row[0], row[1]) for row in rows} == expected
    parameters = compiler.template("main.bicep")["parameters"]
    for _, parameter, default, _ in rows:
        value = parameters[parameter].get("defaultValue")
        if isinstance(value, (bool, int)) or (value and not isinstance(value, dict)):
            assert default == (str(value).lower() if isinstance(value, bool) else str(value))


def test_every_role_is_explained() -> None:
    """The manual names the roles that are granted, on the right resource, and no other."""
    resources = {"graph": "Microsoft Graph", "sharepoint": "SharePoint"}
    rows = {(row[0], row[1].strip("`")) for row in table(SECURITY, "## Roles")}
    assert rows == {(resources[service], role) for service, role in FULL | GROUP}
    ((_, narrower),) = NARROW - FULL
    assert f"`{narrower}`" in SECURITY


def test_the_arithmetic_of_the_first_run_is_right() -> None:
    """Users a minute follow from the quotas; the time from the slower of the two."""
    rows = table(OPERATE, "## First run")
    assert len(rows) == 5
    for row in rows:
        units, calls, by_units, by_calls = (int(cell.replace(",", "")) for cell in row[1:5])
        assert by_units == units // 10
        assert by_calls == calls // 5 // 2 // 4
        users, minutes = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", row[5]))
        assert minutes == math.ceil(users / min(by_units, by_calls))


@pytest.mark.parametrize("name", ["deploy", "operate", "security"])
def test_links_and_files_exist(name: str) -> None:
    """Every link leads to a file and a heading that exist, every path in code to a file."""
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    for file, anchor in re.findall(r"\]\(([\w.]*)(?:#([\w-]+))?\)", text):
        target = ROOT / "docs" / (file or f"{name}.md")
        assert target.is_file(), file
        heads = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert not anchor or anchor in anchors, anchor
    for path in re.findall(r"(?:infra|local|\.github)/[\w./-]+\.\w+", text):
        assert (ROOT / path).is_file(), path


def test_what_is_not_verified_is_said() -> None:
    """Nobody takes for tested what could only be read."""
    assert "**Not verified against Azure.**" in DEPLOY
    assert "## Not verified" in DEPLOY
    assert "**Not verified in a live tenant:**" in SECURITY
