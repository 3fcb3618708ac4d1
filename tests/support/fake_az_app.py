"""Stands in for the Azure CLI: one function app in a JSON file, Graph forwarded.

The file named by FAKE_AZ_STATE holds `apps`, `key`, `settings`, `identity` as the CLI prints them,
and `graph_token` of an administrator, with which `az rest` asks the emulated tenant.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> Any:
    """What a command prints as JSON."""
    state = json.loads(Path(os.environ["FAKE_AZ_STATE"]).read_text("utf-8"))
    first = next(i for i, word in enumerate(arguments) if word.startswith("--"))
    command, rest = arguments[:first], arguments[first:]
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    if options.pop("--output") != "json":
        sys.exit("fake az: only JSON")
    if command == ["rest"]:
        return graph(state, options)
    if command == ["functionapp", "list"]:
        return state["apps"]
    app = state["apps"][0]
    if (options.pop("--name"), options.pop("--resource-group")) != (
        app["name"],
        app["resourceGroup"],
    ):
        sys.exit("ERROR: (ResourceNotFound) The resource was not found.")
    query = options.pop("--query", None)
    if options:
        sys.exit(f"fake az: unknown options {options}")
    match command[1:]:
        case ["keys", "list"] if query == "functionKeys.default":
            return state["key"]
        case ["config", "appsettings", "list"]:
            return [
                {"name": n, "value": v, "slotSetting": False} for n, v in state["settings"].items()
            ]
        case ["identity", "show"]:
            return state["identity"]
    sys.exit(f"fake az: unknown command {arguments}")


def graph(state: dict[str, Any], options: dict[str, str]) -> Any:
    """`az rest --method get` as the administrator."""
    if options["--method"] != "get" or not options["--url"].startswith(options["--resource"]):
        sys.exit("fake az: unexpected request")
    headers = {"Authorization": f"Bearer {state['graph_token']}"}
    request = urllib.request.Request(options["--url"], headers=headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            sys.exit(f"ERROR: {error.reason}({error.read().decode()})")
