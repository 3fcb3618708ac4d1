"""SharePoint inside the whole tenant: real HTTP, the tape, planned faults, many threads."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local.support.clock import VirtualClock
from local.tenant import Fault, Person, Tenant
from tests.local.tenant.sharepoint.in_process import (
    FOLDER,
    JSON,
    PROFILES,
    claim,
    file_url,
    folder_url,
    profile_url,
    upload_url,
)
from tests.local.tenant.sharepoint.test_process_query import TARGET, document


class Client:
    """Sends requests with a token of the host it calls."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._session = requests.Session()
        self._session.trust_env = False

    def send(self, method: str, origin: str, target: str, **options: Any) -> requests.Response:
        url = self.tenant.url(origin)
        headers = {"Authorization": f"Bearer {self.tenant.tokens.mint(url, 'app', 'object')}"}
        headers |= {"Accept": JSON, "User-Agent": "NONISV|Test|PhotoSync/1.0"}
        headers |= options.pop("headers", {})
        return self._session.request(method, url + target, headers=headers, timeout=10, **options)

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of a running tenant of sixty people."""
    with Tenant(users=60, clock=VirtualClock()) as tenant:
        made = Client(tenant)
        yield made
        made.close()


def somebody(client: Client) -> Person:
    return next(
        person
        for person in client.tenant.directory.people.values()
        if person.has_profile and not person.geo and person.existing == "none"
    )


def show(client: Client, person: Person, content: bytes) -> None:
    """Upload three files and set the properties, as a synchronisation does."""
    for size in "LSM":
        name = f"{person.id}_{size}Thumb.jpg"
        assert client.send("POST", "mysite", upload_url(name), data=content).ok
    url = f"{client.tenant.url('mysite')}/User%20Photos/Profile%20Pictures/{person.id}_MThumb.jpg"
    body = document(
        [
            (claim(person.upn), "PictureURL", url),
            (claim(person.upn), "SPS-PictureTimestamp", "63930902400"),
            (claim(person.upn), "SPS-PicturePlaceholderState", "0"),
        ]
    )
    answer = client.send("POST", "admin", TARGET, data=body, headers={"Content-Type": "text/xml"})
    assert answer.json()[0]["ErrorInfo"] is None


def test_a_synchronised_person_is_shown(client: Client) -> None:
    """Three uploads and one query make the picture show, and the profile says so."""
    person = somebody(client)
    assert client.tenant.sharepoint.shown_picture(person.id) is None
    show(client, person, b"new picture")
    assert client.tenant.sharepoint.shown_picture(person.id, "L") == b"new picture"
    read = client.send("GET", "admin", profile_url(person.upn, "PictureUrl"))
    assert read.json()["PictureUrl"].endswith("_MThumb.jpg?t=63930902400")


def test_the_tape_names_every_request(client: Client) -> None:
    """Each kind of request has its name on the tape; only those that change are writes."""
    person = somebody(client)
    show(client, person, b"x")
    name = f"{person.id}_MThumb.jpg"
    client.send("GET", "admin", profile_url(person.upn))
    client.send("GET", "mysite", folder_url())
    client.send("GET", "mysite", f"{file_url(name)}/$value")
    client.send("POST", "mysite", "/_api/contextinfo")
    client.send("POST", "mysite", f"{file_url(name)}/recycle()")
    client.send(
        "POST",
        "admin",
        f"{PROFILES}/SetSingleValueProfileProperty",
        json={"accountName": claim(person.upn), "propertyName": "Title", "propertyValue": "x"},
    )
    entries = client.tenant.tape.entries(service="sharepoint")
    assert [(entry.operation, entry.changes) for entry in entries] == [
        ("file.upload", True),
        ("file.upload", True),
        ("file.upload", True),
        ("profile.write", True),
        ("profile.read", False),
        ("folder.read", False),
        ("file.read", False),
        ("digest", False),
        ("file.recycle", True),
        ("profile.write", True),
    ]
    assert {entry.units for entry in entries} == {2}


def test_a_fault_after_the_effect_leaves_the_effect(client: Client) -> None:
    """A lost answer is a lost answer only: the file is there."""
    client.tenant.faults.add(Fault(kind="timeout_after", operation="file.upload"))
    with pytest.raises(requests.ConnectionError):
        client.send("POST", "mysite", upload_url("a.jpg"), data=b"x")
    assert client.tenant.sharepoint.files()[f"{FOLDER}/a.jpg"] == b"x"
    client.tenant.faults.add(Fault(kind="timeout_before", operation="file.upload"))
    with pytest.raises(requests.ConnectionError):
        client.send("POST", "mysite", upload_url("b.jpg"), data=b"x")
    assert f"{FOLDER}/b.jpg" not in client.tenant.sharepoint.files()


def test_many_threads_at_once(client: Client) -> None:
    """Concurrent uploads, reads and recycling of the same names lose nothing."""
    failed: list[int] = []

    def work(number: int) -> None:
        mine = Client(client.tenant)
        for turn in range(20):
            own = f"own{number}.jpg"
            answers = [
                mine.send("POST", "mysite", upload_url(own), data=bytes([number, turn])),
                mine.send("POST", "mysite", upload_url("shared.jpg"), data=bytes([number])),
                mine.send("GET", "mysite", f"{file_url(own)}/$value"),
            ]
            failed.extend(answer.status_code for answer in answers if not answer.ok)
            if answers[2].content != bytes([number, turn]):
                failed.append(0)
        mine.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    shared = client.tenant.sharepoint.library["mysite"].file(f"{FOLDER}/shared.jpg")
    assert (shared.major, len(shared.versions)) == (160, 159)
