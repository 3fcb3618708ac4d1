"""Notices what the program logs in threads of its own, which the Functions host drops."""

import ast
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "photo-sync"
"""Every thread that the program starts is named so."""

_LOGGERS = ("photo_sync",)
_STARTERS = {"Thread", "ThreadPoolExecutor", "Timer"}


class _Watch(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lost: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what the host would drop."""
        if (record.threadName or "").startswith(PREFIX):
            self.lost.append(f"{record.threadName}: {record.name}: {record.getMessage()}")


@contextmanager
def watched() -> Iterator[list[str]]:
    """While this lasts, collect records of the program that come from its own threads."""
    watch = _Watch()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(watch)
    try:
        yield watch.lost
    finally:
        for logger in loggers:
            logger.removeHandler(watch)


def unnamed_threads(folder: Path) -> list[str]:
    """Where code below a folder starts a thread whose name does not say that it is ours."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in _STARTERS and not _is_named(node):
                found.append(f"{path.name}:{node.lineno}")
    return found


def _is_named(call: ast.Call) -> bool:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    parts = [value.values[0] if isinstance(value, ast.JoinedStr) else value for value in values]
    return any(
        isinstance(part, ast.Constant) and str(part.value).startswith(PREFIX) for part in parts
    )
