"""The control interface and the command line."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from local.tenant import Tenant
from local.tenant.__main__ import main, ports

Http = Callable[..., requests.Response]


@pytest.fixture
def control(tenant: Tenant) -> Http:
    def call(method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method, f"{tenant.url('identity')}/control/{path}", timeout=10, **options
        )

    return call


def test_people(tenant: Tenant, control: Http) -> None:
    """Everybody is listed with kind, photo and what SharePoint shows."""
    found = {one["id"]: one for one in control("GET", "people").json()["people"]}
    assert found.keys() == tenant.directory.people.keys()
    for person in tenant.directory.people.values():
        one = found[person.id]
        assert one["userPrincipalName"] == person.upn
        assert one["photo"] is (person.photo is not None)
        assert (one["shown"] is None) is (person.existing in ("none", "placeholder"))
        assert one["kind"]


def test_pictures(tenant: Tenant, control: Http) -> None:
    """The photo in Exchange and the large thumbnail in SharePoint can be had, or are 404."""
    people = tenant.directory.people.values()
    person = next(one for one in people if one.existing == "id-prefix" and one.photo)
    assert person.photo is not None
    assert control("GET", f"photo/{person.id}").content == person.photo.data
    shown = control("GET", f"shown/{person.id}")
    assert shown.headers["Content-Type"] == "image/jpeg"
    assert shown.content[:2] == b"\xff\xd8"
    nothing = next(one for one in people if one.existing == "none" and one.photo is None)
    assert control("GET", f"photo/{nothing.id}").status_code == 404
    assert control("GET", f"shown/{nothing.id}").status_code == 404
    assert control("GET", "shown/nobody").status_code == 404


def test_change(tenant: Tenant, control: Http) -> None:
    """Photos of so many people are replaced, the same ones for the same seed."""
    before = {one.id: one.photo for one in tenant.directory.people.values()}
    changed = control("POST", "change", json={"count": 3, "seed": 5}).json()["changed"]
    assert len(changed) == 3
    after = {one.id: one.photo for one in tenant.directory.people.values()}
    assert {key for key, photo in after.items() if photo != before[key]} == set(changed)
    for key in changed:
        old, new = before[key], after[key]
        assert old is not None
        assert new is not None
        assert old.data != new.data
        assert old.etag != new.etag
    assert control("POST", "change", json={"count": 3, "seed": 5}).json()["changed"] == changed
    assert control("POST", "change", json={}).status_code == 400
    assert control("POST", "change", data=b"[]").status_code == 400


def test_tape(control: Http, graph: Any) -> None:
    """The tape's totals can be read and cleared, and the control calls are not on it."""
    graph.read("/users?$top=1")
    summary = control("GET", "tape/summary").json()
    assert summary["requests"] == 1
    assert summary["by_operation"] == {"users.list": 1}
    assert summary["units"] == {"graph": 1}
    assert control("POST", "tape/clear").status_code == 204
    assert control("GET", "tape/summary").json()["requests"] == 0
    assert control("GET", "nothing").status_code == 404


@pytest.mark.parametrize("text", ["graph", "graph=x", "nothing=1", "graph=99999"])
def test_wrong_ports(text: str) -> None:
    """A port list that makes no sense is refused, with the usage."""
    with pytest.raises(ValueError):
        ports(text)
    with pytest.raises(SystemExit):
        main(["--ports", text])


def test_command_line(tmp_path: Path) -> None:
    """The command writes its settings, serves, and ends cleanly when told to."""
    file = tmp_path / "settings.json"
    command = [sys.executable, "-m", "local.tenant", "--users", "3"]
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--print-settings", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": "."},
    ) as process:
        try:
            end = time.monotonic() + 20
            while not file.exists() and time.monotonic() < end:
                time.sleep(0.02)
            settings = json.loads(file.read_text())
            people = requests.get(f"{settings['CONTROL_URL']}/people", timeout=10).json()
            assert len(people["people"]) == 3
            assert settings["IDENTITY_ENDPOINT"].startswith("http://127.0.0.1:")
            requests.post(f"{settings['CONTROL_URL']}/quit", timeout=10)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert json.loads(out) == settings
    assert err == b""
