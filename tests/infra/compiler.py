"""The templates as the Bicep CLI sees them: linted, formatted, compiled, evaluated to resources.

A copy of `infra/` and of the parameter sets is compiled, so that nothing is written into the
project. One process answers all requests (`bicep jsonrpc`): starting the CLI for each of them would
take two seconds every time.
"""

import functools
import itertools
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

import pytest

from tests.infra.tools import DOTNET, ROOT, TIMEOUT_SECONDS, find, missing

INFRA = ROOT / "infra"
SETS = Path(__file__).with_name("snapshots")
"""Parameter sets `<name>.bicepparam` and what each deploys, `<name>.snapshot.json`."""

SUBSCRIPTION = "00000000-0000-0000-0000-00000000000a"
TENANT = "00000000-0000-0000-0000-00000000000b"
LOCATION = "westeurope"
GRAPH_TYPES = "microsoftgraph-v1.0-1.0.0.tgz"
METADATA = {
    "subscriptionId": SUBSCRIPTION,
    "tenantId": TENANT,
    "location": LOCATION,
    "deploymentName": "photo-sync",
}
"""Where the parameter sets are deployed to; the names of the resources follow from it."""

_REGISTRY = re.compile(r'"br:[^"]*/microsoftgraph/[^"]*"')

type Resource = dict[str, Any]


def names() -> list[str]:
    """Names of the parameter sets."""
    return sorted(path.stem for path in SETS.glob("*.bicepparam"))


class Deployment:
    """What one parameter set deploys, evaluated by `bicep snapshot`.

    Values that only Azure knows, such as the client id of the identity, stay expressions in
    brackets: `[reference('<resource id>', …).clientId]`.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.resources: list[Resource] = document["predictedResources"]
        self.outputs: dict[str, Any] = document["outputs"]
        self.diagnostics: list[Any] = document.get("diagnostics", [])

    def all(self, resource_type: str) -> list[Resource]:
        """Every resource of a type."""
        return [r for r in self.resources if r["type"] == resource_type]

    def the(self, resource_type: str, name: str = "") -> Resource:
        """The only resource of a type, or the only one whose name ends with `/<name>`."""
        found = [r for r in self.all(resource_type) if not name or r["name"].endswith(f"/{name}")]
        assert len(found) == 1, f"{resource_type} {name}: {len(found)} resources"
        return found[0]

    @property
    def settings(self) -> dict[str, str]:
        """Application settings of the function app."""
        settings: dict[str, str] = self.the("Microsoft.Web/sites/config", "appsettings")[
            "properties"
        ]
        return settings


class CompilerError(Exception):
    """The compiler refused a file; the message holds its diagnostics."""


class Compiler:
    """The Bicep CLI over a copy of the project's templates.

    Args:
        folder: for the copy.
    """

    def __init__(self, folder: Path) -> None:
        self.program = find("bicep", "BICEP")
        self.root = folder
        shutil.copytree(INFRA, folder / "infra")
        shutil.copytree(SETS, folder / "tests" / "infra" / "snapshots")
        self._use_local_graph_types()
        self._ids = itertools.count(1)
        self._process = subprocess.Popen(  # noqa: S603 - the CLI, no shell
            [self.program, "jsonrpc", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **DOTNET},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _use_local_graph_types(self) -> None:
        """Use the types of the Graph extension from a file, where there is one.

        It is named by BICEP_GRAPH_TYPES or stands beside the CLI. Without it the CLI fetches the
        types from the registry that `bicepconfig.json` names.
        """
        beside = Path(self.program).resolve().with_name(GRAPH_TYPES)
        types = Path(os.environ.get("BICEP_GRAPH_TYPES") or beside)
        if types.is_file():
            for config in (self.root / "infra").rglob("bicepconfig.json"):
                text, count = _REGISTRY.subn(f'"./{GRAPH_TYPES}"', config.read_text("utf-8"))
                if count:
                    config.write_text(text, "utf-8")
                    shutil.copy(types, config.with_name(GRAPH_TYPES))

    def _ask(self, method: str, path: Path, **parameters: object) -> dict[str, Any]:
        """One request of JSON-RPC, framed as in the Language Server Protocol."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        parameters = {"path": str(path), **parameters}
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": parameters}
        body = json.dumps(request).encode()
        watchdog = threading.Timer(TIMEOUT_SECONDS, self._process.kill)
        watchdog.start()
        try:
            stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            stdin.flush()
            length = 0
            while line := stdout.readline().strip():
                name, _, value = line.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
            answer: dict[str, Any] = json.loads(stdout.read(length))
        finally:
            watchdog.cancel()
        if "error" in answer:
            raise CompilerError(answer["error"]["message"])
        result: dict[str, Any] = answer["result"]
        return result

    @functools.cache  # noqa: B019 - one compiler a session
    def compiled(self, path: Path) -> tuple[dict[str, Any], list[str]]:
        """A `.bicep` or `.bicepparam` file as JSON, and all errors and warnings about it."""
        sets = path.suffix == ".bicepparam"
        extra: dict[str, Any] = {"parameterOverrides": {}} if sets else {}
        answer = self._ask("bicep/compileParams" if sets else "bicep/compile", path, **extra)
        said = [d for d in answer["diagnostics"] if d["level"] in ("Error", "Warning")]
        if any(d["code"] == "BCP192" for d in said):
            missing(f"types of Microsoft Graph: BICEP_GRAPH_TYPES, or network. {said[0]}")
        text = answer.get("parameters" if sets else "contents")
        return json.loads(text or "{}"), [
            f"{d['source']}: {d['level']} {d['code']}: {d['message']}" for d in said
        ]

    def template(self, path: str) -> dict[str, Any]:
        """The compiled template of a `.bicep` file below `infra/`."""
        return self.compiled(self.root / "infra" / path)[0]

    def formatted(self, path: Path) -> str:
        """A file as the formatter would write it."""
        return str(self._ask("bicep/format", path)["contents"])

    @functools.cache  # noqa: B019 - one compiler a session
    def deployment(self, name: str) -> Deployment:
        """What a parameter set in `snapshots/` deploys."""
        return self.evaluate(self.root / "tests" / "infra" / "snapshots" / f"{name}.bicepparam")

    def evaluate(self, path: Path, **metadata: str) -> Deployment:
        """What the parameter file at this path deploys.

        Raises:
            CompilerError: the parameters cannot be deployed.
        """
        where = METADATA | metadata
        answer = self._ask("bicep/getSnapshot", path, metadata=where, externalInputs=None)
        return Deployment(json.loads(answer["snapshot"]))


RUNNING = pytest.StashKey[Compiler]()
"""Where a session of tests keeps the compiler."""


def canonical(document: object) -> str:
    """JSON with sorted names, so that a difference shows what changed and nothing else."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
