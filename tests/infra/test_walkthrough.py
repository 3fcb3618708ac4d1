"""The first deployment as the manual describes it: its commands, in their order, in both shells."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.infra.azd import APP_URL as APP
from tests.infra.azd import Azd
from tests.infra.cloud import FUNCTION_KEY, MASTER_KEY, Cloud
from tests.infra.compiler import Compiler
from tests.infra.directory import PRINCIPAL, Directory, Served
from tests.infra.fake_az import Az, serving
from tests.infra.test_permissions import FULL
from tests.infra.tools import ROOT, find, missing, run

SECTIONS = ["## 1. Deploy", "## 2. Grant", "## 3. Verify"]
MANUAL = (ROOT / "docs" / "deploy.md").read_text("utf-8")
# Requests of the stand-in for curl, as PowerShell makes them.
POWERSHELL = """
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
function Install-Module { }
function Invoke-RestMethod {
    param([string] $Method = 'Get', [string] $Uri, [hashtable] $Headers = @{}, $Body,
        [string] $ContentType)
    $words = @('-s', '-X', $Method.ToUpper())
    foreach ($name in $Headers.Keys) { $words += '-H', "${name}: $($Headers[$name])" }
    if ($ContentType) { $words += '-H', "Content-Type: $ContentType" }
    if ($Body -is [hashtable]) {
        $Body = ($Body.Keys | ForEach-Object { "$_=$($Body[$_])" }) -join '&'
    }
    if ($Body) { $words += '-d', $Body }
    curl @words $Uri
}
"""


def blocks(manual: str, language: str) -> str:
    """The code of the sections above, joined; a section ends at the next of its rank."""
    code = []
    for heading in SECTIONS:
        section = re.search(rf"^{heading}.*?(?=^## |\Z)", manual, re.MULTILINE | re.DOTALL)
        assert section, heading
        code += re.findall(rf"^```{language}\n(.*?)^```$", section[0], re.MULTILINE | re.DOTALL)
    return "\n".join(code)


def filled_in(code: str, values: dict[str, str]) -> str:
    """The code with the reader's own values for `<…>`."""

    def value(match: re.Match[str]) -> str:
        assert match[1] in values, f"what is <{match[1]}>? name an output of azd"
        return values[match[1]]

    return re.sub(r"<([\w .]+)>", value, code)


@pytest.fixture
def cloud(compiler: Compiler, az: Az, tmp_path: Path) -> Cloud:
    """Nothing is deployed yet."""
    name = f"walk-{tmp_path.name[-12:]}"
    return Cloud(Azd(compiler, re.sub(r"\W", "-", name)), az)


@pytest.fixture
def graph(served: Served, directory: Directory, tmp_path: Path) -> str:
    """Where PowerShell's module finds the directory."""
    return served.add(tmp_path.name, directory)


@pytest.fixture
def programs(cloud: Cloud, tmp_path: Path) -> Iterator[str]:
    """A PATH on which the stand-ins come first."""
    if shutil.which("bash") is None:
        missing("bash is missing: install it")
    folder = tmp_path / "programs"
    folder.mkdir()
    answers = {"azd": cloud.run_azd, "az": cloud.run_az, "curl": cloud.run_curl}
    with ExitStack() as stack:
        for name, answer in {**answers, "python3": cloud.run_python}.items():
            stack.enter_context(serving(answer, folder / name))
        yield f"{folder}{os.pathsep}{os.environ['PATH']}"


def everything_worked(cloud: Cloud, directory: Directory) -> None:
    """Deployed as a dry run, granted, verified: no command unknown, no request refused."""
    assert cloud.refused == []
    assert cloud.azd.values["SHAREPOINT_TENANT"] == "contoso"
    assert cloud.azd.parameters()["dryRun"] == "true"
    assert directory.granted(PRINCIPAL) == FULL
    assert ("GET", "/api/sync", 200) in cloud.answers
    assert [answer for answer in cloud.answers if answer[2] >= 300] == []


