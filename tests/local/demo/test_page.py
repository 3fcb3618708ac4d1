"""The demo's page shows people what happened, from one file."""

import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from local.demo.page import OUTSIDE, Card, Night, Page, Shown, render
from shared.model import Outcome


def picture(mode: str = "RGB", form: str = "JPEG", size: tuple[int, int] = (400, 300)) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, form)
    return out.getvalue()


def card(name: str = "Ada", exchange: bytes | None = None, outcome: str = "updated") -> Card:
    return Card(
        name=name,
        upn="ada@contoso.com",
        kind="ordinary",
        exchange=exchange,
        before=Shown(None, "nothing"),
        after=Shown(picture(), ""),
        outcome=outcome,
        detail="",
    )


def page(*cards: Card) -> str:
    run = {
        "status": "completed",
        "inScope": 1431,
        "counts": {outcome.value: 1 for outcome in Outcome},
        "requests": {"graph": 2098, "sharepoint": 17},
    }
    nights = [Night("One", run, 1.0, 4), Night("Two", run, 2.0, 0)]
    return render(Page(500, nights, cards, cards[:1], "curl <x>", {"outcome": "updated"}))


class Tags(HTMLParser):
    """Collects start tags; complains about tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count."""
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Must close the innermost."""
        assert self.open.pop() == tag


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    return tags


def test_it_needs_nothing_else() -> None:
    """No file beside it, no server: every picture is inside."""
    text = page(card(exchange=picture()))
    images = [attrs["src"] for tag, attrs in parsed(text).seen if tag == "img"]
    assert len(images) == 3  # Exchange and after, and once more after among the changed
    assert all(source and source.startswith("data:image/jpeg;base64,") for source in images)
    assert not re.search(r"(?:src|href)=.?(?:https?:|//|\w+\.)|@import|url\(", text)


def test_names_are_text() -> None:
    """A name with markup is shown, not run."""
    text = page(card(name="<script>alert('x')</script> & \"Co\""))
    assert "<script>alert" not in text
    assert sum(tag == "script" for tag, _ in parsed(text).seen) == 1


@pytest.mark.parametrize("outcome", [*(outcome.value for outcome in Outcome), OUTSIDE])
def test_every_outcome_has_a_word_and_a_colour(outcome: str) -> None:
    text = page(card(outcome=outcome))
    assert f"--{outcome}:" in text
    assert f'data-outcome="{outcome}"' in text


@pytest.mark.parametrize(
    "data",
    [
        picture("CMYK"),
        picture("L"),
        picture("P", "PNG"),
        picture("RGBA", "PNG"),
        picture("I;16", "PNG"),
        picture(size=(1, 1)),
    ],
)
def test_photos_of_every_kind_are_shown(data: bytes) -> None:
    text = page(card(exchange=data))
    assert "no picture in these bytes" not in text
    assert 'alt="Ada: Exchange"' in text


@pytest.mark.parametrize("data", [b"<html>", picture()[:300], b"\xff\xd8\xff\xe0" + bytes(99)])
def test_bytes_that_are_no_picture_are_said_to_be_none(data: bytes) -> None:
    assert "no picture in these bytes" in page(card(exchange=data))


def test_figures_are_those_of_the_runs() -> None:
    text = page(card())
    assert all(figure in text for figure in ("1,431", "2,098", ">17<", "completed in 2.0 s"))
