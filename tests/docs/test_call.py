"""The snippets of docs/call.md work against the running functions, as they stand on the page."""

import os
import re
import sys
from collections.abc import Callable

import pytest

from tests.infra.tools import ROOT, find, run
from tests.support.served_world import Served

PAGE = (ROOT / "docs" / "call.md").read_text("utf-8")
NOBODY = "nobody@contoso.com"


def snippet(language: str) -> str:
    """The one block of a language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(code)


def command(language: str) -> list[str]:
    """How a snippet is run."""
    code = snippet(language)
    if language == "powershell":
        return [find("pwsh", "PWSH"), "-NoProfile", "-c", code]
    return [sys.executable, "-c", code] if language == "python" else ["bash", "-c", code]


@pytest.mark.parametrize("language", ["powershell", "python", "bash"])
def test_a_snippet_synchronizes_a_user_and_tells_what_is_wrong(
    served: Callable[..., Served], language: str
) -> None:
    """The user is updated; an unknown user is an answer that can be read."""
    here = served(users=2)
    called = command(language)
    variables = {
        **os.environ,
        "NO_COLOR": "1",
        "PHOTO_SYNC_URL": here.host.url,
        "PHOTO_SYNC_KEY": here.keys.function,
    }
    good = run(called, env={**variables, "PHOTO_SYNC_USER": here.world.ids()[0]})
    assert "updated" in good.stdout, good.stderr
    bad = run(called, env={**variables, "PHOTO_SYNC_USER": NOBODY})
    assert "404" in bad.stdout, bad.stderr
    assert "User not found" in bad.stdout
