"""Folders and files of the picture library over REST."""

import pytest

from local.tenant.sharepoint.library import LIST_VIEW_THRESHOLD
from tests.local.tenant.sharepoint.in_process import (
    FOLDER,
    Bench,
    body_of,
    error_of,
    file_url,
    folder_url,
    literal,
    upload_url,
)

NAME = "0f0e_MThumb.jpg"
NOT_FOUND = "-2147024894, System.IO.FileNotFoundException"


def test_upload_is_stored_and_described(bench: Bench) -> None:
    """An upload answers 200 with the file; its bytes come back unchanged."""
    content = bytes(range(256)) * 3
    answer = bench.upload(NAME, content)
    assert answer.status == 200
    stored = body_of(answer)
    assert stored["Name"] == NAME
    assert stored["ServerRelativeUrl"] == f"{FOLDER}/{NAME}"
    assert stored["Length"] == "768"
    assert stored["CheckOutType"] == 2
    read = bench.get(f"{file_url(NAME)}/$value")
    assert (read.body, read.headers["Content-Type"]) == (content, "application/octet-stream")
    assert bench.sharepoint.files()[f"{FOLDER}/{NAME}"] == content


def test_overwriting_keeps_the_identity_and_makes_a_version(bench: Bench) -> None:
    """Overwriting keeps address and id, changes length and time, and adds a version."""
    first = body_of(bench.upload(NAME, b"one"))
    bench.clock.advance(60)
    second = body_of(bench.upload(NAME, b"second"))
    assert second["UniqueId"] == first["UniqueId"]
    assert (first["UIVersionLabel"], second["UIVersionLabel"]) == ("1.0", "2.0")
    assert second["TimeLastModified"] > first["TimeLastModified"]
    assert second["TimeCreated"] == first["TimeCreated"]
    versions = body_of(bench.get(f"{file_url(NAME)}/versions"))["value"]
    assert [(version["VersionLabel"], version["Size"]) for version in versions] == [("1.0", 3)]


def test_without_overwrite_an_existing_file_is_refused(bench: Bench) -> None:
    """`overwrite=false` answers 400 and leaves the file as it was."""
    bench.upload(NAME, b"one")
    answer = bench.upload(NAME, b"two", overwrite=False)
    assert error_of(answer) == (400, "-2130575257, Microsoft.SharePoint.SPException")
    assert bench.get(f"{file_url(NAME)}/$value").body == b"one"


def test_names_are_found_in_any_case(bench: Bench) -> None:
    """SharePoint ignores the case of names, and keeps the first one."""
    bench.upload("Photo.jpg", b"one")
    assert body_of(bench.upload("PHOTO.JPG", b"two"))["Name"] == "Photo.jpg"
    assert len(bench.sharepoint.files()) == 1


@pytest.mark.parametrize("name", ["a#b.jpg", "100%25.jpg", "o'neil&co+x.jpg", "zoë.jpg"])
def test_path_calls_take_every_legal_name(bench: Bench, name: str) -> None:
    """The calls with `decodedUrl` decode a name exactly once, so # and % are safe."""
    assert body_of(bench.upload(name))["Name"] == name
    answer = bench.get(f"{file_url(name)}?$select=Exists,Length,TimeLastModified")
    assert set(body_of(answer)) == {"Exists", "Length", "TimeLastModified"}


def test_older_calls_decode_names_once_more(bench: Bench) -> None:
    """The `...Url` calls take a percent sign for an escape."""
    folder = f"/_api/web/GetFolderByServerRelativeUrl({literal('/User%20Photos')})"
    created = bench.send("POST", f"{folder}/Files/add(url={literal('a%20b.jpg')},overwrite=true)")
    assert body_of(created)["ServerRelativeUrl"] == "/User Photos/a b.jpg"
    doubly = f"/_api/web/GetFolderByServerRelativePath(decodedUrl={literal('/User%20Photos')})"
    assert error_of(bench.get(doubly)) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    "name", ["a:b.jpg", "a/b.jpg", 'a"b.jpg', " a.jpg", "a.", "x" * 400, "a|b"]
)
def test_illegal_names_are_refused(bench: Bench, name: str) -> None:
    """What SharePoint does not allow in a name answers 400 and stores nothing."""
    assert bench.upload(name).status == 400
    assert bench.sharepoint.files() == {}


@pytest.mark.parametrize(
    "target",
    [
        f"{folder_url()}/Files/AddUsingPath(decodedUrl='o'neil.jpg',overwrite=true)",
        f"{folder_url()}/Files/AddUsingPath(decodedUrl='a b.jpg',overwrite=true)",
        f"{folder_url()}/Files/AddUsingPath(decodedUrl='a.jpg',overwrite='true')",
        f"{folder_url()}/Files/AddUsingPath(decodedUrl='a.jpg',replace=true)",
        f"{folder_url()}/Files/AddUsingPath(overwrite=true)",
        f"{folder_url()}/Files/AddUsingPath(decodedUrl=a.jpg)",
    ],
)
def test_bad_upload_addresses_are_refused(bench: Bench, target: str) -> None:
    """Names not escaped, and unknown or missing parameters, answer 400."""
    assert bench.send("POST", target, b"jpeg").status == 400
    assert bench.sharepoint.files() == {}


