"""The Bicep files are sound as far as that can be seen without the compiler."""

import json
import re
from pathlib import PurePosixPath

import pytest

from tests.infra.templates import FILES, INFRA, nodes, parsed, resources, text_of

# Stable versions, as Azure Verified Modules and Microsoft's samples use them in 2026.
API_VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Graph/appRoleAssignedTo": "v1.0",
    "Microsoft.Graph/servicePrincipals": "v1.0",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/scheduledQueryRules": "2023-12-01",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
    "Microsoft.Network/natGateways": "2024-05-01",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2024-05-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2024-05-01",
    "Microsoft.Network/publicIPAddresses": "2024-05-01",
    "Microsoft.Network/virtualNetworks": "2024-05-01",
    "Microsoft.Network/virtualNetworks/subnets": "2024-05-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.Resources/resourceGroups": "2024-11-01",
    "Microsoft.Storage/storageAccounts": "2025-06-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2025-06-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2025-06-01",
    "Microsoft.Storage/storageAccounts/managementPolicies": "2025-06-01",
    "Microsoft.Web/serverfarms": "2025-03-01",
    "Microsoft.Web/sites": "2025-03-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2025-03-01",
    "Microsoft.Web/sites/config": "2025-03-01",
}
FUNCTIONS = {
    "array",
    "cidrSubnet",
    "contains",
    "empty",
    "environment",
    "filter",
    "guid",
    "loadTextContent",
    "replace",
    "string",
    "subscription",
    "subscriptionResourceId",
    "take",
    "tenant",
    "toLower",
    "union",
    "uniqueString",
}
DECORATORS = {"description", "minLength", "maxLength", "minValue", "maxValue", "allowed"}
BINDERS = {"for_statement", "lambda_expression"}
SECRET = re.compile(
    r"listKeys|listSecrets|ListAccountSas|@secure|AccountKey|clientSecret", re.IGNORECASE
)


@pytest.mark.parametrize("name", FILES)
def test_both_parsers_accept_the_file(name: str) -> None:
    """Every Bicep file parses with pycep and with tree-sitter, without a repaired place."""
    assert parsed()[name]
    broken = [(n.start_point, text_of(n)) for n in nodes(name) if n.is_error or n.is_missing]
    assert broken == []


def test_only_known_resource_types_in_stable_versions() -> None:
    """No preview version, and nothing is deployed that this list does not name."""
    declared = [n for name in FILES for n in nodes(name) if n.type == "resource_declaration"]
    assert len(declared) == len(resources()), "pycep overlooks some nested resources: use parent"
    used = {(r["type"], r["api_version"]) for _, _, r in resources()}
    assert used == set(API_VERSIONS.items())


@pytest.mark.parametrize("name", FILES)
def test_every_parameter_and_output_is_described(name: str) -> None:
    """Whoever deploys learns from the portal or the file what each value means."""
    file = parsed()[name]
    for kind in ("parameters", "outputs"):
        for symbol, value in file.get(kind, {}).items():
            texts = [d["argument"] for d in value["decorators"] if d["type"] == "description"]
            assert texts, f"{symbol} has no description"
            assert texts[0].endswith("."), symbol
    assert file["metadata"]["description"]["value"]


def names_in(name: str) -> tuple[set[str], set[str], set[str]]:
    """Names that a file declares, uses in expressions, and calls as functions."""
    declared: set[str] = set()
    used: set[str] = set()
    called: set[str] = set()
    for node in nodes(name):
        parent = node.parent
        if node.type != "identifier" or parent is None:
            continue
        first = parent.children.index(node) == [c.type for c in parent.children].index("identifier")
        if parent.type == "call_expression" and parent.child_by_field_name("function") == node:
            called.add(text_of(node))
        elif first and (parent.type in BINDERS or parent.type.endswith("_declaration")):
            declared.add(text_of(node))
        elif not (parent.type == "object_property" and parent.children[0] == node):
            used.add(text_of(node))
    return declared, used, called


@pytest.mark.parametrize("name", FILES)
def test_every_parameter_and_variable_is_used(name: str) -> None:
    """Nothing is asked for that has no effect."""
    _, used, _ = names_in(name)
    file = parsed()[name]
    assert {*file.get("parameters", {}), *file.get("variables", {})} - used == set()


@pytest.mark.parametrize("name", FILES)
def test_every_name_is_declared(name: str) -> None:
    """A misspelt parameter, variable, resource or function is found without the compiler."""
    declared, used, called = names_in(name)
    assert used - declared == set()
    assert called - FUNCTIONS - DECORATORS == set()


@pytest.mark.parametrize("name", FILES)
def test_modules_exist_and_get_exactly_what_they_ask_for(name: str) -> None:
    """Each module path exists; each required parameter is passed, and no unknown one."""
    for symbol, module in parsed()[name].get("modules", {}).items():
        target = (PurePosixPath(name).parent / module["detail"]["path"]).as_posix()
        assert target in FILES, f"{symbol}: {target} does not exist"
        accepted = parsed()[target]["parameters"]
        required = {p for p, value in accepted.items() if value["default"] is None}
        config = module["config"].get("config", module["config"])  # inside of a condition
        assert required <= set(config["params"]) <= set(accepted), symbol


def test_outputs_of_modules_that_are_read_exist() -> None:
    """`module.outputs.x` names an output that the module has."""
    modules = parsed()["main.bicep"]["modules"]
    text = FILES["main.bicep"].read_text("utf-8")
    reads = re.findall(r"\b(\w+)!?\.outputs\.(\w+)", text)
    assert reads
    for module, output in reads:
        assert output in parsed()[modules[module]["detail"]["path"]]["outputs"], (module, output)


def test_every_module_and_every_text_file_is_used() -> None:
    """No template, query or workbook lies about unused, and each one that is loaded exists."""
    main = parsed()["main.bicep"]["modules"].values()
    assert {m["detail"]["path"] for m in main} == {n for n in FILES if n.startswith("modules/")}
    loaded = set()
    for path in FILES.values():
        for file in re.findall(r"loadTextContent\('([^']+)'\)", path.read_text("utf-8")):
            loaded.add((path.parent / file).resolve())
    assert loaded == {INFRA / "workbook.json", *(INFRA / "queries").glob("*.kql")}


def test_no_secret_goes_in_or_out() -> None:
    """No parameter takes a secret and no template reads a key: there is none to leak."""
    for name, path in FILES.items():
        assert not SECRET.search(path.read_text("utf-8")), name


@pytest.mark.parametrize("name", ["main.parameters.json", "bicepconfig.json", "workbook.json"])
def test_json_files_are_valid(name: str) -> None:
    """What azd, Bicep and the portal read as JSON is JSON."""
    assert json.loads((INFRA / name).read_text("utf-8"))
