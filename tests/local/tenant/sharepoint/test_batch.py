"""REST `$batch`: many requests in one."""

import json
from email import message_from_bytes
from typing import Any, NamedTuple

import pytest

from local.tenant.http import Response
from local.tenant.quirks import Quotas
from tests.local.tenant.sharepoint.in_process import (
    JSON,
    PROFILES,
    Bench,
    body_of,
    claim,
    folder_url,
    profile_url,
    upload_url,
)

ANNA = "anna@contoso.com"
READ = f"http://mysite.test{profile_url(ANNA, 'DisplayName')}"
SET = f"http://mysite.test{PROFILES}/SetSingleValueProfileProperty"


class Answer(NamedTuple):
    """One part of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def part(method: str, url: str, body: object = None, *, accept: str | None = JSON) -> str:
    """One request as a part of a batch, without boundary."""
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", ""]
    lines += [f"{method} {url} HTTP/1.1"]
    lines += [f"Accept: {accept}"] if accept else []
    if body is not None:
        lines += ["Content-Type: application/json", "", json.dumps(body)]
    return "\r\n".join([*lines, "", ""])


def changeset(*parts: str, boundary: str = "changes") -> str:
    """Parts bound to one changeset."""
    body = "".join(f"--{boundary}\r\n{one}\r\n" for one in parts) + f"--{boundary}--\r\n"
    return f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n{body}'


def send(bench: Bench, *parts: str, newline: str = "\r\n", **options: Any) -> Response:
    body = "".join(f"--outer\r\n{one}\r\n" for one in parts) + "--outer--\r\n"
    options.setdefault("content_type", "multipart/mixed; boundary=outer")
    return bench.send("POST", "/_api/$batch", body.replace("\r\n", newline).encode(), **options)


def parts_of(response: Response) -> list[Answer]:
    """The answers in a batch's answer, read by the standard library's MIME parser."""
    assert response.status == 200
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    message = message_from_bytes(head + response.body)
    assert message.get_content_type() == "multipart/mixed"
    found = []
    for one in message.walk():
        if one.get_content_type() != "application/http":
            continue
        payload = one.get_payload(decode=True)
        assert isinstance(payload, bytes)
        lines, _, body = payload.partition(b"\r\n\r\n")
        first, *headers = lines.decode().split("\r\n")
        pairs = (line.partition(": ") for line in headers)
        named = {name.lower(): value for name, _, value in pairs}
        found.append(Answer(int(first.split()[1]), named, body))
    return found


def setting(name: str, value: str) -> str:
    document = {"accountName": claim(ANNA), "propertyName": name, "propertyValue": value}
    return part("POST", SET, document)


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_parts_are_answered_in_order_with_their_own_status(bench: Bench, newline: str) -> None:
    """Reads and writes of a batch are answered flat, in order, each with its status."""
    answer = send(
        bench,
        part("GET", READ),
        changeset(setting("Title", "Chief"), setting("NoSuchThing", "x")),
        part("GET", "http://mysite.test/_api/nothing"),
        part("GET", READ),
        newline=newline,
    )
    found = parts_of(answer)
    assert [one.status for one in found] == [200, 200, 500, 404, 200]
    assert json.loads(found[0].body) == {"DisplayName": "Anna Example"}
    assert found[0].headers["content-type"].startswith("application/json")
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    assert bench.sharepoint.profile(anna.id)["Title"] == "Chief"


def test_nothing_is_rolled_back(bench: Bench) -> None:
    """A failed part of a changeset leaves the others done, before and after it."""
    send(bench, changeset(setting("Title", "a"), setting("Bad", "b"), setting("Office", "c")))
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    values = bench.sharepoint.profile(anna.id)
    assert (values["Title"], values["Office"]) == ("a", "c")


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (part("GET", READ),) * 101,
        (setting("Title", "x"),),
        (changeset(part("GET", READ)),),
        (part("GET", READ.replace("mysite.test", "admin.test")),),
        (part("GET", READ.replace("mysite", "MySite")),),
        (part("GET", profile_url(ANNA)),),
        ("Content-Type: application/json\r\n\r\n{}\r\n",),
        ("Content-Type: application/http\r\n\r\nhello\r\n",),
        (changeset(changeset(setting("Title", "x"), boundary="inner")),),
    ],
)
def test_bad_batches_are_refused_as_a_whole(bench: Bench, parts: tuple[str, ...]) -> None:
    """None or too many parts, writes alone, reads in changesets, foreign hosts: 400, no effect."""
    assert send(bench, *parts).status == 400
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    assert bench.sharepoint.profile(anna.id)["Title"] == ""


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/mixed", "multipart/mixed; boundary=other"]
)
def test_a_batch_needs_its_boundary(bench: Bench, content_type: str) -> None:
    """A body that does not fit the announced boundary answers 400."""
    assert send(bench, part("GET", READ), content_type=content_type).status == 400


def test_cut_off_batch_does_nothing(bench: Bench) -> None:
    """A batch without its closing boundary is not begun."""
    body = f"--outer\r\n{changeset(setting('Title', 'x'))}".encode()
    kind = "multipart/mixed; boundary=outer"
    assert bench.send("POST", "/_api/$batch", body, content_type=kind).status == 400
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    assert bench.sharepoint.profile(anna.id)["Title"] == ""


def test_uploads_fail_in_a_batch(bench: Bench) -> None:
    """An upload in a batch answers 500 System.IO.IOException, as reported; nothing is stored."""
    upload = part("POST", f"http://mysite.test{upload_url('a.jpg')}", "x")
    found = parts_of(send(bench, changeset(upload, setting("Title", "x"))))
    assert [one.status for one in found] == [500, 200]
    assert json.loads(found[0].body)["odata.error"]["code"] == "-1, System.IO.IOException"
    assert bench.sharepoint.files() == {}


def test_a_batch_is_at_most_a_megabyte(bench: Bench) -> None:
    """A larger body is refused before anything is done."""
    answer = send(bench, changeset(setting("AboutMe", "x" * 1_048_576)))
    assert answer.status == 400
    assert "maximum number of bytes" in body_of(answer)["odata.error"]["message"]["value"]


def test_parts_are_charged_one_by_one() -> None:
    """Parts beyond the quota answer 429 alone; a batch that begins beyond it, as a whole."""
    made = Bench(quotas=Quotas(people_manager_per_5min=2))
    made.add(ANNA)
    answer = send(made, *[part("GET", READ)] * 3)
    found = parts_of(answer)
    assert [one.status for one in found] == [200, 200, 429]
    assert found[2].headers["retry-after"] == "300"
    assert answer.units == 6
    again = send(made, part("GET", READ))
    assert (again.status, again.headers["Retry-After"]) == (429, "300")


def test_part_inherits_accept_and_may_contain_spaces(bench: Bench) -> None:
    """Without its own Accept a part is answered in the batch's; spaces need no escape in it."""
    url = "http://mysite.test/_api/web/GetFolderByServerRelativePath(decodedUrl='/User Photos')"
    assert url.replace("http://mysite.test", "") != folder_url("/User Photos")
    (found,) = parts_of(send(bench, part("GET", url, accept=None)))
    assert json.loads(found.body)["ServerRelativeUrl"] == "/User Photos"


def test_batch_may_be_missing(bench: Bench) -> None:
    """By quirk the endpoint does not exist; it never answers a GET."""
    assert bench.get("/_api/$batch").status == 405
    bench.quirks.batch_supported = False
    answer = send(bench, part("GET", READ))
    assert answer.status == 404
    assert "odata.error" in body_of(answer)