def test_wrong_endpoint_or_method(bench: Bench) -> None:
    """Endpoints that do not exist answer 404, wrong methods 405, POST without length 411."""
    assert bench.send("POST", f"{folder_url()}/Files/Upload('a.jpg')").status == 404
    assert bench.get(upload_url(NAME)).status == 405
    assert bench.send("PUT", folder_url(), b"").status == 405
    bench.upload(NAME)
    assert bench.get(f"{file_url(NAME)}/recycle").status == 405
    assert bench.send("POST", f"{file_url(NAME)}/burn()").status == 404
    assert bench.get("/_api/web/burn").status == 404
    assert bench.get(f"{file_url(NAME)}?$select=Size").status == 400
    assert f"{FOLDER}/{NAME}" in bench.sharepoint.files()


ELSEWHERE = "/User Photos/Elsewhere"


def test_missing_file_and_folder(bench: Bench) -> None:
    """What works on a missing file or folder is 404 FileNotFound."""
    for answer in (
        bench.get(file_url(NAME)),
        bench.get(f"{file_url(NAME)}?$select=Exists"),
        bench.get(f"{file_url(NAME)}/$value"),
        bench.get(folder_url(ELSEWHERE)),
        bench.get(f"{folder_url(ELSEWHERE)}?$select=Name,ServerRelativeUrl"),
        bench.send("POST", upload_url(NAME, path=ELSEWHERE), b"jpeg"),
        bench.send("POST", f"{file_url(NAME)}/recycle()"),
    ):
        assert error_of(answer) == (404, NOT_FOUND)


def test_asking_whether_a_folder_exists(bench: Bench) -> None:
    """A missing folder says so when asked for `Exists`, and lists nothing; by quirk it is 404."""
    asked = (
        f"{folder_url(ELSEWHERE)}?$select=Exists,ServerRelativeUrl",
        f"{folder_url(ELSEWHERE)}/Exists",
        f"{folder_url(ELSEWHERE)}/Folders?$select=Name,ItemCount",
        f"{folder_url(ELSEWHERE)}/Files",
    )
    found = [body_of(bench.get(target)) for target in asked]
    assert found == [{"Exists": False}, {"value": False}, {"value": []}, {"value": []}]
    bench.quirks.missing_folder = "404"
    assert [error_of(bench.get(target)) for target in asked] == [(404, NOT_FOUND)] * 4
    assert body_of(bench.get(f"{folder_url()}?$select=Exists")) == {"Exists": True}


def test_folders_are_listed_with_system_folders(bench: Bench) -> None:
    """The library shows the picture folder among its system folders."""
    bench.upload(NAME)
    answer = bench.get(f"{folder_url('/User Photos')}/Folders?$select=Name,ItemCount")
    found = {entry["Name"]: entry["ItemCount"] for entry in body_of(answer)["value"]}
    assert found == {"Forms": 0, "_t": 0, "_w": 0, "Profile Pictures": 1}


def test_localised_or_missing_folder() -> None:
    """The folder has the name of the tenant's language, or is missing, or all is missing."""
    dutch = Bench()
    dutch.quirks.folder_name = "Profielafbeeldingen"
    assert dutch.get(folder_url("/User Photos/Profielafbeeldingen")).status == 200
    assert dutch.get(folder_url()).status == 404
    without = Bench()
    without.quirks.folder_exists = False
    assert without.get(folder_url("/User Photos")).status == 200
    assert without.get(folder_url()).status == 404
    bare = Bench()
    bare.quirks.library_exists = False
    assert bare.get(folder_url("/User Photos")).status == 404


def test_folder_is_created_below_an_existing_one(bench: Bench) -> None:
    """A folder needs its parent; making it twice is no error."""
    target = f"/_api/web/folders/AddUsingPath(decodedUrl={literal('/User Photos/New')})"
    for _ in range(2):
        answer = bench.send("POST", target)
        assert body_of(answer)["ServerRelativeUrl"] == "/User Photos/New"
    orphan = f"/_api/web/folders/AddUsingPath(decodedUrl={literal('/Nowhere/New')})"
    assert bench.send("POST", orphan).status == 404


def test_library_is_created_as_a_list() -> None:
    """Without library, creating the picture library makes the root folder usable."""
    bare = Bench()
    bare.quirks.library_exists = False
    title = f"/_api/web/lists/getByTitle({literal('User Photos')})?$select=BaseTemplate"
    assert bare.get(title).status == 404
    made = bare.send("POST", "/_api/web/lists", {"Title": "User Photos", "BaseTemplate": 109})
    assert made.status == 200
    assert body_of(bare.get(title)) == {"BaseTemplate": 109}
    assert bare.get(folder_url("/User Photos")).status == 200


