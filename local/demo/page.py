"""The demo's page: people of the tenant with their pictures before and after, in one HTML file."""

import base64
import io
import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from PIL import Image, ImageOps

_TEMPLATE = Path(__file__).with_name("demo_page.html")
_SIDE_PIXELS = 200
_LARGEST_PIXELS = 40_000_000
OUTSIDE = "outside"  # not in scope, which is no outcome
_WORDS = {
    "updated": "updated",
    "unchanged": "unchanged",
    "repaired": "repaired",
    "removed": "removed",
    "removal_pending": "removal pending",
    "no_photo": "no photo",
    "no_profile": "no profile",
    "invalid_photo": "unusable photo",
    "failed": "failed",
    "deferred": "deferred",
    OUTSIDE: "not in scope",
}


@dataclass(frozen=True)
class Shown:
    """What SharePoint shows of a person.

    Attributes:
        picture: the large thumbnail, None when it shows none of its own.
        note: instead of a picture.
    """

    picture: bytes | None
    note: str


@dataclass(frozen=True)
class Card:
    """One person on the page.

    Attributes:
        name: display name.
        upn: user principal name.
        kind: why this person is in the tenant.
        exchange: photo bytes as Exchange holds them, None without one.
        before: what SharePoint showed before the run.
        after: what it shows after it.
        outcome: of the run, or `OUTSIDE`.
        detail: the report's words.
    """

    name: str
    upn: str
    kind: str
    exchange: bytes | None
    before: Shown
    after: Shown
    outcome: str
    detail: str


@dataclass(frozen=True)
class Night:
    """One nightly run.

    Attributes:
        title: heading.
        run: the run's document.
        seconds: how long it took here.
        writes: requests that changed SharePoint, as the tenant recorded them.
    """

    title: str
    run: Mapping[str, Any]
    seconds: float
    writes: int


@dataclass(frozen=True)
class Page:
    """All that the page tells.

    Attributes:
        people: number of people in the tenant.
        nights: the runs, in order.
        cards: a part of the people, after the first night.
        changed: those whose photo was replaced before the second night.
        curl: the on-demand call as a command line.
        answer: its JSON.
        pictures: of the portal's pages as PNG, by title.
    """

    people: int
    nights: Sequence[Night]
    cards: Sequence[Card]
    changed: Sequence[Card]
    curl: str
    answer: Mapping[str, Any]
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def render(page: Page) -> str:
    """The page as one HTML document that needs no other file."""
    outcomes = Counter(card.outcome for card in page.cards)
    filters = [f'<button value="" aria-pressed="true">All {len(page.cards)}</button>']
    filters += [
        f'<button value="{name}" aria-pressed="false">{_WORDS[name]} {outcomes[name]}</button>'
        for name in _WORDS
        if outcomes[name]
    ]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        date=datetime.now(UTC).strftime("%d %B %Y"),
        lead=f"An emulated Microsoft 365 tenant of {page.people:,} people. The nightly function "
        "compared every photo in Exchange with what SharePoint shows and wrote only the "
        "difference. Then some people changed their photo.",
        nights="\n".join(_night(night) for night in page.nights),
        changed_lead=f"{len(page.changed)} people had replaced their photo in Exchange. Only "
        "they were written; the unchanged ones did not cost a single call to SharePoint.",
        changed="\n".join(_card(card, show_exchange=False) for card in page.changed),
        call=f"$ {escape(page.curl)}\n\n{escape(json.dumps(page.answer, indent=2))}",
        portal="\n".join(
            f'<figure><img alt="The page {escape(title)}" src="{_png(data)}">'
            f"<figcaption>{escape(title)}</figcaption></figure>"
            for title, data in page.pictures.items()
        )
        or "<p>Pictures of the pages need Chromium and the packages of <code>make test</code>.</p>",
        people_lead=f"{len(page.cards)} of {page.people:,}, among them every odd case: what "
        "Exchange holds, what SharePoint showed before the first night, what it shows after it.",
        filters="\n  ".join(filters),
        people="\n".join(_card(card, show_exchange=True) for card in page.cards),
        footer="Everybody on this page is generated, and so are the portraits. The tenant is "
        "emulated from Microsoft's documentation on this machine; functions, image processing, "
        "storage protocol and sign-in are the real ones.",
    )


def _png(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _night(night: Night) -> str:
    counts = {name: count for name, count in night.run["counts"].items() if count}
    requests = night.run["requests"]
    figures = [
        (f"{night.run['inScope']:,}", "people in scope"),
        (f"{requests['graph']:,}", "requests to Graph"),
        (f"{requests['sharepoint']:,}", "requests to SharePoint"),
    ]
    tone = "".join(
        f'<i style="--tone:var(--{name});flex:{count}" title="{_WORDS[name]}: {count}"></i>'
        for name, count in counts.items()
    )
    legend = "".join(
        f'<span style="--tone:var(--{name})"><b>{count:,}</b> {_WORDS[name]}</span>'
        for name, count in counts.items()
    )
    told = "".join(f"<div><b>{value}</b><span>{name}</span></div>" for value, name in figures)
    return (
        f'<section class="panel night"><h3>{escape(night.title)}</h3>'
        f'<p class="when">{escape(str(night.run["status"]))} in {night.seconds:.1f} s</p>'
        f'<div class="figures">{told}</div><div class="bar">{tone}</div>'
        f'<div class="legend">{legend}</div></section>'
    )


def _card(card: Card, *, show_exchange: bool) -> str:
    words = f"{card.name} {card.upn} {card.kind}".lower()
    shots = []
    if show_exchange:
        held = _small(card.exchange) if card.exchange else None
        note = "no picture in these bytes" if card.exchange else "no photo"
        shots.append(_figure("Exchange", held, note, card.name))
    shots.append(_figure("before", card.before.picture, card.before.note, card.name))
    shots.append('<span class="arrow" aria-hidden="true">→</span>')
    shots.append(_figure("after", card.after.picture, card.after.note, card.name))
    detail = f'<p class="detail">{escape(card.detail)}</p>' if card.detail else ""
    below = escape(card.kind) if show_exchange else escape(card.upn)
    pill = f'<span class="pill" style="--tone:var(--{card.outcome})">{_WORDS[card.outcome]}</span>'
    if not show_exchange:
        pill = ""
    return (
        f'<article class="panel person" data-outcome="{card.outcome}" '
        f'data-words="{escape(words)}"><div class="who"><div>'
        f'<b>{escape(card.name)}</b><small title="{escape(card.upn)}">{below}</small></div>'
        f'{pill}</div><div class="shots">{"".join(shots)}</div>{detail}</article>'
    )


def _figure(caption: str, picture: bytes | None, note: str, name: str) -> str:
    if picture is None:
        inner = f'<div class="none">{escape(note)}</div>'
    else:
        data = base64.b64encode(picture).decode()
        alt = escape(f"{name}: {caption}")
        inner = f'<img loading="lazy" alt="{alt}" src="data:image/jpeg;base64,{data}">'
    return f"<figure>{inner}<figcaption>{caption}</figcaption></figure>"


def _small(data: bytes) -> bytes | None:
    """The photo as a viewer would show it, small; None when it is no picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > _LARGEST_PIXELS:
                    return None
                upright = ImageOps.exif_transpose(image)
                upright.thumbnail((_SIDE_PIXELS, _SIDE_PIXELS))
                out = io.BytesIO()
                _on_white(upright).save(out, "JPEG", quality=82)
                return out.getvalue()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 256).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")
