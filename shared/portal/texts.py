"""The words of the pages in eight languages, and which language a request gets.

One flat JSON catalogue per language in `i18n/`, all with the same keys and placeholders (a test
compares them). `?lang=` wins, then the browser's languages by their quality, then English.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES: Mapping[str, str] = {
    "en": "English",
    "fi": "Suomi",
    "sv": "Svenska",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "nl": "Nederlands",
    "ja": "日本語",
}
"""Tags and their own names, in the order of the language menu."""

DEFAULT = "en"

_FOLDER = Path(__file__).with_name("i18n")
_LONGEST_HEADER = 1_000


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All texts of a language by key.

    Raises:
        KeyError: the language is none of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise KeyError(language)
    text = (_FOLDER / f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def choose(wanted: str | None, accepted: str | None) -> str:
    """The language of an answer.

    Args:
        wanted: query parameter `lang`.
        accepted: header `Accept-Language`.
    """
    if wanted and wanted.lower() in LANGUAGES:
        return wanted.lower()
    ranked: list[tuple[float, int, str]] = []
    for position, entry in enumerate((accepted or "")[:_LONGEST_HEADER].split(",")):
        tag, _, parameters = entry.strip().partition(";")
        quality = _quality(parameters)
        base = tag.strip().lower().partition("-")[0]
        if quality > 0 and base in LANGUAGES:
            ranked.append((-quality, position, base))
    return min(ranked)[2] if ranked else DEFAULT


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
