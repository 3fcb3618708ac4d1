"""The templates under Microsoft's own compiler: no warning, formatted, and what they deploy."""

import difflib
import json
import os
import re

import pytest

from tests.infra.compiler import INFRA, METADATA, SETS, Compiler, CompilerError, canonical, names
from tests.infra.tools import DOTNET, run

TEMPLATES = sorted(path.relative_to(INFRA).as_posix() for path in INFRA.rglob("*.bicep"))
FILES = [
    *(f"infra/{name}" for name in TEMPLATES),
    *(f"tests/infra/snapshots/{name}.bicepparam" for name in names()),
]
SECRET = re.compile(
    r"listKeys|listSecrets|listAccountSas|listServiceSas|securestring|secureObject|AccountKey=",
    re.IGNORECASE,
)
# Azure's limits of names (Microsoft Learn: Naming rules and restrictions for Azure resources).
LIMITS = {
    "Microsoft.Insights/actionGroups": r"[^#%&/?]{1,260}",
    "Microsoft.Insights/components": r"[\w().-]{1,260}(?<!\.)",
    "Microsoft.Insights/scheduledQueryRules": r"[^*#&+:<>?@%{}\\/]{1,260}(?<![. ])",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[A-Za-z0-9][\w-]{2,127}",
    "Microsoft.Network/natGateways": r"[A-Za-z0-9][\w.-]{0,78}\w",
    "Microsoft.Network/privateEndpoints": r"[A-Za-z0-9][\w.-]{0,62}\w",
    "Microsoft.Network/publicIPAddresses": r"[A-Za-z0-9][\w.-]{0,78}\w",
    "Microsoft.Network/virtualNetworks": r"[A-Za-z0-9][\w.-]{0,62}\w",
    "Microsoft.OperationalInsights/workspaces": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "Microsoft.Resources/resourceGroups": r"[\w().-]{1,90}(?<!\.)",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Storage/storageAccounts/blobServices/containers": r"[a-z0-9](-?[a-z0-9]){2,62}",
    "Microsoft.Web/serverfarms": r"[A-Za-z0-9-]{1,60}",
    "Microsoft.Web/sites": r"[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]",
}
FIXED_NAMES = {
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Insights/workbooks",
    "Microsoft.Network/privateDnsZones",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.Storage/storageAccounts/managementPolicies",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
    "Microsoft.Web/sites/config",
}
"""Their names are GUIDs, fixed words, or made of the names above."""


@pytest.mark.parametrize("name", FILES)
def test_the_compiler_and_its_linter_have_nothing_to_say(compiler: Compiler, name: str) -> None:
    """The compiler and the linter report nothing about any template or parameter set."""
    assert compiler.compiled(compiler.root / name)[1] == []


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_formatted(compiler: Compiler, name: str) -> None:
    """`bicep format` would change nothing."""
    path = compiler.root / name
    assert path.read_text("utf-8") == compiler.formatted(path), f"run: bicep format {name}"


@pytest.mark.parametrize("name", names())
def test_what_is_deployed_is_what_is_stored(compiler: Compiler, name: str) -> None:
    """A change of what is deployed shows in the diff of a stored snapshot.

    UPDATE_SNAPSHOTS=1 stores the present state, to be read in the diff before it is committed.
    """
    stored = SETS / f"{name}.snapshot.json"
    deployment = compiler.deployment(name)
    present = canonical({"resources": deployment.resources, "outputs": deployment.outputs})
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        stored.write_text(present, "utf-8")
    before = stored.read_text("utf-8")
    difference = difflib.unified_diff(
        before.splitlines(), present.splitlines(), "stored", "present", lineterm=""
    )
    assert before == present, "\n".join(
        ["what is deployed has changed; UPDATE_SNAPSHOTS=1 stores it:", *difference]
    )


@pytest.mark.parametrize("name", names())
def test_evaluation_is_complete(compiler: Compiler, name: str) -> None:
    """Every module is evaluated: no resource is hidden behind a nested deployment."""
    deployment = compiler.deployment(name)
    assert deployment.diagnostics == []
    assert deployment.all("Microsoft.Resources/deployments") == []
    assert len(deployment.all("Microsoft.Insights/scheduledQueryRules")) == 6


def test_the_compiler_reports_mistakes(compiler: Compiler) -> None:
    """The checks above can fail: a misspelled property and an unused parameter are reported."""
    broken = compiler.root / "infra" / "broken.bicep"
    broken.write_text(
        "param unused string\n"
        "resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {\n"
        "  name: 'x'\n  location: 'x'\n  sku: { nam: 'FC1' }\n}\n"
    )
    said = "\n".join(compiler.compiled(broken)[1])
    broken.unlink()
    assert "Error no-unused-params" in said
    assert 'Warning BCP089: The property "nam" is not allowed' in said