def test_recycling_moves_a_file_to_the_bin(bench: Bench) -> None:
    """`recycle()` answers the id of the bin's item; the file is gone and its name free."""
    first = body_of(bench.upload(NAME, b"old"))
    answer = bench.send("POST", f"{file_url(NAME)}/recycle()")
    library = bench.sharepoint.library["mysite"]
    assert body_of(answer)["value"] == library.recycle_bin[0].id
    assert library.recycle_bin[0].file.content == b"old"
    assert bench.get(file_url(NAME)).status == 404
    assert body_of(bench.upload(NAME, overwrite=False))["UniqueId"] != first["UniqueId"]


@pytest.mark.parametrize("override", [True, False])
def test_deletion(bench: Bench, override: bool) -> None:
    """DELETE works by its own method and by POST with X-HTTP-Method; nothing is recycled."""
    bench.upload(NAME)
    if override:
        bench.send("POST", file_url(NAME), x_http_method="DELETE")
    else:
        bench.send("DELETE", file_url(NAME))
    assert bench.sharepoint.files() == {}
    assert bench.sharepoint.library["mysite"].recycle_bin == []


def test_checked_out_file_is_locked_for_others(bench: Bench) -> None:
    """A file that a person has checked out answers 423 until it is released."""
    bench.upload(NAME, b"old")
    library = bench.sharepoint.library["mysite"]
    library.check_out(f"{FOLDER}/{NAME}", "i:0#.f|membership|anna@contoso.com")
    code = "-2130575306, Microsoft.SharePoint.SPFileCheckOutException"
    assert error_of(bench.upload(NAME, b"new")) == (423, code)
    assert error_of(bench.send("POST", f"{file_url(NAME)}/recycle()")) == (423, code)
    assert body_of(bench.get(file_url(NAME)))["CheckOutType"] == 0
    assert bench.send("POST", f"{file_url(NAME)}/undocheckout()").status == 200
    assert bench.upload(NAME, b"new").status == 200


def test_own_check_out_is_no_obstacle(bench: Bench) -> None:
    """The application may overwrite what it has checked out itself, and check it in."""
    bench.upload(NAME)
    assert bench.send("POST", f"{file_url(NAME)}/checkout()").status == 200
    assert bench.upload(NAME).status == 200
    done = bench.send("POST", f"{file_url(NAME)}/checkin(comment='',checkintype=1)")
    assert done.status == 200
    assert bench.send("POST", f"{file_url(NAME)}/undocheckout()").status == 400


def test_file_is_found_by_its_id(bench: Bench) -> None:
    """GetFileById names a file as its path does; an unknown id is 404."""
    stored = body_of(bench.upload(NAME))
    found = bench.get(f"/_api/web/GetFileById('{stored['UniqueId']}')?$select=Name")
    assert body_of(found) == {"Name": NAME}
    assert error_of(bench.get("/_api/web/GetFileById('0')")) == (404, NOT_FOUND)


def test_shared_lock_answers_423(bench: Bench) -> None:
    """A file that is open somewhere answers 423 with the code of a lock."""
    bench.upload(NAME)
    bench.sharepoint.library["mysite"].file(f"{FOLDER}/{NAME}").locked = True
    assert error_of(bench.upload(NAME)) == (
        423,
        "-2147018894, Microsoft.SharePoint.SPFileLockException",
    )


def test_long_lists_need_paging(bench: Bench) -> None:
    """More files than the list view threshold are not listed at once, `$top` helps."""
    library = bench.sharepoint.library["mysite"]
    for number in range(LIST_VIEW_THRESHOLD + 1):
        library.put(FOLDER, f"{number:05}.jpg", b"x", overwrite=True)
    assert error_of(bench.get(f"{folder_url()}/Files"))[0] == 500
    listed = body_of(bench.get(f"{folder_url()}/Files?$top=2&$select=Name"))["value"]
    assert listed == [{"Name": "00000.jpg"}, {"Name": "00001.jpg"}]


def test_admin_site_has_no_picture_library(bench: Bench) -> None:
    """Library calls on the tenant administration site find nothing, also to write to."""
    assert error_of(bench.get(folder_url(), origin="admin")) == (404, NOT_FOUND)
    assert bench.upload(NAME, origin="admin").status == 404
    assert bench.upload(NAME, origin="mysite2").status == 200
    assert bench.sharepoint.files() == {}
    assert f"{FOLDER}/{NAME}" in bench.sharepoint.files("mysite2")


def test_web_names_its_kind(bench: Bench) -> None:
    """`_api/web` tells My Site host and admin site apart, at both service addresses."""
    assert body_of(bench.get("/_api/web?$select=WebTemplate")) == {"WebTemplate": "SPSMSITEHOST"}
    answer = bench.get("/_vti_bin/client.svc/web/url", origin="admin")
    assert body_of(answer) == {"value": "http://admin.test"}
