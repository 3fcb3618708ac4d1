"""The snippets of docs/call.md work against the running functions, as they stand on the page."""

import os
import re
import sys
from collections.abc import Callable

import pytest

from tests.infra.tools import DOTNET, ROOT, find, run
from tests.support.served_world import Served

PAGE = (ROOT / "docs" / "call.md").read_text("utf-8")
NOBODY = "nobody@contoso.com"


def snippet(language: str) -> str:
    """The one block of a language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(code)


def said(language: str, users: list[str], variables: dict[str, str]) -> tuple[list[str], str]:
    """What the snippet prints for each of these users, and its errors."""
    code = snippet(language)
    if language == "powershell":  # one process for all, because its start takes longest
        parts = [f"$env:PHOTO_SYNC_USER = '{user}'\n{code}" for user in users]
        shell = [find("pwsh", "PWSH"), "-NoProfile", "-c", "\n'next'\n".join(parts)]
        done = run(shell, env={**variables, **DOTNET})
        return done.stdout.split("next\n"), done.stderr
    shell = [sys.executable, "-c", code] if language == "python" else ["bash", "-c", code]
    runs = [run(shell, env={**variables, "PHOTO_SYNC_USER": user}) for user in users]
    return [done.stdout for done in runs], "".join(done.stderr for done in runs)


@pytest.mark.parametrize("language", ["powershell", "python", "bash"])
def test_a_snippet_synchronizes_a_user_and_tells_what_is_wrong(
    served: Callable[..., Served], language: str
) -> None:
    """The user is updated; an unknown user is an answer that can be read."""
    here = served(users=2)
    variables = {
        **os.environ,
        "NO_COLOR": "1",
        "PHOTO_SYNC_URL": here.host.url,
        "PHOTO_SYNC_KEY": here.keys.function,
    }
    (good, bad), errors = said(language, [here.world.ids()[0], NOBODY], variables)
    assert "updated" in good, errors
    assert "404" in bad, errors
    assert "User not found" in bad
