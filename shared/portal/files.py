"""The pages' own files: style sheet, scripts, icon. Read once, from a list of known names."""

import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path

from shared.portal import message
from shared.portal.message import Answer
from shared.problem import Problem

_FOLDER = Path(__file__).with_name("assets")
_TYPES = {
    "portal.css": "text/css",
    "common.js": "text/javascript",
    "photos.js": "text/javascript",
    "me.js": "text/javascript",
    "helpdesk.js": "text/javascript",
    "search.js": "text/javascript",
    "night.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_VERSION_CHARACTERS = 12


@dataclass(frozen=True)
class _Files:
    version: str
    content: dict[str, bytes]


@cache
def _files() -> _Files:
    content = {name: (_FOLDER / name).read_bytes() for name in sorted(_TYPES)}
    digest = hashlib.sha256()
    for name, data in content.items():
        digest.update(f"{name} {len(data)} ".encode() + data)
    return _Files(digest.hexdigest()[:_VERSION_CHARACTERS], content)


def version() -> str:
    """Changes when any of the files changes; part of their paths."""
    return _files().version


def base() -> str:
    """Absolute path of the folder that the pages load from."""
    return f"/api/portal/assets/{version()}/"


def serve(asked_version: str, name: str) -> Answer:
    """One file.

    Another version is asked for while a deployment replaces instances one by one. It gets this
    instance's file, which the browser then does not keep.

    Raises:
        Problem: there is no such file.
    """
    files = _files()
    if name not in files.content:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such file.")
    answer = message.asset(files.content[name], _TYPES[name])
    if asked_version == files.version:
        return answer
    return message.Answer(
        answer.status, answer.body, answer.mimetype, {**answer.headers, "Cache-Control": "no-store"}
    )
