"""Everything needed to run Photo Sync on one machine: emulated tenant, functions host, demo.

Python reads this file before any module that `python -m local.<name>` runs. So it is the place that
stops a Python which is too old, and an environment without the packages, with one line instead of a
syntax error or a traceback. It must stay readable for Python 3.8.
"""

import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_NEEDED = {"local.setup": (3, 8), "local.package": (3, 10), "local.checks": (3, 12)}
"""What needs nothing but Python itself, and which one; all else needs 3.13 and the packages."""

_PYTHON = (3, 13)


def _entry_point() -> str:
    """Name of the module that `python -m` is about to run, which `sys.argv` does not hold yet."""
    # `sys.orig_argv` would do, but exists only from Python 3.10 on.
    frame: FrameType | None = sys._getframe()  # noqa: SLF001
    while frame is not None:
        if frame.f_globals.get("__name__") == "runpy" and "mod_name" in frame.f_locals:
            return str(frame.f_locals["mod_name"])
        frame = frame.f_back
    return ""


def _missing(name: str) -> str:
    """What this Python lacks for an entry point, with the remedy; "" when all is there."""
    needed = _NEEDED.get(name, _PYTHON)
    if sys.version_info < needed:
        return (
            "{} needs Python {}.{} or newer, and this is Python {}.{}. Run `make setup`, then "
            "`.venv/bin/python -m {}`, or get Python from https://www.python.org/downloads"
        ).format(name, *needed, *sys.version_info[:2], name)
    if name not in _NEEDED and importlib.util.find_spec("azure_functions_runtime_v1") is None:
        return (
            f"{name} needs packages that this Python does not have. Run `make setup`, then "
            f"`.venv/bin/python -m {name}`"
        )
    return ""


_ENTRY_POINT = _entry_point()
if _ENTRY_POINT.partition(".")[0] == "local":
    _TOLD = _missing(_ENTRY_POINT.replace(".__main__", ""))
    if _TOLD:
        sys.exit(_TOLD)
