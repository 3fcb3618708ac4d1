"""Office365-REST-Python-Client, which nobody here wrote, works against the emulated SharePoint.

Its documented hooks are used: a token callback and the URL of the site, over loopback HTTP.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from office365.runtime.client_request_exception import ClientRequestException
from office365.sharepoint.client_context import ClientContext
from office365.sharepoint.exceptions import SPFileCheckOutException
from office365.sharepoint.files.file import File

from local.tenant.faults import Delivery
from local.tenant.http import Request, Response
from local.tenant.server import Listener
from tests.local.tenant.sharepoint.in_process import APP, FOLDER, Bench, claim

ANNA = "anna@contoso.com"
ODD = "o'neil+x&y@contoso.com"
NAME = "o'neil #1 100%.jpg"
Connect = Callable[[str], Any]


@pytest.fixture
def connect(bench: Bench) -> Iterator[Connect]:
    """Opens the client on an origin, with a token of that host."""

    def handler(request: Request) -> tuple[Response, Delivery]:
        return bench.sharepoint.handle(request), Delivery.WHOLE

    listeners = {origin: Listener(origin, handler) for origin in ("mysite", "admin")}
    for origin, listener in listeners.items():
        bench.urls[origin] = listener.url
        listener.start()

    def context(origin: str) -> Any:
        def token() -> dict[str, str]:
            minted = bench.tokens.mint(bench.urls[origin], APP, "object")
            return {"token_type": "Bearer", "access_token": minted}

        return ClientContext(bench.urls[origin]).with_access_token(token)

    yield context
    for listener in listeners.values():
        listener.stop()


@pytest.mark.parametrize("upn", [ANNA, ODD])
def test_reads_a_profile(bench: Bench, connect: Connect, upn: str) -> None:
    """The client reads somebody's profile with all properties."""
    people = connect("admin").people_manager
    found = people.get_properties_for(claim(upn)).execute_query()
    person = bench.directory.by_upn(upn)
    assert person is not None
    assert found.account_name == claim(upn)
    assert found.user_profile_properties["msOnline-ObjectId"] == person.id
    assert found.personal_site_host_url == f"{bench.urls['mysite']}/"


@pytest.mark.parametrize("upn", [ANNA, ODD])
def test_writes_a_profile_property(bench: Bench, connect: Connect, upn: str) -> None:
    """What the client writes it reads back, one property at a time."""
    people = connect("admin").people_manager
    people.set_single_value_profile_property(claim(upn), "Title", "Chief & o'Boss").execute_query()
    read = people.get_user_profile_property_for(claim(upn), "Title").execute_query()
    assert read.value == "Chief & o'Boss"
    person = bench.directory.by_upn(upn)
    assert person is not None
    assert bench.sharepoint.profile(person.id)["Title"] == "Chief & o'Boss"


def test_writes_profiles_in_a_batch(bench: Bench, connect: Connect) -> None:
    """The client's batch of writes and reads is understood, and it understands the answer."""
    context = connect("admin")
    people = context.people_manager
    people.set_single_value_profile_property(claim(ANNA), "Title", "Chief")
    people.set_single_value_profile_property(claim(ODD), "Office", "17")
    found = people.get_properties_for(claim(ODD))
    context.execute_batch()
    assert found.user_profile_properties["Office"] == "17"
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    assert bench.sharepoint.profile(anna.id)["Title"] == "Chief"


def test_uploads_reads_and_recycles_a_file(bench: Bench, connect: Connect) -> None:
    """Upload, properties, download, versions and recycling work with an awkward name."""
    context = connect("mysite")
    folder = context.web.get_folder_by_server_relative_path(FOLDER)
    folder.files.add("plain.jpg", b"one", True).execute_query()
    second = folder.files.add("plain.jpg", b"second", True).execute_query()
    assert second.server_relative_url == f"{FOLDER}/plain.jpg"
    bench.sharepoint.library["mysite"].put(FOLDER, NAME, b"\x00\xff\r\n", overwrite=True)
    odd = context.web.get_file_by_server_relative_path(f"{FOLDER}/{NAME}")
    assert odd.get_content().execute_query().value == b"\x00\xff\r\n"
    odd.get().execute_query()
    assert (odd.name, odd.exists) == (NAME, True)
    plain = context.web.get_file_by_server_relative_path(f"{FOLDER}/plain.jpg")
    versions = plain.versions.get().execute_query()
    assert [version.properties["VersionLabel"] for version in versions] == ["1.0"]
    plain.recycle().execute_query()
    odd.delete_object().execute_query()
    assert bench.sharepoint.files() == {}
    assert len(bench.sharepoint.library["mysite"].recycle_bin) == 1


def test_reads_and_makes_folders(bench: Bench, connect: Connect) -> None:
    """The client lists folders and files and makes a folder."""
    context = connect("mysite")
    library = context.web.get_folder_by_server_relative_path("/User Photos")
    library.folders.add_using_path("Profielafbeeldingen", False).execute_query()
    folders = library.folders.get().execute_query()
    names = {folder.name for folder in folders}
    assert {"Profile Pictures", "Profielafbeeldingen"} <= names
    bench.sharepoint.library["mysite"].put(FOLDER, "a.jpg", b"x", overwrite=True)
    files = context.web.get_folder_by_server_relative_path(FOLDER).files.get().execute_query()
    assert [found.name for found in files] == ["a.jpg"]


def test_downloads_by_the_older_call(bench: Bench, connect: Connect) -> None:
    """`File.open_binary` and `save_binary` use raw addresses; they work too."""
    context = connect("mysite")
    bench.sharepoint.library["mysite"].put(FOLDER, "a.jpg", b"bytes", overwrite=True)
    assert File.open_binary(context, f"{FOLDER}/a.jpg").content == b"bytes"
    File.save_binary(context, f"{FOLDER}/a.jpg", b"others")
    assert bench.sharepoint.files()[f"{FOLDER}/a.jpg"] == b"others"


def test_understands_errors(bench: Bench, connect: Connect) -> None:
    """The client reads code and text out of our errors, and tells a check-out by them."""
    context = connect("mysite")
    missing = context.web.get_file_by_server_relative_path(f"{FOLDER}/none.jpg")
    with pytest.raises(ClientRequestException) as raised:
        missing.get().execute_query()
    assert raised.value.response.status_code == 404
    assert raised.value.code == "-2147024894, System.IO.FileNotFoundException"
    library = bench.sharepoint.library["mysite"]
    library.put(FOLDER, "a.jpg", b"x", overwrite=True)
    library.check_out(f"{FOLDER}/a.jpg", "somebody")
    folder = context.web.get_folder_by_server_relative_path(FOLDER)
    with pytest.raises(SPFileCheckOutException):
        folder.files.add("a.jpg", b"y", True).execute_query()


def test_renews_its_digest(bench: Bench, connect: Connect) -> None:
    """With digests demanded, the client gets one by itself and a new one after it expired."""
    bench.quirks.digest_required = True
    people = connect("admin").people_manager
    people.set_single_value_profile_property(claim(ANNA), "Title", "a").execute_query()
    bench.clock.advance(3_600)
    people.set_single_value_profile_property(claim(ANNA), "Title", "b").execute_query()
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    assert bench.sharepoint.profile(anna.id)["Title"] == "b"