def test_the_command_gives_the_same(compiler: Compiler) -> None:
    """`bicep snapshot` on the command line gives the same result as the process that tests use."""
    path = "tests/infra/snapshots/default.bicepparam"
    where = [
        *("--subscription-id", METADATA["subscriptionId"], "--tenant-id", METADATA["tenantId"]),
        *("--location", METADATA["location"], "--deployment-name", METADATA["deploymentName"]),
    ]
    command = [compiler.program, "snapshot", path, "--mode", "overwrite", *where]
    done = run(command, cwd=compiler.root, env={**os.environ, **DOTNET})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    made = json.loads((compiler.root / path).with_suffix(".snapshot.json").read_text("utf-8"))
    deployment = compiler.deployment("default")
    assert (made["predictedResources"], made["outputs"]) == (
        deployment.resources,
        deployment.outputs,
    )


@pytest.mark.parametrize("name", names())
def test_names_keep_the_limits_of_azure(compiler: Compiler, name: str) -> None:
    """Azure accepts every name, also for the longest inputs."""
    seen = set()
    for resource in compiler.deployment(name).resources:
        kind = resource["type"]
        seen.add(kind)
        if kind not in FIXED_NAMES:
            assert re.fullmatch(LIMITS[kind], resource["name"].split("/")[-1]), resource["name"]
    assert "Microsoft.Storage/storageAccounts" in seen


def test_every_kind_of_resource_is_deployed_by_some_parameter_set(compiler: Compiler) -> None:
    """The lists above are complete, and no parameter set misses a part of the template."""
    deployed = {r["type"] for name in names() for r in compiler.deployment(name).resources}
    assert deployed == set(LIMITS) | FIXED_NAMES


@pytest.mark.parametrize("name", names())
def test_only_stable_versions(compiler: Compiler, name: str) -> None:
    """No resource uses a preview version of an API."""
    for resource in compiler.deployment(name).resources:
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", resource["apiVersion"]), resource["type"]


@pytest.mark.parametrize("name", names())
def test_every_resource_has_region_and_tags(compiler: Compiler, name: str) -> None:
    """Every resource has the tags and is in the region of the resource group."""
    deployment = compiler.deployment(name)
    group = deployment.the("Microsoft.Resources/resourceGroups")
    for resource in deployment.resources:
        if "location" in resource:
            assert resource["location"] in {group["location"], "global"}
            assert resource["tags"].items() >= group["tags"].items()
    assert "azd-env-name" in group["tags"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_parameter_and_output_is_described(compiler: Compiler, name: str) -> None:
    """Every parameter and output has a description that ends with a full stop."""
    template = compiler.template(name)
    assert template["metadata"]["description"].endswith(".")
    for kind in ("parameters", "outputs"):
        for symbol, value in template.get(kind, {}).items():
            text = value.get("metadata", {}).get("description", "")
            assert text.endswith("."), f"{symbol} has no description"


@pytest.mark.parametrize("name", ["main.bicep", "permissions/main.bicep"])
def test_no_secret_goes_in_or_out(compiler: Compiler, name: str) -> None:
    """No parameter takes a secret, and no template reads a key."""
    assert not SECRET.search(json.dumps(compiler.template(name)))


def test_every_module_and_every_text_file_is_used() -> None:
    """Every module, query, and workbook is used by a template."""
    used = set()
    for path in INFRA.rglob("*.bicep"):
        text = path.read_text("utf-8")
        for file in re.findall(
            r"(?:loadTextContent\(|^module \w+ |from )'([^']+)'", text, re.MULTILINE
        ):
            used.add((path.parent / file).resolve())
    expected = {*INFRA.glob("modules/*.bicep"), *INFRA.glob("queries/*.kql")}
    assert used == {*expected, INFRA / "workbook.json"}


@pytest.mark.parametrize(
    ("prefix", "accepted"),
    [("10.0.0.0/16", True), ("10.0.0.0/25", True), ("10.0.0.0/26", False)],
)
def test_a_network_that_is_too_small_is_refused_by_name(
    compiler: Compiler, prefix: str, *, accepted: bool
) -> None:
    """A /25 is accepted; a smaller range is refused with a message that names the setting."""
    path = compiler.root / "tests" / "infra" / "snapshots" / "network.bicepparam"
    path.write_text(
        "using '../../../infra/modules/network.bicep'\n"
        "param name = 'x'\nparam location = 'westeurope'\nparam tags = {}\n"
        f"param addressPrefix = '{prefix}'\nparam storageAccountId = '/x'\n"
    )
    if accepted:
        network = compiler.evaluate(path, resourceGroup="rg").the(
            "Microsoft.Network/virtualNetworks"
        )
        subnets = [s["properties"]["addressPrefix"] for s in network["properties"]["subnets"]]
        assert subnets == ["10.0.0.0/26", "10.0.0.64/26"]
    else:
        with pytest.raises(CompilerError, match=f"VIRTUAL_NETWORK_PREFIX={prefix} is too small"):
            compiler.evaluate(path, resourceGroup="rg")
