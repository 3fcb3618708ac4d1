"""What the fuzzers feed: noise, and valid documents that were spoiled, which reach much deeper."""

import io
import json
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st
from PIL import Image

_ODD_TEXTS = (
    *(
        "",
        "0",
        "null",
        "\x00",
        "\ud800",
        "\ufeff",
        "é",
        "x" * 5000,
        "../..",
        "%2e%2e/",
        "'",
        "\r\n",
    ),
    *("9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+23:59", "2025-01-01/00:00:00Z"),
)
_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 0.5, 2**31, 10**18, 10**400, -(10**18), float("nan"), float("inf")),
    *([], {}, [[]], {"": None}, [None], {"value": None}, {"results": None}),
)
"""Values at which parsers stumble."""

_TEXTS = st.one_of(
    st.sampled_from(_ODD_TEXTS), st.text(st.characters(exclude_categories=()), max_size=20)
)
_scalars = st.one_of(st.sampled_from(_ODD_VALUES), st.integers(), st.floats(), _TEXTS)


def values(*keys: str) -> st.SearchStrategy[Any]:
    """Any JSON value; objects have mostly these keys."""
    names = st.one_of(st.sampled_from(keys), st.text(max_size=8)) if keys else st.text(max_size=8)
    return st.recursive(
        _scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=6)
        ),
        max_leaves=12,
    )


@st.composite
def spoiled(draw: st.DrawFn, *documents: Any) -> Any:
    """One of these JSON documents with some of its parts replaced, removed, renamed or doubled."""
    document = json.loads(json.dumps(draw(st.sampled_from(documents))))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(document)
        if not places:
            break
        parent, key = draw(st.sampled_from(places))
        # Values of the same kind get past the first check.
        alike = _TEXTS if isinstance(parent[key], str) else _scalars
        match draw(st.sampled_from(("alike", "alike", "other", "remove", "move"))):
            case "alike":
                parent[key] = deepcopy(draw(alike))
            case "other":
                parent[key] = deepcopy(draw(values()))
            case "remove":
                del parent[key]
            case _ if isinstance(parent, dict):
                parent[draw(_TEXTS)] = parent.pop(key)
            case _:
                parent.append(deepcopy(parent[key]))
    return document


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Everything in a JSON value, as what holds it and its key or index."""
    if isinstance(value, dict):
        keys: list[Any] = sorted(value)
    else:
        keys = list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [p for key in keys for p in _places(value[key])]


@st.composite
def damaged(draw: st.DrawFn, *originals: bytes) -> bytes:
    """One of these byte strings with bytes changed, removed, inserted, repeated or cut off."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        # Near the front are the headers.
        at = min(at, draw(st.sampled_from((len(data), 16, 64, 200, 700))))
        length = draw(st.sampled_from((1, 2, 4, 16, 100)))
        match draw(st.sampled_from(("change", "remove", "insert", "repeat", "cut"))):
            case "change":
                fresh = draw(st.binary(min_size=length, max_size=length))
                data[at : at + length] = fresh
            case "remove":
                del data[at : at + length]
            case "insert":
                data[at:at] = draw(st.binary(max_size=length))
            case "repeat":
                data[at:at] = data[at : at + length] * draw(st.sampled_from((1, 10, 100)))
            case _:
                del data[at:]
    return bytes(data)


def json_bytes(*documents: Any) -> st.SearchStrategy[bytes]:
    """Bytes in place of these documents: spoiled ones, damaged ones, other JSON, nests, noise."""
    texts = tuple(json.dumps(document).encode() for document in documents)
    spoilt = spoiled(*documents).map(_encoded)
    return st.one_of(
        *(spoilt, spoilt, spoilt),
        damaged(*texts),
        values("schema", "users", "value", "error", "message").map(_encoded),
        st.sampled_from((b"", b"[" * 200_000, b'{"a":' * 50_000, b"\xef\xbb\xbf{}", b"9" * 10_000)),
        st.integers(1, 3000).map(lambda depth: b"[" * depth + b"]" * depth),
        st.binary(max_size=200),
    )


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def images() -> tuple[bytes, ...]:
    """Small valid files of all kinds that are accepted."""
    picture = Image.effect_noise((40, 30), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: tuple[tuple[Image.Image, str, dict[str, Any]], ...] = (
        (picture, "JPEG", {"exif": exif.tobytes()}),
        (picture, "JPEG", {"progressive": True}),
        (picture.convert("CMYK"), "JPEG", {}),
        (picture, "PNG", {}),
        (picture.convert("RGBA"), "PNG", {"exif": exif.tobytes()}),
        (picture.convert("I;16"), "PNG", {}),
        (picture.quantize(16), "PNG", {"transparency": 0}),
        (picture.quantize(16), "GIF", {"save_all": True, "append_images": [picture.quantize(4)]}),
    )
    files = []
    for image, form, options in kinds:
        out = io.BytesIO()
        image.save(out, form, **options)
        files.append(out.getvalue())
    return tuple(files)
