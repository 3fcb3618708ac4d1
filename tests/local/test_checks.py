"""`python -m local.checks`: what an administrator's shell is told about a deployed app."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local import checks
from local.tenant.faults import Delivery
from local.tenant.http import Response
from local.tenant.quirks import Quirks
from tests.infra.fake_az import serving
from tests.support import fake_az_app
from tests.support.admin_shell import Desk
from tests.support.scripted_service import Loopback
from tests.support.served_world import ROOT, Served

Make = Callable[..., Served]


def run_az(arguments: list[str]) -> tuple[int, str]:
    """The stand-in for the Azure CLI in this process: exit status, and what is printed."""
    try:
        return 0, json.dumps(fake_az_app.main(arguments))
    except SystemExit as ended:
        return 1, f"{ended.code}\n"


@pytest.fixture
def desk(
    served: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Iterator[Callable[..., Desk]]:
    """Makes a desk before an app of one user, which asks as the user-assigned identity.

    Its `az` hands commands to this process: a Python for each of them would take most of the time.
    """
    with ExitStack() as stack:

        def make(**arguments: Any) -> Desk:
            here = served(users=1, settings={"PILOT": "true"}, **arguments)
            made = Desk(here, tmp_path, monkeypatch, capsys)
            stack.enter_context(serving(run_az, tmp_path / "az"))
            return made

        yield make


@pytest.fixture
def keyed(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk with the key in the environment and without the Azure CLI."""
    made = desk()
    monkeypatch.setenv("PHOTO_SYNC_KEY", made.here.keys.function)
    monkeypatch.setenv("PATH", "")
    return made


def test_all_is_well(keyed: Desk) -> None:
    """Every check in a line; exit status 0; the Azure CLI is not needed."""
    status, out, _ = keyed.run()
    assert status == 0
    for check in keyed.here.get().json["checks"]:
        assert f"ok {check['name']} {check['detail']}" in out
    assert "no run yet" in out
    assert "NO " not in out
    keyed.here.fire()
    assert "last run completed, begun " in keyed.run()[1]


def test_what_is_wrong_is_shown_with_its_remedy(keyed: Desk) -> None:
    keyed.here.world.tenant.roles["sharepoint"].discard("User.ReadWrite.All")
    status, out, _ = keyed.run()
    assert status == 1
    assert "NO SharePoint token and roles the token for SharePoint lacks" in out
    assert f"-> infra/permissions/grant.sh --principal-id {keyed.identity.object_id}" in out


def test_wrong_settings_are_shown(keyed: Desk) -> None:
    keyed.here.settings(CLOUD="mars")
    status, out, _ = keyed.run()
    assert status == 1
    assert "CLOUD" in out


def test_the_key_comes_from_azure_when_none_is_given(desk: Callable[..., Desk]) -> None:
    assert desk().run()[0] == 0


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ({"PATH": ""}, "az is missing: install the Azure CLI"),
        ({"PHOTO_SYNC_KEY": "wrong"}, "answer 401: the function key is wrong or missing"),
    ],
)
def test_who_cannot_get_in_is_told_why(
    desk: Callable[..., Desk],
    monkeypatch: pytest.MonkeyPatch,
    spoilt: dict[str, str],
    words: str,
) -> None:
    """Exit status 1, one line."""
    made = desk()
    for name, value in spoilt.items():
        monkeypatch.setenv(name, value)
    status, out, err = made.run()
    assert status == 1
    assert words in out + err


def test_an_app_that_azure_shows_as_the_resource_manager_does(desk: Callable[..., Desk]) -> None:
    """On Flex Consumption host name and state stand below `properties`."""
    made = desk()
    app = made.state["apps"][0]
    app["properties"] = {name: app.pop(name) for name in ("defaultHostName", "state")}
    made.here.get()  # now the platform has tokens
    status, out, err = made.run("--az")
    assert (status, err) == (0, "")
    assert "ok function app Running" in out


def test_an_app_that_azure_does_not_know(desk: Callable[..., Desk]) -> None:
    made = desk()
    made.state["apps"][0]["defaultHostName"] = "elsewhere.azurewebsites.net"
    status, out, err = made.run("--az")
    assert (status, out) == (1, "")
    assert "no function app at 127.0.0.1" in err


def test_an_app_that_does_not_answer_is_looked_at_in_azure(desk: Callable[..., Desk]) -> None:
    """Stopped, timer disabled, no schedule: Azure knows, and the grants are shown all the same."""
    made = desk()
    made.state["apps"][0]["state"] = "Stopped"
    made.state["settings"] |= {"AzureWebJobs.SyncTimer.Disabled": "True", "SYNC_SCHEDULE": "daily"}
    made.here.host.stop()
    status, out, _ = made.run("--az")
    assert status == 1
    assert "NO GET /api/sync" in out
    assert "-> az functionapp start --name func-photos --resource-group rg-photos" in out
    assert "NO SyncTimer AzureWebJobs.SyncTimer.Disabled is true" in out
    assert "--settings AzureWebJobs.SyncTimer.Disabled=false" in out
    assert "NO SYNC_SCHEDULE" in out
    assert "ok Microsoft Graph User.Read.All granted, the app's token was not seen" in out


