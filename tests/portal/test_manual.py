"""The portal's manual says what the pages say."""

import re
from dataclasses import fields
from pathlib import Path

from shared.portal import audit, rate_limit
from shared.portal.handlers import MAX_HITS, MIN_SEARCH_CHARACTERS
from shared.portal.routes import ROUTES
from shared.portal.texts import LANGUAGES, catalogue
from shared.sign_in.principal import HELP_DESK, MAX_SESSION_SECONDS

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs" / "portal.md").read_text("utf-8")
WORDS = {1: "once", 3: "three", 8: "eight", 10: "ten", 30: "thirty", 60: "sixty"}


def column(heading: str) -> list[str]:
    """First cells of the table whose first column has this heading."""
    part = MANUAL.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return [line.split("|")[1].strip() for line in part.splitlines()[2:]]


def test_quoted_texts() -> None:
    """Every sentence that the manual quotes stands on a page, word for word."""
    texts = set(catalogue("en").values())
    quoted = column("The page says") + column("Button")
    quoted += [text for text in re.findall(r"\*\*([^*]+)\*\*", MANUAL) if text[-1] != "."]
    quoted += re.findall(r"\| \*([^*]+)\* \|", MANUAL)
    assert len(quoted) > 15
    assert [text for text in quoted if text not in texts] == []


def test_audit_fields() -> None:
    """The table of the audit names every field of a line, in order."""
    named = re.findall(r"`(\w+)`", " ".join(column("Field")))
    assert sorted(named) == sorted(field.name for field in fields(audit._Line))


def test_figures() -> None:
    """Limits and times are those of the program."""
    text = MANUAL.lower()
    minute, hour = rate_limit.OWN_SYNC.limits
    assert f"{WORDS[minute.calls]} a minute and {WORDS[hour.calls]} times an hour" in text
    assert f"{WORDS[rate_limit.HELP_DESK.limits[0].calls]} actions and views a minute" in text
    assert f"{WORDS[rate_limit.SEARCH.limits[0].calls]} searches" in text
    assert f"at least {WORDS[MIN_SEARCH_CHARACTERS]} letters" in text
    assert f"at most {WORDS[MAX_HITS]} users" in text
    assert f"older than {WORDS[MAX_SESSION_SECONDS // 3600]} hours" in text


def test_pages_languages_and_pictures() -> None:
    """Pages, role, and languages are named, and every picture is there and small."""
    for route in ROUTES:
        if route.page and route.template != "signed-out":
            assert f"/api/portal/{route.template}".removesuffix("/") in MANUAL
    assert f"`{HELP_DESK}`" in MANUAL
    assert len(LANGUAGES) == 8
    for name in re.findall(r"\]\(([\w-]+\.png)\)", MANUAL):
        assert 0 < (ROOT / "docs" / name).stat().st_size < 120_000
