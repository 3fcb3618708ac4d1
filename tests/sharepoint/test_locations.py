"""Where thumbnails go: whose files are reused, which hosts get a token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import SIZES, ThumbnailLocation
from shared.sharepoint.locations import (
    admin_of,
    choose,
    is_folder_name,
    is_trusted_host,
    origin_of,
    read_picture_url,
    same_picture,
)

ID = "33aca310-1111-4222-8333-444455556666"
MYSITE = "https://contoso-my.sharepoint.com"
ADMIN = "https://contoso-admin.sharepoint.com"
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
    ("url", "origin"),
    [
        ("https://Contoso-My.SharePoint.com:443/", MYSITE),
        ("https://contoso-my.sharepoint.com", MYSITE),
        ("HTTPS://contoso-my.sharepoint.com/x?y#z", MYSITE),
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
        ("https://h:8443/", "https://h:8443"),
        ("http://h:443/", "http://h:443"),
        ("//contoso-my.sharepoint.com/", ""),
        ("contoso-my.sharepoint.com", ""),
        ("https://user@contoso-my.sharepoint.com/", ""),
        ("https://[::1/", ""),
        ("https://℀.com/", ""),
        ("", ""),
    ],
)
def test_origins(url: str, origin: str) -> None:
    """Origins compare whatever the port and case they are written with."""
    assert origin_of(url) == origin


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
    """Any text is compared and replaced without an error, and never leads out of the library."""
    same_picture(url, PLACE.picture_url)
    place = choose(picture_url=url, host=MYSITE, user_id=ID, upn="a@b.c", folder=FOLDER)
    assert place.host == MYSITE
    assert place.prefix.lower() in {ID, "a_b_c"}
    assert read_picture_url(place.picture_url) == place


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
    ("upn", "url", "expected"),
    [
        ("u@contoso.com", "", PLACE),
        ("u@contoso.com", URL.format(ID), PLACE),
        ("u@contoso.com", URL.format(ID.upper()), ThumbnailLocation(MYSITE, FOLDER, ID.upper())),
        (
            "u@contoso.com",
            URL.format("u_contoso_com"),
            ThumbnailLocation(MYSITE, FOLDER, "u_contoso_com"),
        ),
        (
            "U@Contoso.com",
            URL.format("u_contoso_com"),
            ThumbnailLocation(MYSITE, FOLDER, "u_contoso_com"),
        ),
        (
            "u@contoso.com",
            URL.format("u_contoso_com").replace("Profile%20Pictures", "Profilbilleder"),
            ThumbnailLocation(MYSITE, "Profilbilleder", "u_contoso_com"),
        ),
        # Somebody else's files, by id, by name, by a spelling that two names share.
        ("u@contoso.com", URL.format("99999999-1111-4222-8333-444455556666"), PLACE),
        ("u@contoso.com", URL.format("v_contoso_com"), PLACE),
        ("a_b@contoso.com", URL.format("a_b_contoso_com"), PLACE),
        ("jane_fab.com#EXT#@c.com", URL.format("jane_fab_com%23EXT%23_c_com"), PLACE),
        # Another host, another library, another folder.
        ("u@contoso.com", f"https://old-my.sharepoint.com/User Photos/x/{ID}_MThumb.jpg", PLACE),
        ("u@contoso.com", "https://cdn.example/me.jpg", PLACE),
        ("u@contoso.com", f"{MYSITE}/User Photos/Anything/other_MThumb.jpg", PLACE),
    ],
)
def test_whose_files_are_written_over(upn: str, url: str, expected: ThumbnailLocation) -> None:
    """Files in use are kept when they are surely his own; else the object id is the name."""
    assert choose(picture_url=url, host=MYSITE, user_id=ID, upn=upn, folder=FOLDER) == expected


@pytest.mark.parametrize(
    ("host", "mysite", "trusted"),
    [
        (MYSITE, MYSITE, True),
        ("https://contosoeur-my.sharepoint.com", MYSITE, True),
        ("https://fabrikam-my.sharepoint.com", MYSITE, False),
        ("http://contosoeur-my.sharepoint.com", MYSITE, False),
        ("https://contoso-my.sharepoint.us", MYSITE, False),
        ("https://contoso-my.sharepoint.com.evil.example", MYSITE, False),
        ("https://contoso-my.evil-my.sharepoint.com", MYSITE, False),
        ("https://contoso.evil-my.sharepoint.com", MYSITE, False),
        ("https://contoso-my.sharepoint.com:8443", MYSITE, False),
        ("https://evil.example/contoso-my.sharepoint.com", MYSITE, False),
        ("https://127.0.0.1:5", MYSITE, False),
        ("https://photos.contoso.example", "https://photos.contoso.example", True),
        ("https://other.contoso.example", "https://photos.contoso.example", False),
        ("http://127.0.0.1:6", "http://127.0.0.1:5", True),
        ("http://localhost:6", "http://127.0.0.1:5", True),
        ("https://127.0.0.1:6", "http://127.0.0.1:5", False),
        ("http://127.0.0.1.evil.example:6", "http://127.0.0.1:5", False),
        ("http://10.0.0.1:6", "http://127.0.0.1:5", False),
        ("", MYSITE, False),
    ],
)
def test_which_hosts_get_a_token(host: str, mysite: str, trusted: bool) -> None:
    """The configured My Site host and other geos of the same tenant; nobody else."""
    assert is_trusted_host(host, mysite) is trusted


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (MYSITE, "https://admin.configured"),
        ("https://contosoeur-my.sharepoint.com", "https://contosoeur-admin.sharepoint.com"),
        ("http://127.0.0.1:6", "http://127.0.0.1:6"),
    ],
)
def test_admin_site_of_a_geo(host: str, expected: str) -> None:
    """Profile calls go to the admin site of the geo that holds the profile."""
    assert admin_of(host, mysite=MYSITE, admin="https://admin.configured") == expected


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
