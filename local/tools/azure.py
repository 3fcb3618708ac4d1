"""What the Azure CLI tells an administrator about a deployed app: key, settings, identity, grants.

Only reads. Sources: Azure CLI reference, `az functionapp` and `az rest`; Microsoft Graph docs,
"List appRoleAssignments granted to a service principal". Standard library only.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, NamedTuple

from shared import roles
from shared.config import CLOUDS
from shared.config.schedule import Schedule

_APP_IDS = {
    roles.GRAPH: "00000003-0000-0000-c000-000000000000",
    roles.SHAREPOINT: "00000003-0000-0ff1-ce00-000000000000",
}
_TOKEN_CHECKS = {
    roles.GRAPH: "Graph token and roles",
    roles.SHAREPOINT: "SharePoint token and roles",
}
_LACKS = re.compile(r" lacks ([\w., ]+?)\. If it is")
_TIMEOUT_SECONDS = 180
_ON = {"true", "1"}
_WAIT = "wait: Azure keeps tokens of managed identities for up to 24 hours, nothing can hurry it"


class AzError(Exception):
    """The Azure CLI could not answer; the message says why and what helps."""


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: short.
        ok: whether all is well.
        detail: what was found.
        remedy: what to do; "" when all is well.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


class App(NamedTuple):
    """A function app.

    Attributes:
        name: of the app.
        group: its resource group.
        state: "Running" when it runs.
    """

    name: str
    group: str
    state: str

    @property
    def options(self) -> str:
        """How commands name it."""
        return f"--name {self.name} --resource-group {self.group}"


class Az:
    """The Azure CLI, signed in."""

    def app(self, host: str) -> App:
        """The app that answers at this host name.

        Raises:
            AzError: the subscription has none.
        """
        for app in self._json("functionapp", "list"):
            # For apps on Flex Consumption the CLI shows some answers as Azure Resource Manager
            # gives them, with everything but the name below `properties`.
            known = {**app, **(app.get("properties") or {})}
            if str(known.get("defaultHostName", "")).lower() == host.lower():
                return App(app["name"], app["resourceGroup"], str(known.get("state", "")))
        raise AzError(f"no function app at {host} in this subscription (az account show)")

    def key(self, app: App) -> str:
        """The default function key."""
        query = ("--query", "functionKeys.default")
        return str(self._json("functionapp", "keys", "list", *app.options.split(), *query))

    def settings(self, app: App) -> dict[str, str]:
        """The application settings."""
        found = self._json("functionapp", "config", "appsettings", "list", *app.options.split())
        return {str(setting["name"]): str(setting["value"] or "") for setting in found}

    def principal(self, app: App, settings: Mapping[str, str], graph: str) -> str:
        """Object id of whoever asks Microsoft 365: the identity, or the other tenant's application.

        Raises:
            AzError: the app has no such identity.
        """
        if client := settings.get("TARGET_CLIENT_ID"):
            return str(self.graph(graph, f"servicePrincipals(appId='{client}')?$select=id")["id"])
        identity = self._json("functionapp", "identity", "show", *app.options.split()) or {}
        client = settings.get("MANAGED_IDENTITY_CLIENT_ID", "").lower()
        if not client and identity.get("principalId"):
            return str(identity["principalId"])
        for assigned in (identity.get("userAssignedIdentities") or {}).values():
            if client == str(assigned["clientId"]).lower():
                return str(assigned["principalId"])
        raise AzError(f"{app.name} has no identity {client or '(system-assigned)'}")

    def graph(self, root: str, path: str) -> Any:
        """Ask Microsoft Graph."""
        return self._json(
            "rest", "--method", "get", "--url", f"{root}/v1.0/{path}", "--resource", root
        )

    def _json(self, *arguments: str) -> Any:
        program, command = shutil.which("az"), " ".join(takewhile(_is_word, arguments))
        if program is None:
            raise AzError(
                "az is missing: install the Azure CLI, or set PHOTO_SYNC_KEY without --az"
            )
        try:
            done = subprocess.run(  # noqa: S603 - found on PATH, no shell
                [program, *arguments, "--output", "json"],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
            if done.returncode == 0:
                return json.loads(done.stdout or "null")
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise AzError(f"az {command}: {type(error).__name__}") from None
        said = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise AzError(f"az {command}: {said[0][:300]}")


def _is_word(argument: str) -> bool:
    return not argument.startswith("--")


def examine(
    az: Az, app: App, checks: Mapping[str, Mapping[str, Any]], principal: str = ""
) -> Iterator[Finding]:
    """What only Azure and the directory know, compared with what the app says of itself.

    Args:
        az: signed in.
        app: to look at.
        checks: of `GET /api/sync` by name; empty when the app does not answer.
        principal: object id of the identity; found by itself when empty.

    Raises:
        AzError: the app cannot be looked at.
    """
    settings = az.settings(app)
    yield _running(app)
    yield _timer(app, settings)
    yield _schedule(settings)
    try:
        yield from _grants(az, app, settings, checks, principal)
    except (AzError, LookupError, TypeError) as error:
        remedy = "sign in (az login --tenant …) as somebody who may read applications"
        yield Finding("grants", ok=False, detail=str(error), remedy=remedy)


def _running(app: App) -> Finding:
    ok = app.state == "Running"
    return Finding(
        "function app",
        ok=ok,
        detail=app.state or "state unknown",
        remedy="" if ok else f"az functionapp start {app.options}",
    )


def _timer(app: App, settings: Mapping[str, str]) -> Finding:
    name = "AzureWebJobs.SyncTimer.Disabled"
    if settings.get(name, "").strip().lower() not in _ON:
        return Finding("SyncTimer", ok=True, detail="enabled")
    command = f"az functionapp config appsettings set {app.options} --settings {name}=false"
    return Finding("SyncTimer", ok=False, detail=f"{name} is true", remedy=command)


def _schedule(settings: Mapping[str, str]) -> Finding:
    text = settings.get("SYNC_SCHEDULE", "")
    try:
        Schedule.parse(text)
    except ValueError as error:
        remedy = "azd env set SYNC_SCHEDULE '0 */15 1-5 * * *', azd provision"
        return Finding("SYNC_SCHEDULE", ok=False, detail=str(error), remedy=remedy)
    return Finding("SYNC_SCHEDULE", ok=True, detail=f"{text} (UTC)")


def _grants(
    az: Az,
    app: App,
    settings: Mapping[str, str],
    checks: Mapping[str, Mapping[str, Any]],
    principal: str,
) -> Iterator[Finding]:
    """Each app role: granted, and in the token."""
    cloud = CLOUDS[settings.get("CLOUD", "").strip().lower() or "global"]
    graph = (settings.get("GRAPH_URL", "").strip() or cloud.graph_url).rstrip("/")
    principal = principal or az.principal(app, settings, graph)
    with_group = bool(settings.get("SYNC_GROUP_ID", "").strip())
    command = f"infra/permissions/grant.sh --principal-id {principal}"
    command += " --with-group" if with_group else ""
    command += f" --graph {graph}" if graph != CLOUDS["global"].graph_url else ""
    path = f"servicePrincipals/{principal}/appRoleAssignments?$top=999"
    # A role is told by its resource and its id: Graph and SharePoint use the same ids.
    assigned = {(a["resourceId"], a["appRoleId"]) for a in az.graph(graph, path)["value"]}
    for resource, app_id in _APP_IDS.items():
        path = f"servicePrincipals(appId='{app_id}')?$select=id,appRoles"
        service = az.graph(graph, path)
        held = {
            str(role["value"])
            for role in service["appRoles"]
            if "Application" in role["allowedMemberTypes"]
            and (service["id"], role["id"]) in assigned
        }
        for role in roles.needed(resource, with_group=with_group):
            granted = roles.covers(held, resource, role)
            known = _in_token(checks.get(_TOKEN_CHECKS[resource]), role)
            yield _judged(f"{resource} {role}", command, granted=granted, in_token=known)


def _in_token(check: Mapping[str, Any] | None, role: str) -> bool | None:
    """Whether the app's token carries a role; None when the app could not tell."""
    if check is None or check["ok"]:
        return None if check is None else True
    lacking = _LACKS.search(str(check["detail"]))
    return role not in lacking[1].split(", ") if lacking else None


def _judged(name: str, command: str, *, granted: bool, in_token: bool | None) -> Finding:
    if granted and in_token is False:
        return Finding(name, ok=False, detail="granted, not in the token yet", remedy=_WAIT)
    if granted:
        seen = "and in the token" if in_token else "the app's token was not seen"
        return Finding(name, ok=True, detail=f"granted, {seen}")
    if in_token:
        detail = "not granted any more: works until the token ends, up to 24 hours"
        return Finding(name, ok=False, detail=detail, remedy=command)
    return Finding(name, ok=False, detail="not granted", remedy=command)
