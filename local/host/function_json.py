"""Reads the functions of an app as the Functions host does, and applies the rules it applies.

Source: Microsoft Learn, "Azure Functions Python developer guide" (programming model v1), and the
checks of azure-functions-host when it indexes `function.json`.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FUNCTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
_BINDING_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}|\$return")
_AUTH_LEVELS = ("anonymous", "function", "admin")


class AppError(Exception):
    """The folder holds no app of the v1 model, or a function.json breaks a rule.

    Attributes:
        problems: one sentence each.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Binding:
    """One entry of `bindings`.

    Attributes:
        name: parameter of the entry point, or `$return`.
        type: as written, such as `httpTrigger`.
        direction: `in` or `out`.
        properties: everything else, `%SETTING%` not yet resolved.
    """

    name: str
    type: str
    direction: str
    properties: Mapping[str, Any]

    @property
    def is_trigger(self) -> bool:
        """Whether this binding starts the function."""
        return self.type.lower().endswith("trigger")


@dataclass(frozen=True)
class Function:
    """One function of the app.

    Attributes:
        name: its folder's name.
        directory: its folder.
        script: the Python file that holds the entry point.
        entry_point: the callable's name, `main` unless said otherwise.
        bindings: all, in the order of the file.
        disabled: by its own function.json.
    """

    name: str
    directory: Path
    script: Path
    entry_point: str
    bindings: tuple[Binding, ...]
    disabled: bool = False

    @property
    def trigger(self) -> Binding:
        """The one trigger."""
        return next(binding for binding in self.bindings if binding.is_trigger)


def read_functions(root: Path) -> tuple[tuple[Function, ...], dict[str, str]]:
    """Read every `<folder>/function.json` directly under the app root.

    Returns:
        The functions by name, and for each folder whose function.json breaks a rule the reasons:
        the host leaves that function out and loads the others.

    Raises:
        AppError: there is no function at all, or a file that makes this an app of the v2 model.
    """
    v2_script = root / os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if v2_script.exists():
        raise AppError([f"{v2_script.name} makes this a v2 app without functions; remove it"])
    functions: list[Function] = []
    errors: dict[str, str] = {}
    for path in sorted(root.glob("*/function.json")):
        try:
            functions.append(_read(path))
        except AppError as error:
            errors[path.parent.name] = str(error)
    if not functions and not errors:
        raise AppError([f"no function.json one level under {root}"])
    return tuple(functions), errors


def _read(path: Path) -> Function:
    folder = path.parent
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = document["bindings"]
        bindings = tuple(_binding(entry) for entry in entries)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AppError([f"function.json cannot be read ({error!r})"]) from error
    function = Function(
        name=folder.name,
        directory=folder,
        script=folder / document.get("scriptFile", "__init__.py"),
        entry_point=document.get("entryPoint", "main"),
        bindings=bindings,
        disabled=document.get("disabled") is True,
    )
    problems = _problems(function)
    if problems:
        raise AppError(problems)
    return function


def _binding(entry: Mapping[str, Any]) -> Binding:
    known = ("name", "type", "direction")
    return Binding(
        name=entry["name"],
        type=entry["type"],
        direction=entry.get("direction", "in"),
        properties={key: value for key, value in entry.items() if key not in known},
    )


def _problems(function: Function) -> list[str]:
    found = []
    if not _FUNCTION_NAME.fullmatch(function.name) or function.name.lower() == "host":
        found.append("the folder's name is no valid function name")
    if not function.script.is_file():
        found.append(f"the script {function.script.name} does not exist")
    names = [binding.name for binding in function.bindings]
    if len(set(names)) != len(names):
        found.append("two bindings share a name")
    if sum(binding.is_trigger for binding in function.bindings) != 1:
        found.append("exactly one trigger is needed")
    return found + [text for binding in function.bindings for text in _binding_problems(binding)]


def _binding_problems(binding: Binding) -> list[str]:
    found = []
    if not _BINDING_NAME.fullmatch(binding.name):
        found.append(f"binding name {binding.name!r} is not letters and digits")
    if binding.direction not in ("in", "out"):
        found.append(f"binding {binding.name}: {binding.direction!r} is no direction")
    if binding.name == "$return" and binding.direction != "out":
        found.append('binding $return needs "direction": "out"')
    level = binding.properties.get("authLevel", "function")
    if binding.type.lower() == "httptrigger" and str(level).lower() not in _AUTH_LEVELS:
        found.append(f"authLevel {level!r} is none of {', '.join(_AUTH_LEVELS)}")
    if not isinstance(binding.properties.get("methods", []), list):
        found.append("methods must be a list")
    return found
