"""An administrator's shell before a deployed app, with a stand-in for the Azure CLI."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local import checks
from tests.support.served_world import Served


class Desk:
    """An administrator's shell: the command, and the Azure CLI that it finds.

    Args:
        here: the app.
        folder: of the stand-in of az, and for its state.
        monkeypatch: to set the environment.
        capsys: what was printed.
    """

    def __init__(
        self, here: Served, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        self._capsys = capsys
        self.here = here
        self.file = folder / "state.json"
        tenant = here.world.tenant
        self.identity = tenant.user_identity
        host = urlsplit(here.host.url).netloc
        admin = ["Application.Read.All"]
        self.state: dict[str, Any] = {
            "apps": [
                {
                    "name": "func-photos",
                    "resourceGroup": "rg-photos",
                    "defaultHostName": host,
                    "state": "Running",
                }
            ],
            "key": here.keys.function,
            "settings": {
                "GRAPH_URL": tenant.url("graph"),
                "MANAGED_IDENTITY_CLIENT_ID": self.identity.client_id,
                "SYNC_SCHEDULE": "0 */15 1-5 * * *",
            },
            "identity": {
                "principalId": None,
                "userAssignedIdentities": {
                    "/subscriptions/x/photo-sync": {
                        "clientId": self.identity.client_id.upper(),
                        "principalId": self.identity.object_id,
                    }
                },
            },
            "graph_token": tenant.tokens.mint(tenant.url("graph"), "admin", "admin", roles=admin),
        }
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("FAKE_AZ_STATE", str(self.file))
        monkeypatch.delenv("PHOTO_SYNC_KEY", raising=False)
        here.settings(MANAGED_IDENTITY_CLIENT_ID=self.identity.client_id)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, output and errors; both in one line, as wrapping does not matter."""
        self.file.write_text(json.dumps(self.state), "utf-8")
        status = checks.main(["--url", self.here.host.url, *arguments])
        out, err = self._capsys.readouterr()
        assert self.here.keys.function not in out + err
        assert self.state["graph_token"] not in out + err
        return status, " ".join(out.split()), " ".join(err.split())