def test_grants_and_token_agree(desk: Callable[..., Desk]) -> None:
    status, out, _ = desk().run("--az")
    assert status == 0
    for role in ("Microsoft Graph User.Read.All", "SharePoint Sites.FullControl.All"):
        assert f"ok {role} granted, and in the token" in out
    assert "ok SyncTimer enabled" in out
    assert "GroupMember" not in out


@pytest.mark.parametrize(
    ("granted", "in_token", "detail", "remedy"),
    [
        (True, False, "granted, not in the token yet", "wait: "),
        (False, False, "not granted", "infra/permissions/grant.sh --principal-id"),
        (False, True, "not granted any more", "infra/permissions/grant.sh --principal-id"),
    ],
)
def test_what_is_granted_is_told_apart_from_what_the_token_carries(
    desk: Callable[..., Desk], granted: bool, in_token: bool, detail: str, remedy: str
) -> None:
    """The platform hands out yesterday's token; the directory knows today's grants."""
    made = desk(quirks=Quirks(identity_cache_seconds=86_400))
    tenant = made.here.world.tenant
    group = {"SYNC_GROUP_ID": tenant.group_id}
    made.here.settings(**group)
    made.state["settings"] |= group
    roles = {"graph": "GroupMember.Read.All", "sharepoint": "User.ReadWrite.All"}
    for service, role in roles.items():
        (tenant.roles[service].add if in_token else tenant.roles[service].discard)(role)
    made.here.get()  # now the platform has tokens
    for service, role in roles.items():
        (tenant.roles[service].add if granted else tenant.roles[service].discard)(role)

    status, out, _ = made.run("--az")

    assert status == 1
    for name in ("Microsoft Graph GroupMember.Read.All", "SharePoint User.ReadWrite.All"):
        assert f"NO {name} {detail}" in out
        assert remedy in out.partition(f"NO {name} ")[2]
    for name in ("Microsoft Graph User.Read.All", "SharePoint Sites.FullControl.All"):
        assert f"ok {name} granted, and in the token" in out


def test_a_role_of_the_other_resource_does_not_count(desk: Callable[..., Desk]) -> None:
    """Graph and SharePoint share the id of `User.Read.All`: an assignment is of one of them."""
    made = desk()
    tenant = made.here.world.tenant
    tenant.roles["graph"] = set()
    tenant.roles["sharepoint"] |= {"User.Read.All"}
    _, out, _ = made.run("--az")
    assert "NO Microsoft Graph User.Read.All not granted" in out


def test_a_narrower_role_and_a_larger_one_do_as_well(desk: Callable[..., Desk]) -> None:
    made = desk()
    made.here.world.tenant.roles["sharepoint"] = {"User.ReadWrite.All", "Sites.Selected"}
    _, out, _ = made.run("--az")
    assert "ok SharePoint Sites.FullControl.All granted, and in the token" in out


def test_who_may_not_read_grants_is_told(desk: Callable[..., Desk]) -> None:
    """The rest of the table is there."""
    made = desk()
    tenant = made.here.world.tenant
    made.state["graph_token"] = tenant.tokens.mint(tenant.url("graph"), "a", "a", roles=[])
    status, out, _ = made.run("--az")
    assert status == 1
    assert "NO grants az rest: ERROR" in out
    assert "ok SyncTimer enabled" in out


def test_an_identity_that_is_not_assigned_is_named(desk: Callable[..., Desk]) -> None:
    made = desk()
    made.state["identity"] = None
    assert f"no identity {made.identity.client_id}" in made.run("--az")[1]
    assert made.run("--az", "--principal-id", made.identity.object_id)[0] == 0


def test_the_system_assigned_identity_is_found(desk: Callable[..., Desk]) -> None:
    made = desk()
    made.here.settings(MANAGED_IDENTITY_CLIENT_ID=None)
    del made.state["settings"]["MANAGED_IDENTITY_CLIENT_ID"]
    made.state["identity"] = {"principalId": made.identity.object_id}
    assert made.run("--az")[0] == 0


def test_in_another_tenant_the_application_is_looked_at(desk: Callable[..., Desk]) -> None:
    made = desk()
    made.state["settings"]["TARGET_CLIENT_ID"] = made.identity.client_id
    made.state["identity"] = None
    assert made.run("--az")[0] == 0


