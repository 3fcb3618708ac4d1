"""What SharePoint shows before anybody syncs, and what the test helpers say about it."""

import io
from urllib.parse import quote

import pytest
from PIL import Image

from tests.local.tenant.sharepoint.in_process import FOLDER, Bench

UPN = "Bert.Jansen@contoso.onmicrosoft.com"


@pytest.mark.parametrize(
    ("existing", "prefix"),
    [("upn-prefix", "bert_jansen_contoso_onmicrosoft_com"), ("id-prefix", None)],
)
def test_earlier_upload_has_three_files_and_is_shown(existing: str, prefix: str | None) -> None:
    """A person with an earlier upload has S, M and L, and the profile shows them."""
    bench = Bench()
    bert = bench.add(UPN, existing=existing)
    prefix = prefix or bert.id
    files = bench.sharepoint.files()
    assert set(files) == {f"{FOLDER}/{prefix}_{size}Thumb.jpg" for size in "SML"}
    assert bench.sharepoint.shown_picture(bert.id) == files[f"{FOLDER}/{prefix}_MThumb.jpg"]
    assert bench.sharepoint.shown_picture(bert.id, "L") == files[f"{FOLDER}/{prefix}_LThumb.jpg"]
    for size, pixels in (("S", 48), ("M", 72), ("L", 200)):
        with Image.open(io.BytesIO(files[f"{FOLDER}/{prefix}_{size}Thumb.jpg"])) as image:
            assert (image.format, image.size) == ("JPEG", (pixels, pixels))
    values = bench.sharepoint.profile(bert.id)
    assert values["PictureURL"] == (
        f"http://mysite.test/User%20Photos/Profile%20Pictures/{prefix}_MThumb.jpg"
    )
    assert values["SPS-PicturePlaceholderState"] == "0"
    assert values["SPS-PictureTimestamp"].isdigit()


@pytest.mark.parametrize("existing", ["none", "foreign-url", "placeholder"])
def test_others_show_nothing_of_the_library(existing: str) -> None:
    """No picture, a picture elsewhere, a placeholder: no file, and nothing shown."""
    bench = Bench()
    bert = bench.add(UPN, existing=existing)
    assert bench.sharepoint.shown_picture(bert.id) is None
    assert bench.sharepoint.files() == {}
    values = bench.sharepoint.profile(bert.id)
    assert (values["PictureURL"] != "") == (existing != "none")
    assert (values["SPS-PicturePlaceholderState"] == "0") == (existing == "foreign-url")


def test_guest_name_is_escaped_in_the_url() -> None:
    """A prefix with a number sign is escaped in PictureURL and plain in the library."""
    bench = Bench()
    guest = bench.add("x_fabrikam.com#EXT#@contoso.onmicrosoft.com", existing="upn-prefix")
    name = "x_fabrikam_com#ext#_contoso_onmicrosoft_com_MThumb.jpg"
    assert f"{FOLDER}/{name}" in bench.sharepoint.files()
    assert bench.sharepoint.profile(guest.id)["PictureURL"].endswith(quote(name))
    assert bench.sharepoint.shown_picture(guest.id) is not None


def test_second_geo_is_seeded_on_its_own_host() -> None:
    """A person of the second geo has files there, and is shown from there."""
    bench = Bench()
    eve = bench.add("eve@contoso.com", existing="id-prefix", geo="EUR")
    assert bench.sharepoint.files() == {}
    assert len(bench.sharepoint.files("mysite2")) == 3
    assert bench.sharepoint.shown_picture(eve.id) is not None


def test_without_library_or_profile_nothing_is_seeded() -> None:
    """No folder means no files; no profile means no properties."""
    bench = Bench()
    bench.quirks.folder_exists = False
    bert = bench.add(UPN, existing="id-prefix")
    nobody = bench.add("nobody@contoso.com", existing="foreign-url", has_profile=False)
    assert bench.sharepoint.files() == {}
    assert bench.sharepoint.shown_picture(bert.id) is None
    assert bench.sharepoint.profile(nobody.id)["PictureURL"] == ""


def test_person_added_later_is_seeded_too() -> None:
    """A person who comes while the tenant runs has a state of their own."""
    bench = Bench()
    assert bench.sharepoint.files() == {}
    bert = bench.add(UPN, existing="id-prefix")
    assert bench.sharepoint.shown_picture(bert.id) is not None


def test_shown_picture_needs_the_right_host_state_and_file() -> None:
    """A picture is shown only from the own host, without placeholder, with its file there."""
    bench = Bench()
    bert = bench.add(UPN, existing="id-prefix")
    shown = bench.sharepoint.profile(bert.id)["PictureURL"]
    for change in (
        {"PictureURL": shown.replace("mysite", "mysite2")},
        {"PictureURL": shown.replace("_MThumb", "_Missing")},
        {"SPS-PicturePlaceholderState": "1"},
        {"SPS-PicturePlaceholderState": ""},
    ):
        before = bench.sharepoint.profile(bert.id)
        bench.sharepoint.profiles.put(bert, change)
        assert bench.sharepoint.shown_picture(bert.id) is None
        bench.sharepoint.profiles.put(bert, {name: before[name] for name in change})
    assert bench.sharepoint.shown_picture(bert.id) is not None
