"""The manuals tell the truth, and say something about everything that an operator can meet."""

import ast
import functools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.tools import settings_table
from shared.checkpoint import COMPLETED, INTERRUPTED, RUNNING, STOPPED, Run
from shared.config import SETTINGS, Setting
from shared.graph import BATCH_SIZE
from shared.model import Outcome
from shared.sync.report import SUMMARY_FIELDS, summary
from shared.sync.steps import STEP_USERS
from tests.infra.compiler import INFRA, Compiler
from tests.infra.test_permissions import FULL, GROUP, NARROW
from tests.infra.tools import ROOT

DEPLOY, OPERATE, REFERENCE, SECURITY = (
    (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    for name in ("deploy", "operate", "reference", "security")
)
MESSAGE_WORDS = 4
"""Shorter texts are parts, names or code."""

NO_MESSAGES = {
    "csom.py:<Request",
    "csom.py:<Method",
    "error_codes.py:User Profile Error 1000",  # words of SharePoint by which errors differ
    "error_codes.py:managing your own data",
    "error_codes.py:required permissions to access profile",
    "token_requests.py:Token request error:",  # words of a library, cut off
    "tokens.py:<object id",
    "report.py:photo-sync run summary",
    "report.py:photo-sync nothing to do",
    "sample.py:accountEnabled eq true",  # OData filters
    "settings.py:accountEnabled eq true",
    "sample.py:/any(p:p",
    "storage.py:Name or service not known",  # words of the operating system
    "engine.py:a run removes at its end only",
    "window_reader.py:a run removes at its end only",  # assertions: defects, never messages
    "user_sync.py:no photo cannot be fetched",
}


DECLARED = [text for s in SETTINGS for text in (s.accepted, s.meaning, s.default or "")]
"""Stands with the settings, and a test compares it."""


def table(text: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    part = text.partition(f"\n{heading}\n")[2]
    lines = part[part.index("\n|") :].lstrip().split("\n\n")[0].splitlines()
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines[2:]
    ]


@functools.cache
def sentences(path: Path) -> tuple[str, ...]:
    """Texts of a module that can reach an operator; of a composed one the longest fixed part."""
    return tuple(_sentences(path))


def _sentences(path: Path) -> Iterator[str]:
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
        if path.name == "settings.py" and any(text in declared for declared in DECLARED):
            continue
        if len(text.split()) >= MESSAGE_WORDS and not any(map(name.startswith, NO_MESSAGES)):
            yield text


MODULES = [
    path
    for path in sorted((ROOT / "shared").rglob("*.py"))
    # What the portal's pages say is compared with docs/portal.md in tests/portal/test_manual.py.
    if not {"portal", "sign_in"} & set(path.relative_to(ROOT / "shared").parts)
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_message_is_in_the_manual(path: Path) -> None:
    """An administrator who searches the manual for a message finds it."""
    missing = [text for text in sentences(path) if text not in REFERENCE + OPERATE]
    assert missing == [], "add them with their remedy to docs/reference.md, Messages"


def test_messages_are_found_at_all() -> None:
    """The search above sees plain, formatted and logged texts, in packages too."""
    found = {text for path in MODULES for text in sentences(path)}
    assert "the list of users is empty" in found
    assert any("the next firing tries again" in text for text in found)
    assert len(found) > 120


COMPOSED = {
    "0 (Sunday) to 6 (Saturday), or a name such as …",
    "query parameter … is not accepted here; accepted: …",
    "service: METHOD url: status code (message) [request id]",
    "as user-assigned managed identity …",
    "no run yet; next firing …",
    "last run …, begun … hours ago; next firing …",
    "granted, the app's token was not seen",
    "az account set --subscription …",
    "Property value cannot be deleted unless it is disabled first",
}
"""Put together from short parts, or said by somebody else."""


def test_no_message_is_in_the_manual_that_nothing_says() -> None:
    """Of every quoted message at least half stands in the program, a tool, or a script."""
    sources = [path for path in ROOT.glob("infra/**/*") if path.suffix in {".sh", ".ps1"}]
    said = "\n".join(path.read_text("utf-8") for path in sources)
    for path in [*(ROOT / "shared").rglob("*.py"), *(ROOT / "local").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said += "\n" + re.sub(r"%\w", "\n", node.value)
    part = REFERENCE.partition("\n## Messages\n")[2].partition("\n## Report of a run\n")[0]
    stale = []
    for text in (text for line in part.splitlines() for text in re.findall(r"`([^`]+)`", line)):
        runs = [
            " ".join(four)
            for piece in text.split("…")
            for words in [piece.strip(" :;,.()").split()]
            for four in zip(*(words[n:] for n in range(MESSAGE_WORDS)), strict=False)
        ]
        if text not in COMPOSED and 2 * sum(run in said for run in runs) < len(runs):
            stale.append(text)
    assert stale == [], "no longer said: remove or correct them"


@pytest.mark.parametrize("script", ["permissions/grant.sh", "entra-portal/register.sh"])
def test_messages_of_the_scripts_are_in_the_manual(script: str) -> None:
    """What the administrator's scripts say when they fail is explained."""
    shell = (INFRA / script).read_text("utf-8")
    manual = re.sub(r"…", "", REFERENCE)
    texts = re.findall(r"\b(?:fail|stop) [\"'](.+?)[\"'](?: 2)?$", shell, re.MULTILINE)
    assert len(texts) >= 5
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


RUN = Run(
    id="1", version="2", trigger="timer", mode="sync", scope="s", started="2026-01-01T00:00:00Z"
)


def test_every_field_of_a_report_is_explained() -> None:
    """The manual names every field of a report, and no field that a report does not have."""
    part = REFERENCE.partition("\n## Report of a run\n")[2]
    rows = table(REFERENCE, "## Report of a run")
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(set(RUN.report()) - {"writing"})
    for group in ("removals", "leavers", "bytes", "requests"):
        for field in RUN.report()[group]:
            assert f"`{field}`" in part, f"{group}.{field}"


def test_every_field_of_the_summary_line_is_explained() -> None:
    """Alerts and the workbook read one line of the log; the manual names all of its fields."""
    assert set(summary(RUN)) == SUMMARY_FIELDS
    part = OPERATE.partition("\n## Summary line\n")[2].partition("\n## ")[0]
    assert [name for name in SUMMARY_FIELDS if f"`{name}`" not in part] == []


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented_as_it_is(setting: Setting) -> None:
    """Name, default, what is accepted and meaning: as they are declared."""
    part = REFERENCE.partition(f"\n### `{setting.name}`\n")[2].partition("\n#")[0]
    part = part.replace(r"\<", "<")
    assert setting.meaning.lower() in part.lower()
    assert f"\n- Accepted: {setting.accepted}\n" in part
    default = f"`{setting.default}`" if setting.default else "none"
    assert f"\n- Default: {'from the settings' if setting.derive else default}" in part


def test_no_setting_is_documented_that_does_not_exist() -> None:
    """The list is made from the declarations, in their order, and nothing is left behind."""
    assert re.findall(r"^### `(\w+)`$", REFERENCE, re.MULTILINE) == [s.name for s in SETTINGS]
    assert settings_table.with_settings(REFERENCE) == REFERENCE, (
        "run: python -m local.tools.settings_table"
    )


def test_every_option_is_documented_as_it_is(compiler: Compiler) -> None:
    """Every parameter that is no setting stands in the table of options, with its azd name."""
    names = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    settings = {setting.name for setting in SETTINGS}
    expected = {
        (value["value"][2:-1], parameter)
        for parameter, value in names.items()
        if value["value"][2:-1] not in settings
    }
    rows = [[cell.strip("`") for cell in row] for row in table(REFERENCE, "## Options")]
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
    always = {row for row in rows if row[1] != "ProfilePhoto.Read.All"}
    assert always == {(resources[service], role) for service, role in FULL | GROUP}
    assert ("Microsoft Graph", "ProfilePhoto.Read.All") in rows
    ((_, narrower),) = NARROW - FULL
    assert f"`{narrower}`" in SECURITY


def test_the_arithmetic_of_the_first_run_is_right() -> None:
    """Users a minute follow from the quotas; the time from the slower of the two."""
    rows = table(OPERATE, "### How long the first run takes")
    assert len(rows) == 6
    for row in rows:
        units, calls, by_units, by_calls = (int(cell.replace(",", "")) for cell in row[1:5])
        assert by_units == units // 10
        assert by_calls == calls // 5 // 2 // 4
        users, minutes = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", row[5]))
        assert minutes == math.ceil(users / min(by_units, by_calls))


def test_the_arithmetic_of_a_million_users_is_right() -> None:
    """Requests and operations follow from the sizes that the program works with."""
    rows = {row[0]: row for row in table(OPERATE, "### A night of 1,000,000 users")}
    users, changed, shards, record = 1_000_000, 5_000, 256, 600
    pages = math.ceil(users / 999)  # the largest page that Graph allows
    writes = 2 * shards + users // STEP_USERS + pages

    def says(name: str, *figures: str) -> None:
        assert all(figure in " ".join(rows[name][1:]) for figure in figures), rows[name]

    says("listing", f"{pages:,}")
    says("photo versions", f"{users // BATCH_SIZE:,}")
    says("changed users", f"{round(changed * (5 + 2 / BATCH_SIZE)):,}")
    says(
        "shards",
        f"{math.ceil(users / shards):,}",
        f"{math.ceil(users / shards * record / 1e5) / 10} MB",
    )
    says("write operations", f"{users // STEP_USERS:,}", f"{round(writes, -2):,}")
    says("storage traffic", f"{3 * users * record / 1e9:.1f} GB")
    says(
        "per changed user",
        f"{3 * users * record / changed / 1e3:.0f} KB",
        f"{writes / changed:.1f}",
    )


def test_the_architecture_names_every_part() -> None:
    """Every package and module of `shared/` is drawn, and every module of the engine explained."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    drawing = page.partition("```\n")[2].partition("```")[0]
    drawn = {word for line in drawing.splitlines() for word in line[:70].split()}
    shared = {path.stem for path in (ROOT / "shared").iterdir() if path.stem[0] != "_"}
    assert shared - drawn == set()
    explained = {name for row in table(page, "## Packages") for name in re.findall(r"\w+", row[0])}
    engine = {path.stem for path in (ROOT / "shared" / "sync").glob("[!_]*.py")}
    assert explained == engine


def test_what_is_not_verified_is_said() -> None:
    """The manual says what the tests cannot show."""
    assert "**Not verified against Azure.**" in DEPLOY
    assert "## Not verified" in DEPLOY
    assert "**Not verified in a live tenant:**" in SECURITY