@pytest.fixture(scope="module")
def values(compiler: Compiler) -> dict[str, str]:
    """What a reader puts in; known once azd has deployed, which is what the commands begin with."""
    before = Azd(compiler, "prod")
    before.set(SHAREPOINT_TENANT="contoso")
    before.provision()
    return {
        **before.values,
        "function app": before.values["FUNCTION_APP_NAME"],
        "any": before.values["AZURE_RESOURCE_GROUP"],
        "principal": PRINCIPAL,
        "id": PRINCIPAL,
        "owner": "contoso",
        "repository": "photo-sync",
    }


def test_the_commands_for_bash(
    cloud: Cloud, programs: str, directory: Directory, values: dict[str, str]
) -> None:
    """The commands deploy the app, grant its roles, and get answers from it."""
    code = filled_in(blocks(MANUAL, "bash"), values)
    done = run(["bash", "-c", f"set -euo pipefail\n{code}"], env={"PATH": programs, "HOME": "/"})
    assert done.returncode == 0, f"{cloud.refused}\n{done.stdout}\n{done.stderr}"
    everything_worked(cloud, directory)


def test_the_commands_for_powershell(
    cloud: Cloud,
    programs: str,
    values: dict[str, str],
    graph: str,
    powershell: dict[str, str],
) -> None:
    """The same in PowerShell, with the script for the administrator that belongs to it."""
    pwsh = find("pwsh", "PWSH")
    code = blocks(MANUAL, "powershell")
    if not code:
        pytest.skip("docs/deploy.md has no commands for PowerShell")
    if "azd up" not in code:  # written once, for both shells
        code = (
            "\n".join(re.findall(r"^azd .*$", blocks(MANUAL, "bash"), re.MULTILINE)) + f"\n{code}"
        )
    done = run(
        [pwsh, "-NoProfile", "-c", POWERSHELL + filled_in(code, values)],
        env={**powershell, "PATH": programs, "FAKE_GRAPH": graph},
    )
    assert done.returncode == 0, f"{cloud.refused}\n{done.stdout}\n{done.stderr}"
    everything_worked(cloud, cloud.az.directory)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (["-X", "POST", "/admin/functions/SyncTimer", "-d", '{"input":""}'], 415),
        (["-X", "POST", "-d", "dry_run=true", "/api/sync/adele@contoso.com"], 400),
        (["-X", "POST", "/api/sync"], 405),
    ],
)
def test_the_app_refuses_what_the_real_one_refuses(
    cloud: Cloud, command: list[str], answer: int
) -> None:
    """The stand-in answers like the real app to requests that manuals get wrong."""
    url = [word if not word.startswith("/") else f"{APP}{word}" for word in command]
    cloud.run_curl(["-s", "-H", f"x-functions-key: {MASTER_KEY}", *url])
    assert cloud.answers[0][2] == answer


def test_the_host_name_stands_where_flex_consumption_has_it(cloud: Cloud) -> None:
    """`defaultHostName` is empty; `properties.defaultHostName` has the host name."""
    cloud.run_azd(["env", "set", "SHAREPOINT_TENANT", "contoso"])
    cloud.run_azd(["up"])
    name, group = (cloud.azd.values[n] for n in ("FUNCTION_APP_NAME", "AZURE_RESOURCE_GROUP"))
    ask = ["functionapp", "show", "--name", name, "--resource-group", group, "--output", "tsv"]
    assert cloud.run_az([*ask, "--query", "defaultHostName"]) == (0, "")
    assert cloud.run_az([*ask, "--query", "properties.defaultHostName"]) == (0, f"{APP[8:]}\n")
    keys = ["functionapp", "keys", "list", *ask[2:], "--query", "functionKeys.default"]
    assert cloud.run_az(keys) == (0, f"{FUNCTION_KEY}\n")
