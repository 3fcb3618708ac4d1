"""The HTML of the pages: shells that stand at once, in the reader's language, without data.

`{{key}}` in a template is a text of the catalogue, escaped; `{{=name}}` is HTML made here.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlencode

from shared.portal import files, message
from shared.portal.message import Answer
from shared.portal.texts import LANGUAGES, catalogue

_FOLDER = Path(__file__).with_name("html")
_PLACE = re.compile(r"\{\{(=?)([\w.-]+)\}\}")

SIGNED_OUT_PATH = "/api/portal/signed-out"


@dataclass(frozen=True)
class Reader:
    """For whom a page is made.

    Attributes:
        language: a tag of `LANGUAGES`.
        chosen: the language was chosen by `?lang=`, so links keep it.
        help_desk: shows the way to the help-desk page.
        signed_in: shows the way out.
    """

    language: str
    chosen: bool = False
    help_desk: bool = False
    signed_in: bool = False


def sign_in_path(path: str, reader: Reader) -> str:
    """Where a browser signs in and comes back to a page.

    Args:
        path: absolute path of the page, one of the program's own.
        reader: whose chosen language is kept.
    """
    back = path + _query(reader)
    return f"/.auth/login/aad?{urlencode({'post_login_redirect_uri': back})}"


def me(reader: Reader) -> Answer:
    """The page "My photo"."""
    return message.page(_shell(reader, "me", path="/api/portal", script="me.js"))


def help_desk(reader: Reader) -> Answer:
    """The page of the help desk."""
    return message.page(
        _shell(reader, "helpdesk", path="/api/portal/helpdesk", script="helpdesk.js")
    )


def signed_out(reader: Reader) -> Answer:
    """What people see after signing out."""
    return _note(reader, "signed-out", HTTPStatus.OK, path="/api/portal")


def refusal(reader: Reader, kind: str, status: int, *, path: str) -> Answer:
    """A page that says why a person may not come in.

    Args:
        reader: for whom.
        kind: of the problem.
        status: HTTP status.
        path: absolute path of the page that was asked for.
    """
    return _note(reader, kind, status, path=path)


def closed(reader: Reader, reason: str, remedy: str) -> Answer:
    """The page while the portal is closed: complete in itself, because its files are closed too.

    Args:
        reader: for whom.
        reason: English, for administrators.
        remedy: the same.
    """
    style = _template("closed.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    html = _fill(
        "closed.html",
        catalogue(reader.language),
        {
            "language": reader.language,
            "style": style,
            "reason": escape(reason),
            "remedy": escape(remedy),
        },
    )
    return message.page(html, status=HTTPStatus.SERVICE_UNAVAILABLE, style_hash=f"sha256-{digest}")


def _note(reader: Reader, kind: str, status: int, *, path: str) -> Answer:
    texts = catalogue(reader.language)
    title = texts.get(f"note.{kind}.title") or texts["note.other.title"]
    text = texts.get(f"note.{kind}.text") or texts["note.other.text"]
    more = {
        "note-title": escape(title),
        "note-text": escape(text),
        "sign-in": escape(sign_in_path(path, reader)),
    }
    return message.page(_shell(reader, "note", path=path, more=more), status=status)


def _shell(
    reader: Reader,
    name: str,
    *,
    path: str,
    script: str = "",
    more: Mapping[str, str] | None = None,
) -> str:
    """A whole page: the frame around one template."""
    texts = catalogue(reader.language)
    variables = {
        "language": reader.language,
        "files": files.base(),
        "query": escape(_query(reader)),
        **(more or {}),
    }
    main = _fill(f"{name}.html", texts, variables)
    scripts = ""
    if script:
        # Data, not a script: browsers do not run it, and the policy has no say in it.
        block = json.dumps(dict(texts), ensure_ascii=False).replace("<", "\\u003c")
        scripts = (
            f'<script type="application/json" id="texts">{block}</script>\n'
            f'<script type="module" src="{files.base()}{script}"></script>'
        )
    return _fill(
        "frame.html",
        texts,
        {
            **variables,
            "title": variables.get("note-title") or escape(texts[f"{name}.title"]),
            "main": main,
            "nav": _navigation(reader, path) if script else "",
            "languages": _languages(reader, path),
            "scripts": scripts,
            "sign-out": _sign_out(texts) if reader.signed_in else "",
        },
    )


def _navigation(reader: Reader, path: str) -> str:
    if not reader.help_desk:
        return ""
    texts, query = catalogue(reader.language), escape(_query(reader))
    links = []
    for target, key in (("/api/portal", "me.title"), ("/api/portal/helpdesk", "helpdesk.title")):
        current = ' aria-current="page"' if target == path else ""
        links.append(f'<a href="{target}{query}"{current}>{escape(texts[key])}</a>')
    return f'<nav class="pages" aria-label="{escape(texts["nav.pages"])}">{"".join(links)}</nav>'


def _languages(reader: Reader, path: str) -> str:
    links = []
    for tag, name in LANGUAGES.items():
        current = ' aria-current="true"' if tag == reader.language else ""
        target = f"{quote(path)}?lang={tag}"
        links.append(
            f'<li><a href="{target}" lang="{tag}" hreflang="{tag}"{current}>{escape(name)}</a></li>'
        )
    return "".join(links)


def _sign_out(texts: Mapping[str, str]) -> str:
    target = f"/.auth/logout?{urlencode({'post_logout_redirect_uri': SIGNED_OUT_PATH})}"
    return f'<a class="quiet" href="{escape(target)}">{escape(texts["nav.sign-out"])}</a>'


def _query(reader: Reader) -> str:
    return f"?lang={reader.language}" if reader.chosen else ""


@cache
def _template(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8").strip()


def _fill(name: str, texts: Mapping[str, str], variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return variables[found[2]] if found[1] else escape(texts[found[2]])

    return _PLACE.sub(value, _template(name))
