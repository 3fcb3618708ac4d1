"""azd and the workflows deploy the package that the tests have seen, without a secret."""

import re

from local.package import PYTHON_VERSION
from tests.infra.templates import FILES, ROOT, parsed

AZURE_YAML = (ROOT / "azure.yaml").read_text("utf-8")
WORKFLOWS = {
    path.name: path.read_text("utf-8")
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}


def value(key: str) -> str:
    """The value of a key that azure.yaml has once."""
    (found,) = re.findall(rf"^\s*{key}: (.+?)(?: #.*)?$", AZURE_YAML, re.MULTILINE)
    return str(found)


def test_azd_uploads_the_package_as_it_is() -> None:
    """No build in Azure, which may run on an older Python than the app."""
    assert value("host") == "function"
    assert value("remoteBuild") == "false"
    assert value("language") == "custom"
    assert value("dist") == "dist/photo-sync.zip"
    builder = (ROOT / "local" / "package.py").read_text("utf-8")
    assert 'default=ROOT / "dist" / "photo-sync.zip"' in builder
    assert AZURE_YAML.count("-m local.package") == 2  # Windows and all others


def test_azd_finds_the_function_app_by_its_service_name() -> None:
    """The name in azure.yaml is the tag that main.bicep gives to the site."""
    service = parsed()["main.bicep"]["variables"]["serviceName"]["value"]
    assert f"\nservices:\n  {service}:\n" in AZURE_YAML
    assert "'azd-service-name': serviceName" in FILES["modules/app.bicep"].read_text("utf-8")
    assert f"=='{service}'" in WORKFLOWS["deploy.yml"]


def test_values_that_azd_shows_are_outputs() -> None:
    """What hooks and manuals read from azd's environment is an output of main.bicep."""
    manuals = [p.read_text("utf-8") for p in sorted((ROOT / "docs").glob("*.md"))]
    read = set(re.findall(r"azd env get-value (\w+)", "\n".join(manuals)))
    read |= set(re.findall(r"\$(?:env:)?([A-Z]+_[A-Z_]+)", AZURE_YAML))
    assert read
    assert read <= set(parsed()["main.bicep"]["outputs"])


def test_the_printed_command_is_one_that_the_script_understands() -> None:
    """The administrator can paste what the deployer gets to see."""
    command = FILES["main.bicep"].read_text("utf-8").partition("output GRANT_COMMAND string = ")[2]
    command = command.splitlines()[0]
    script = (ROOT / "infra" / "permissions" / "grant.sh").read_text("utf-8")
    assert command.startswith("'infra/permissions/grant.sh ")
    for flag in re.findall(r"--[\w-]+", command):
        assert f"{flag})" in script or f"{flag} |" in script


def test_workflows_hold_no_secret() -> None:
    """GitHub proves who it is by its own token; nothing is stored."""
    for name, text in WORKFLOWS.items():
        assert "secrets." not in text, name
        assert "\npermissions:\n  contents: read\n" in text, name
    assert "id-token: write" in WORKFLOWS["deploy.yml"]
    assert "client-secret" not in WORKFLOWS["deploy.yml"]


def test_inputs_reach_scripts_as_variables_only() -> None:
    """An expression inside a script would run what somebody typed into an input."""
    for text in WORKFLOWS.values():
        for script in re.findall(r"run: \|\n((?: {10}.*\n)+)", text):
            assert "${{" not in script


def test_ci_runs_what_everybody_runs_and_compiles_the_bicep() -> None:
    """The same entry as on one's own machine, and Microsoft's compiler besides."""
    text = WORKFLOWS["ci.yml"]
    assert "run: bash .ci/run" in text
    for name in ("main.bicep", "permissions/main.bicep"):
        assert f"az bicep build --file infra/{name}" in text
    pinned = (ROOT / ".python-version").read_text("utf-8")
    assert pinned.startswith(PYTHON_VERSION)
    assert "python-version-file: .python-version" in text
