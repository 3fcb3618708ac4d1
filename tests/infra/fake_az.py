"""Stands in for the Azure CLI: `az rest` against a directory in a JSON file. Run as a program.

Answers as Microsoft Graph does ("Get servicePrincipal", "Grant an appRoleAssignment", "Create
permission" of a site); understands only the JMESPath that grant.sh uses. Every call is noted in
the file, so that tests see what was sent.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

STATE = Path(os.environ.get("FAKE_AZ_STATE", ""))


def search(query: str, document: Any) -> Any:
    """The part of JMESPath in use: `a`, and `list[?condition && condition].field | [0]`."""
    form = re.fullmatch(r"(\w+)\[\?(.+)\]\.(\w+) \| \[0\]", query)
    if form is None:
        return document[query]
    name, condition, field = form.groups()
    for item in document[name]:
        if all(_holds(part, item) for part in condition.split(" && ")):
            return item[field]
    return None


def _holds(condition: str, item: Any) -> bool:
    contains = re.fullmatch(r"contains\((\w+), '([^']*)'\)", condition)
    if contains:
        return contains[2] in item[contains[1]]
    path, value = re.fullmatch(r"([\w.\[\]]+)=='([^']*)'", condition).groups()  # type: ignore[union-attr]  # a wrong query is a failing test
    for step in re.findall(r"\w+", path):
        try:
            item = item[int(step)] if step.isdigit() else item[step]
        except (LookupError, TypeError):
            return False
    return bool(item == value)


def get(state: dict[str, Any], path: str) -> Any:
    """What the directory answers to GET."""
    by_app = re.fullmatch(r"/v1.0/servicePrincipals\(appId='([^']+)'\)", path)
    if by_app:
        return next(p for p in state["principals"] if p["appId"] == by_app[1])
    parts = path.split("/")[2:]
    match parts:
        case ["servicePrincipals", key, "appRoleAssignments"]:
            next(p for p in state["principals"] if p["id"] == key)
            return {"value": [a for a in state["assignments"] if a["principalId"] == key]}
        case ["servicePrincipals", key]:
            return next(p for p in state["principals"] if p["id"] == key)
        case ["sites", site, "permissions"]:
            return {"value": state["permissions"].get(site, [])}
        case ["sites", site]:
            return {"id": f"{site.rstrip(':')},1,2"}
    raise StopIteration


def post(state: dict[str, Any], path: str, body: dict[str, Any]) -> None:
    """What the directory does for POST."""
    match path.split("/")[2:]:
        case ["servicePrincipals", resource, "appRoleAssignedTo"]:
            if body["resourceId"] != resource:
                sys.exit("Bad Request: resourceId differs from the address")
            known = [{k: a[k] for k in body} for a in state["assignments"] + state["unlisted"]]
            if body in known:
                sys.exit("Bad Request: Permission being assigned already exists on the object")
            if not state["administrator"]:
                sys.exit("Forbidden: Insufficient privileges to complete the operation.")
            state["assignments"].append({"id": f"a{len(state['assignments'])}", **body})
        case ["sites", site, "permissions"]:
            granted = [{"application": i["application"]} for i in body["grantedToIdentities"]]
            permission = {"id": "p", "roles": body["roles"], "grantedToIdentitiesV2": granted}
            state["permissions"].setdefault(site, []).append(permission)


def main(arguments: list[str]) -> None:
    """One `az rest` call."""
    if arguments[:1] != ["rest"]:
        sys.exit(f"fake az: unknown command {arguments}")
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    state = json.loads(STATE.read_text("utf-8"))
    url = urlsplit(options["--url"])
    root = f"{url.scheme}://{url.netloc}"
    if root != options["--resource"] or set(parse_qs(url.query)) - {"$select", "$top"}:
        sys.exit("fake az: unexpected address")
    path = url.path.removesuffix("/")
    state["calls"].append(f"{options['--method'].upper()} {root}{path}")
    try:
        if options["--method"] == "get":
            value = search(options["--query"], get(state, path))
            if value is not None:  # az prints nothing for null
                sys.stdout.write(f"{value}\n")
        else:
            post(state, path, json.loads(options["--body"]))
    except StopIteration:
        sys.exit("Not Found: Resource does not exist.")
    finally:
        STATE.write_text(json.dumps(state), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
