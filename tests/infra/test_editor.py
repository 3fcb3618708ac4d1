"""The container and the editor's files start what exists, in the versions that everything uses."""

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from local.start import _PORT
from tests.infra.tools import ROOT, find, run

CONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
EDITOR: dict[str, Any] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / ".vscode").glob("*.json")
}
FEATURES = {name.rpartition("/")[2].split(":")[0]: v for name, v in CONTAINER["features"].items()}
AZURITE_PORT = 10000
"""Where `UseDevelopmentStorage=true` looks for blobs (Azurite's README)."""


def test_the_container_has_what_the_project_needs() -> None:
    """Python 3.13, Node, the Azure CLI with Bicep, PowerShell, azd; Core Tools come afterwards."""
    version = (ROOT / ".python-version").read_text("utf-8").strip()
    assert CONTAINER["image"].endswith(f"/python:{version}")
    assert set(FEATURES) == {"node", "azure-cli", "powershell", "azd"}
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert f"az bicep install --version {FEATURES['azure-cli']['bicepVersion']}\n" in workflow
    assert FEATURES["azure-cli"]["installBicep"] is True
    assert f"node-version: {FEATURES['node']['version']}\n" in workflow


def test_ports_are_those_of_functions_and_azurite() -> None:
    """The container forwards the ports of the functions and of Azurite."""
    assert CONTAINER["forwardPorts"] == [_PORT, AZURITE_PORT]


def test_the_container_is_prepared_in_this_order(tmp_path: Path) -> None:
    """Packages, then Core Tools, then settings, which are not replaced when they exist."""
    bash = find("bash", "BASH_PROGRAM")
    shutil.copytree(ROOT / ".devcontainer", tmp_path / ".devcontainer")
    shutil.copy(ROOT / "local.settings.sample.json", tmp_path)
    programs, log = tmp_path / "bin", tmp_path / "log"
    programs.mkdir()
    for name in ("make", "npm"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"{log}"\n')
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    assert CONTAINER["postCreateCommand"] == "bash .devcontainer/create.sh"
    done = run([bash, ".devcontainer/create.sh"], cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert log.read_text("utf-8").splitlines() == [
        "make setup",
        "npm install --global azure-functions-core-tools@4",
    ]
    settings = tmp_path / "local.settings.json"
    assert json.loads(settings.read_text("utf-8"))["Values"]["FUNCTIONS_WORKER_RUNTIME"] == "python"
    settings.write_text("{}")
    run([bash, ".devcontainer/create.sh"], cwd=tmp_path, env=environment)
    assert settings.read_text("utf-8") == "{}"


def test_what_is_started_exists() -> None:
    """Every module that is run and debugged, every task that comes before, every make target."""
    tasks = {task["label"]: task for task in EDITOR["tasks"]["tasks"]}
    for configuration in EDITOR["launch"]["configurations"]:
        if "module" in configuration:
            assert importlib.util.find_spec(configuration["module"]), configuration["name"]
        assert configuration["preLaunchTask"] in tasks
        assert configuration["type"] == "debugpy"
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for task in tasks.values():
        make = re.fullmatch(r"make (\w+)", task["command"])
        assert make is None or make[1] in targets, task["label"]
        assert task.get("dependsOn", "setup") in tasks


def test_functions_tests_and_core_tools_can_be_debugged() -> None:
    """Under the local host, in one file of tests, and attached to `func start`."""
    modules = {c.get("module") for c in EDITOR["launch"]["configurations"]}
    assert {"local.start", "local.demo", "pytest"} <= modules
    (attach,) = [c for c in EDITOR["launch"]["configurations"] if c["request"] == "attach"]
    assert attach["connect"] == {"host": "localhost", "port": 9091}


def test_editor_and_container_bring_the_same_extensions() -> None:
    """The editor recommends the extensions that the container installs."""
    inside = CONTAINER["customizations"]["vscode"]["extensions"]
    assert EDITOR["extensions"]["recommendations"] == inside


def test_the_programming_model_is_named_to_the_extension() -> None:
    """The extension would otherwise offer to convert the project, and build it in Azure."""
    settings = EDITOR["settings"]
    assert settings["azureFunctions.projectLanguageModel"] == 1
    assert settings["azureFunctions.scmDoBuildDuringDeployment"] is False
    assert settings["python.defaultInterpreterPath"] == "${workspaceFolder}/.venv/bin/python"
