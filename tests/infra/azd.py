"""What the Azure Developer CLI does with this project, as far as tests need it.

`azd env set`, the parameters that `azd provision` makes of them, the outputs it keeps, its hooks.
Sources: Azure/azure-dev, schema of azure.yaml and its handling of `main.parameters.json`; the case
that a value is dropped without a word was met with azd 1.23.
"""

import ast
import json
import os
import re
from typing import Any

import yaml

from tests.infra.compiler import INFRA, Compiler
from tests.infra.directory import CLIENT, PRINCIPAL
from tests.infra.tools import ROOT, run

PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
APP_URL = "https://func-photo-sync-abc.westeurope-01.azurewebsites.net"


class Azd:
    """One environment of azd.

    Args:
        compiler: evaluates what would be deployed.
    """

    def __init__(self, compiler: Compiler, name: str) -> None:
        self._compiler = compiler
        self.values = {"AZURE_ENV_NAME": name, "AZURE_LOCATION": "westeurope"}

    def template(self, path: str) -> dict[str, Any]:
        """A template of the project, compiled."""
        return self._compiler.template(path)

    def set(self, **values: str) -> None:
        """`azd env set NAME value`, for each."""
        self.values |= values

    def parameters(self) -> dict[str, str | bool | int]:
        """The parameters that reach the template.

        A name without a value is left out, so that the default of the template counts; so is a
        value that the type of its parameter does not allow, and azd says nothing of it.
        """
        file = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
        types = self._compiler.template("main.bicep")["parameters"]
        given: dict[str, str | bool | int] = {}
        for name, parameter in file.items():
            text = re.sub(r"\$\{(\w+)\}", lambda m: self.values.get(m[1], ""), parameter["value"])
            match types[name]["type"]:
                case "bool" if text in ("true", "false"):
                    given[name] = text == "true"
                case "int" if text.isdigit():
                    given[name] = int(text)
                case "string" if text:
                    given[name] = text
        return given

    def provision(self) -> None:
        """Evaluate the template and keep its outputs, as `azd provision` does."""
        folder = self._compiler.root / "tests" / "infra" / "snapshots"
        path = folder / f"azd-{self.values['AZURE_ENV_NAME']}.bicepparam"
        lines = [f"param {name} = {_literal(v)}" for name, v in self.parameters().items()]
        path.write_text("\n".join(["using '../../../infra/main.bicep'", *lines]), "utf-8")
        outputs = self._compiler.evaluate(path).outputs
        self.values |= {name: evaluated(str(value)) for name, value in outputs.items()}

    def hook(self, name: str, system: str) -> tuple[str, str]:
        """Shell and text of a hook of the project.

        What a hook prints stays on the screen only when it is interactive; else azd shows it in a
        pane of eight lines, which it clears when the hook ends.
        """
        hook = PROJECT["hooks"][name][system]
        assert hook["interactive"] is True
        return hook["shell"], hook["run"]

    def run_hook(self, name: str, program: str) -> list[str]:
        """Lines that a hook prints where there is no Windows."""
        shell, text = self.hook(name, "posix")
        assert shell == "sh"
        done = run([program, "-c", text], env={"PATH": os.environ["PATH"], **self.values})
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()


def _literal(value: str | bool | int) -> str:
    """A value as Bicep writes it."""
    if isinstance(value, str):
        return "'" + re.sub(r"['\\]|\$(?={)", r"\\\g<0>", value) + "'"
    return str(value).lower()


_RUNTIME = {
    "clientId": CLIENT,
    "principalId": PRINCIPAL,
    "defaultHostName": APP_URL.removeprefix("https://"),
    "ipAddress": "192.0.2.1",
}
"""What only Azure knows when it has deployed."""

_FUNCTIONS = {
    "join": lambda parts, between: between.join(parts),
    "createArray": lambda *parts: list(parts),
    "concat": lambda *lists: [part for parts in lists for part in parts],
    "format": lambda text, *values: text.format(*values),
}


def evaluated(text: str) -> str:
    """An output of a snapshot, with `reference(…)` answered as Azure would."""
    if not (text.startswith("[") and text.endswith("]")):
        return text
    return str(_value(ast.parse(text[1:-1], mode="eval").body))


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Attribute(value=ast.Call(func=ast.Name(id="reference")), attr=name):
            return _RUNTIME[name]
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name](*(_value(argument) for argument in arguments))
    raise AssertionError(ast.dump(node))
