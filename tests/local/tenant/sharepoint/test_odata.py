"""Addresses of the SharePoint REST service."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.tenant.sharepoint.odata import ServiceError, parse
from local.tenant.sharepoint.odata_answers import metadata_level

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
#: Pieces of addresses, to get past the first check more often than random text does.
PIECES = st.lists(
    st.sampled_from(["web", "F", "/", "(", ")", "'", "''", "a=", "@v", "?", "&", "$top=1", "%27"])
    | st.text(max_size=3),
    max_size=12,
).map("".join)


def escaped(text: str) -> str:
    return quote("'" + text.replace("'", "''") + "'", safe="")


@settings(derandomize=True, deadline=None)
@given(name=NAMES, folder=NAMES)
def test_every_name_survives_its_escape(name: str, folder: str) -> None:
    """Any text, quoted and percent-encoded, arrives as it was, in the path and by alias."""
    call = parse(f"web/F(decodedUrl={escaped(folder)})/Files/Add(url=@n,o=true)?@n={escaped(name)}")
    assert call.names == ("web", "f", "files", "add")
    assert call.segments[1].text("decodedUrl") == folder
    assert call.segments[3].take("url", "o") == [name, True]


@settings(derandomize=True, deadline=None, max_examples=500)
@given(PIECES)
def test_garbage_is_parsed_or_refused(target: str) -> None:
    """Whatever is sent as an address either parses or is answered 400, never a crash."""
    try:
        parse(target)
    except ServiceError as error:
        status = error.status
    else:
        status = 200
    assert status in (200, 400)


@pytest.mark.parametrize(
    ("accept", "level"),
    [
        ("application/json;odata=nometadata", "nometadata"),
        ("application/json; odata=verbose, text/plain", "verbose"),
        ("application/json", "minimalmetadata"),
        ("*/*", "xml"),
        ("", "xml"),
    ],
)
def test_metadata_level(accept: str, level: str) -> None:
    """The level is read from Accept; XML is what nobody asked for but SharePoint's default."""
    assert metadata_level(accept) == level


def test_arguments_are_named_or_positional() -> None:
    """Arguments come by name in any case and order, or by position, each once."""
    segment = parse("F(B=2,a='x')").segments[0]
    assert segment.take("A", "b") == ["x", 2]
    assert parse("F('x',2)").segments[0].take("a", "b", "c") == ["x", 2, None]
    for wrong in ("F(a=1,a=2)", "F(1,a=2)", "F(c=1)", "F(1,2,3)"):
        with pytest.raises(ServiceError):
            parse(wrong).segments[0].take("a", "b")