def test_the_pilot_report_is_printed_and_kept(keyed: Desk, tmp_path: Path) -> None:
    """All ten answers, readable; the file holds what was printed."""
    person = next(iter(keyed.here.world.tenant.directory.people.values()))
    keyed.here.post(person.upn)
    file = tmp_path / "pilot.txt"
    status, out, _ = keyed.run("--pilot", person.upn, "--out", str(file))
    assert status == 0
    kept = file.read_text("utf-8")
    assert " ".join(kept.split()) in out
    assert max(map(len, kept.splitlines())) < 400
    report = keyed.here.post(person.upn, "pilot=true&dry_run=true").json
    assert f"{person.upn} ({person.id})" in out
    for probe in report["probes"]:
        assert f"{probe['id']} " in out
        assert f"{probe['question']}?" in out
    assert "P1 yes may the identity write profiles" in out
    assert "own values were written back" in out


def test_the_pilot_can_only_read(keyed: Desk) -> None:
    person = next(iter(keyed.here.world.tenant.directory.people.values()))
    keyed.here.post(person.upn)
    keyed.here.world.tenant.tape.clear()
    status, out, _ = keyed.run("--pilot", person.upn, "--dry-run")
    assert status == 0
    assert "dry run, only read" in out
    assert keyed.here.world.tenant.tape.writes() == []


def test_a_pilot_user_with_any_name_reaches_the_app(keyed: Desk) -> None:
    person = next(iter(keyed.here.world.tenant.directory.people.values()))
    keyed.here.world.tenant.directory.rename(person.id, "o'brien+1_fabrikam.com#EXT#@contoso.com")
    assert keyed.run("--pilot", person.upn, "--dry-run")[0] == 0


def test_a_pilot_that_found_something_wrong_is_no_success(keyed: Desk) -> None:
    """The exit status tells a script that the report has to be read."""
    person = next(iter(keyed.here.world.tenant.directory.people.values()))
    status, out, _ = keyed.run("--pilot", person.upn)
    assert status == 1
    assert "The pilot wrote nothing. This user has no picture" in out


def test_an_unknown_pilot_user_is_told(keyed: Desk) -> None:
    status, out, err = keyed.run("--pilot", "nobody@contoso.com")
    assert (status, out) == (1, "")
    assert "answer 404: the directory has no user nobody@contoso.com" in err


def test_a_file_that_cannot_be_written_stops_before_the_pilot(keyed: Desk, tmp_path: Path) -> None:
    person = next(iter(keyed.here.world.tenant.directory.people.values()))
    keyed.here.post(person.upn)
    keyed.here.world.tenant.tape.clear()
    assert keyed.run("--pilot", person.upn, "--out", str(tmp_path / "no" / "x.txt"))[0] == 1
    assert keyed.here.world.tenant.tape.entries() == []


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Response(302, b"", {"Location": "http://127.0.0.1:1/"}), "answer 302"),
        (Response(200, b"<html>"), "does not answer"),
        (Response(200, b"[]"), "GET /api/sync"),
        (Response(403, b"<html>"), "network rules, or sign-in"),
        (Response(502, b"[1]"), "answer 502: no reason given"),
        (Delivery.RESET, "does not answer"),
        (Delivery.HALF, "does not answer"),
    ],
)
def test_whatever_answers_the_command_ends_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, reply: Any, words: str
) -> None:
    """And the key goes nowhere else."""
    monkeypatch.setenv("PHOTO_SYNC_KEY", "k")
    with Loopback() as app:
        app.script(reply)
        assert checks.main(["--url", app.url]) == 1
        assert words in " ".join(capsys.readouterr().out.split())
        assert checks.main(["--url", app.url, "--pilot", "a@b.com"]) == 1
        assert "local.checks: " in capsys.readouterr().err
    assert {request.headers["x-functions-key"] for request in app.requests} == {"k"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--url", "http://func-photos.azurewebsites.net"],
        ["--url", "https://func-photos.azurewebsites.net/api/sync"],
        ["--url", "https://x.net", "--out", "pilot.txt"],
        ["--url", "https://x.net", "--pilot", "a@b.com", "--az"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: Any) -> None:
    """Exit status 2, and nothing is sent: a key never goes over plain http."""
    with pytest.raises(SystemExit) as ended:
        checks.main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_it_needs_nothing_but_python() -> None:
    """An administrator has no environment of this project."""
    done = subprocess.run(
        [sys.executable, "-E", "-S", "-m", "local.checks", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--pilot USER" in done.stdout


@pytest.mark.parametrize("module", ["tools/azure", "checks"])
def test_what_the_command_says_is_in_the_manual(module: str) -> None:
    """Every finding and every reason to end, with its remedy."""
    manual = (ROOT / "docs" / "reference.md").read_text("utf-8")
    tree = ast.parse((ROOT / "local" / f"{module}.py").read_text("utf-8"))
    texts = [
        text
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") in {"Finding", "AzError", "AskError"}
        for node in ast.walk(call)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for text in [node.value.strip(" :")]
        if len(text.split()) > 2
    ]
    assert len(texts) > 1
    assert [text for text in texts if text not in manual] == []
