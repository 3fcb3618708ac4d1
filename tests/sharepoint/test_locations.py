"""What a PictureURL names, and what can be a name in the library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import SIZES, ThumbnailLocation
from shared.sharepoint.locations import is_folder_name, read_picture_url, same_picture

ID = "33aca310-1111-4222-8333-444455556666"
MYSITE = "https://contoso-my.sharepoint.com"
FOLDER = "Profile Pictures"
URL = f"{MYSITE}:443/User%20Photos/Profile%20Pictures/{{}}_MThumb.jpg"
PLACE = ThumbnailLocation(MYSITE, FOLDER, ID)


def test_names() -> None:
    """Paths, file names and the URL that the profile gets: of M, encoded, without a query."""
    place = ThumbnailLocation(MYSITE, "Profilbilder ü", ID)
    assert place.path("L") == f"/User Photos/Profilbilder ü/{ID}_LThumb.jpg"
    assert place.file_name("S") == f"{ID}_SThumb.jpg"
    assert place.picture_url == (f"{MYSITE}/User%20Photos/Profilbilder%20%C3%BC/{ID}_MThumb.jpg")
    assert SIZES[-1] == "M"
    assert read_picture_url(place.picture_url) == place


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (URL.format(ID), PLACE),
        (URL.format(ID) + "?t=63783110969", PLACE),
        (URL.format(ID).replace("User%20Photos", "user photos"), PLACE),
        (
            f"{MYSITE}/User%20Photos/Profielafbeeldingen/bert_jansen_contoso_com_MThumb.jpg",
            ThumbnailLocation(MYSITE, "Profielafbeeldingen", "bert_jansen_contoso_com"),
        ),
        (URL.format(ID).replace("_MThumb", "_LThumb"), None),
        (f"{MYSITE}/User%20Photos/{ID}_MThumb.jpg", None),
        (f"{MYSITE}/User%20Photos/a/b/{ID}_MThumb.jpg", None),
        (f"{MYSITE}/sites/x/User%20Photos/a/{ID}_MThumb.jpg", None),
        (f"{MYSITE}/User%20Photos/../{ID}_MThumb.jpg", None),
        (f"{MYSITE}/User%20Photos/%2E%2E/{ID}_MThumb.jpg", None),
        (f"{MYSITE}/User%20Photos/a%0Ab/{ID}_MThumb.jpg", None),
        (f"{MYSITE}/User%20Photos/a%2Fb/{ID}_MThumb.jpg", None),
        (f"{MYSITE}/User%20Photos/a\ud800/{ID}_MThumb.jpg", None),
        (f"/User%20Photos/a/{ID}_MThumb.jpg", None),
        ("https://cdn.example/me.jpg", None),
        ("", None),
    ],
)
def test_picture_urls(url: str, expected: ThumbnailLocation | None) -> None:
    """Only files of the User Photos library are understood; users may write anything there."""
    assert read_picture_url(url) == expected


@given(st.text() | st.text().map(lambda text: f"{MYSITE}/User%20Photos/{text}_MThumb.jpg"))
def test_any_picture_url(url: str) -> None:
    """Any text is read and compared without an error, and never leads out of the library."""
    same_picture(url, PLACE.picture_url)
    location = read_picture_url(url)
    if location is not None:
        assert read_picture_url(location.picture_url) == location


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (PLACE.picture_url, URL.format(ID) + "?t=1", True),
        (PLACE.picture_url, PLACE.picture_url.replace("%20", " "), True),
        (PLACE.picture_url, PLACE.picture_url.replace(ID, "other"), False),
        (PLACE.picture_url, PLACE.picture_url.replace("contoso-my", "fabrikam-my"), False),
        (PLACE.picture_url, "", False),
        ("", "", False),
        ("https://cdn.example/a.jpg", "https://cdn.example/a.jpg", False),
    ],
)
def test_same_picture(first: str, second: str, same: bool) -> None:
    """Port, encoding and cache-buster do not matter; what is no library file is never the same."""
    assert same_picture(first, second) is same


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        ("Profile Pictures", True),
        ("プロフィール画像", True),
        ("a.b'#%&+", True),
        ("", False),
        (".", False),
        ("..", False),
        ("a/b", False),
        ("a\\b", False),
        ("a\nb", False),
        ("a\ud800", False),
        ("a:b", False),
        (None, False),
        (7, False),
    ],
)
def test_names_of_folders(name: object, usable: bool) -> None:
    """What SharePoint could never have as a name is not taken for one."""
    assert is_folder_name(name) is usable
