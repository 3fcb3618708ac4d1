"""The workflows deploy the package that the tests have seen, with pinned actions and no secret."""

import os
import re
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.package import PYTHON_VERSION
from tests.infra.azd import PROJECT
from tests.infra.compiler import Compiler
from tests.infra.tools import ROOT, find, run

TEXTS = {
    path.name: path.read_text("utf-8")
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
WORKFLOWS: dict[str, Any] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}


def steps(name: str) -> list[dict[str, Any]]:
    """Every step of a workflow."""
    return [step for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit(name: str) -> None:
    """Every action is pinned by its commit, because a tag can be moved to other code."""
    used = re.findall(r"uses: (.+)", TEXTS[name])
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_permissions_are_the_least() -> None:
    """The tests can only read; the deployment can also get a token; no secret is stored."""
    assert WORKFLOWS["ci.yml"]["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in WORKFLOWS["ci.yml"]["jobs"].values())
    assert WORKFLOWS["deploy.yml"]["permissions"] == {}
    (job,) = WORKFLOWS["deploy.yml"]["jobs"].values()
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    for text in TEXTS.values():
        assert "secrets." not in text
        assert "client-secret" not in text


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_token_of_the_checkout_is_not_left_behind(name: str) -> None:
    """No later step finds a credential in the folder."""
    (checkout,) = [s for s in steps(name) if s.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"] == {"persist-credentials": False}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_inputs_reach_scripts_as_variables_only(name: str) -> None:
    """An expression inside a script would run what somebody typed into an input."""
    scripts = [step["run"] for step in steps(name) if "run" in step]
    assert scripts
    assert not any("${{" in script for script in scripts)


def test_ci_runs_what_everybody_runs_and_leaves_nothing_out() -> None:
    """CI runs the same command as a developer and skips no test because a tool is missing.

    Once a week it runs every case of the large matrices.
    """
    (entry,) = [s for s in steps("ci.yml") if s.get("run") == "bash .ci/run"]
    thorough = "${{ github.event_name == 'schedule' && '1' || '' }}"
    assert entry["env"] == {"REQUIRE_TOOLS": "1", "THOROUGH": thorough}
    scripts = "\n".join(step.get("run", "") for step in steps("ci.yml"))
    assert "az bicep install --version v" in scripts
    assert 'echo "BICEP=' in scripts


SCRIPTS = [
    ".ci/run",
    *(p.relative_to(ROOT).as_posix() for p in (ROOT / ".devcontainer").glob("*.sh")),
    *(p.relative_to(ROOT).as_posix() for p in (ROOT / "infra").rglob("*.sh")),
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell_scripts_have_no_findings(script: str) -> None:
    """ShellCheck reports nothing about any script."""
    shellcheck = shutil.which("shellcheck") or Path(sys.executable).with_name("shellcheck")
    done = run([shellcheck, ROOT / script])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_python_is_the_one_of_the_package() -> None:
    """Workflows, package and site agree on the version."""
    pinned = (ROOT / ".python-version").read_text("utf-8")
    assert pinned.startswith(PYTHON_VERSION)
    for text in TEXTS.values():
        assert "python-version-file: .python-version" in text


def test_the_deployment_finds_the_app_by_its_tags(compiler: Compiler) -> None:
    """The workflow asks for the tags that the template gives to the site."""
    (service,) = PROJECT["services"]
    script = "\n".join(step.get("run", "") for step in steps("deploy.yml"))
    assert f"tags.\\\"azd-service-name\\\"=='{service}'" in script
    assert "tags.\\\"azd-env-name\\\"=='$ENVIRONMENT_NAME'" in script
    tags = compiler.deployment("default").the("Microsoft.Web/sites")["tags"]
    assert set(tags) == {"azd-service-name", "azd-env-name"}


def test_values_that_azd_shows_are_outputs(compiler: Compiler) -> None:
    """What hooks and manuals read from azd's environment is an output of main.bicep."""
    manuals = [p.read_text("utf-8") for p in sorted((ROOT / "docs").glob("*.md"))]
    read = set(re.findall(r"azd env get-value (\w+_\w+)", "\n".join(manuals)))
    text = (ROOT / "azure.yaml").read_text("utf-8")
    read |= set(re.findall(r"\$(?:env:|\{)?([A-Z]+_[A-Z_]+)", text))
    assert {"GRANT_COMMAND", "GRANT_COMMAND_POWERSHELL", "SWITCHED_ON", "PORTAL_URL"} <= read
    assert read <= set(compiler.deployment("default").outputs)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_entry_finds_tools_beside_the_repository(tmp_path: Path, depth: int) -> None:
    """The entry uses a folder shared/tools beside the clone or beside one of its parents."""
    bash = find("bash", "BASH_PROGRAM")
    clone = tmp_path.joinpath(*("abc"[:depth]), "clone")
    (clone / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", clone / ".ci" / "run")
    programs = tmp_path / "programs"
    programs.mkdir()
    make = programs / "make"
    make.write_text('#!/bin/sh\necho "$* $BICEP $PWSH $REQUIRE_TOOLS"\n')
    make.chmod(make.stat().st_mode | stat.S_IXUSR)
    environment = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def entry(**extra: str) -> str:
        done = run([bash, clone / ".ci" / "run"], env={**environment, **extra})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert entry() == "--no-print-directory test"
    tools = tmp_path / "shared" / "tools"
    tools.mkdir(parents=True)
    (tools / "bicep").write_text("")
    (tools / "bicep").chmod(0o755)
    assert entry() == f"--no-print-directory test {tools}/bicep {tools}/pwsh 1"
    given = entry(BICEP="/mine/bicep", REQUIRE_TOOLS="0")
    assert given == f"--no-print-directory test /mine/bicep {tools}/pwsh 0"
