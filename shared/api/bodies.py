"""Finds options in a request body, where they would be ignored.

`curl -d dry_run=true` and PowerShell's `-Body @{dry_run='true'}` send the option in the body. The
API reads options from the query only, so such a call would write although it must not.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_plus

OPTIONS = ("force", "dry_run", "pilot")
"""The options of a call, as the query spells them."""

_PARSED_BYTES = 64 * 1024
"""Longer bodies are only searched, because parsing them costs many times their size in memory."""

_BY_LETTERS = {option.replace("_", ""): option for option in OPTIONS}
_NO_LETTERS = re.compile(r"[\W_]+")
_PARTS = re.compile(r"[&;,<{?\r\n]")
_NAME_ENDS = re.compile(r"[=:>]")
_NAME_OF_A_FIELD = "name"
_LONGEST_NAME = 80
_NAMED = re.compile(
    rb"(?:\A|[&;,<{?\r\n])\s{0,8}(?:name=)?[\"']?(force|dry[-_]?run|pilot)[\"']?\s{0,8}(?:[=:>&\r]|\Z)",
    re.IGNORECASE,
)


def option_in(body: bytes) -> str:
    """The first option that a body names, in whatever form; "" when it names none.

    An option is named as key of a JSON object at any depth, as field of a form (URL-encoded or
    multipart), as element of XML, as line of YAML, or as bare word. Upper case, hyphens and a
    missing underscore make no difference.

    Args:
        body: as it arrived: of any size, any encoding, any nesting.
    """
    if len(body) > _PARSED_BYTES:
        found = _NAMED.search(body)
        return _option(found[1].decode()) if found else ""
    # NUL bytes are what UTF-16 adds to ASCII.
    text = body.decode("utf-8", "replace").replace("\0", "").lstrip("\ufeff\ufffd")
    names = _names_in_text(text)
    # What is no JSON, or too deep to be read, is judged as text.
    with suppress(ValueError, RecursionError):
        names = _names_in_json(json.loads(text))
    return next((option for name in names if (option := _option(name))), "")


def _option(name: str) -> str:
    if len(name) > _LONGEST_NAME:
        return ""
    return _BY_LETTERS.get(_NO_LETTERS.sub("", unquote_plus(name).lower()), "")


def _names_in_json(document: Any) -> Iterator[str]:
    """Keys at any depth; strings that stand for themselves are read as text."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield from _names_in_text(value)
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            yield from value
            yield str(value.get(_NAME_OF_A_FIELD, ""))
            pending += [inner for inner in value.values() if isinstance(inner, (dict, list))]


def _names_in_text(text: str) -> Iterator[str]:
    """What stands before `=`, `:` or `>` in each part; after it when that is `name`."""
    for part in _PARTS.split(text):
        name, *value = _NAME_ENDS.split(part, maxsplit=1)
        yield name
        if value and _NO_LETTERS.sub("", name.lower()) == _NAME_OF_A_FIELD:
            yield value[0]
