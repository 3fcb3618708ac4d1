"""The page of promises names tests that exist, and all sixteen promises."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES = dict(
    re.findall(r"^### (\d+)\. .+\n\n((?:(?!^#).*\n)+)", PAGE, re.MULTILINE),
)


def test_every_named_test_exists() -> None:
    """A promise points to its tests: files, and functions in them."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert named
    missing = [
        f"{path}::{function}"
        for path, function in named
        if not (ROOT / path).is_file()
        or (function and f"def {function}(" not in (ROOT / path).read_text("utf-8"))
    ]
    assert missing == []


def test_all_promises_are_there() -> None:
    """The page names all sixteen promises, in order."""
    assert list(PROMISES) == [str(number) for number in range(1, 17)]


@pytest.mark.parametrize("number", [str(number) for number in range(1, 17)])
def test_every_promise_has_tests(number: str) -> None:
    """Each promise names at least one test."""
    assert re.search(r"^- `tests/\w+/\w+\.py", PROMISES[number], re.MULTILINE)
