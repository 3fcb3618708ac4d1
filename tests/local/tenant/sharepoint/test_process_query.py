"""Several profile properties in one request: ProcessQuery of the client object model."""

from typing import Any
from xml.sax.saxutils import escape

import pytest

from local.tenant.http import Response
from tests.local.tenant.sharepoint.in_process import Bench, body_of, claim

TARGET = "/_vti_bin/client.svc/ProcessQuery"
ANNA = "anna@contoso.com"
PEOPLE_MANAGER = "{cf560d69-0fdb-4489-a216-b6b47adf8ef8}"
HEAD = (
    '<Request AddExpandoFieldTypeSuffix="true" SchemaVersion="15.0.0.0" LibraryVersion="16.0.0.0" '
    'ApplicationName="Test" xmlns="http://schemas.microsoft.com/sharepoint/clientquery/2009">'
)


def document(
    methods: list[tuple[str, ...]],
    *,
    head: str = HEAD,
    type_id: str = PEOPLE_MANAGER,
    name: str = "SetSingleValueProfileProperty",
) -> bytes:
    """A query that instantiates PeopleManager and calls a method with these parameters."""
    calls = "".join(
        f'<Method Name="{name}" Id="{number}" ObjectPathId="1"><Parameters>'
        + "".join(f'<Parameter Type="String">{escape(text)}</Parameter>' for text in method)
        + "</Parameters></Method>"
        for number, method in enumerate(methods, start=3)
    )
    return (
        f'{head}<Actions><ObjectPath Id="2" ObjectPathId="1"/>{calls}</Actions><ObjectPaths>'
        f'<Constructor Id="1" TypeId="{type_id}"/></ObjectPaths></Request>'
    ).encode()


def query(bench: Bench, body: bytes, **options: Any) -> Response:
    options = {"origin": "admin", "content_type": "text/xml"} | options
    return bench.send("POST", TARGET, body, **options)


def info_of(response: Response) -> tuple[int, str]:
    """ErrorCode and ErrorTypeName of a failed query."""
    assert response.status == 200
    (header,) = body_of(response)
    return header["ErrorInfo"]["ErrorCode"], header["ErrorInfo"]["ErrorTypeName"]


def test_several_properties_are_set_at_once(bench: Bench) -> None:
    """Three Set calls in one query all take effect; the answer lists the object path."""
    url = "http://mysite.test/x?a=1&b=<2>"
    answer = query(
        bench,
        document(
            [
                (claim(ANNA), "PictureURL", url),
                (claim(ANNA), "SPS-PictureTimestamp", "63930902400"),
                (claim(ANNA), "SPS-PicturePlaceholderState", "0"),
            ]
        ),
    )
    header, number, value = body_of(answer)
    assert (header["ErrorInfo"], number, value) == (None, 2, {"IsNull": False})
    assert header["SchemaVersion"] == "15.0.0.0"
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    values = bench.sharepoint.profile(anna.id)
    assert values["PictureURL"] == url
    assert values["SPS-PictureTimestamp"] == "63930902400"
    assert values["SPS-PicturePlaceholderState"] == "0"


def test_account_names_are_raw(bench: Bench) -> None:
    """In XML an account name is escaped as text only; percent escapes name somebody else."""
    upn = "o'neil+x&y@contoso.com"
    assert body_of(query(bench, document([(claim(upn), "Title", "x")])))[0]["ErrorInfo"] is None
    encoded = document([("i%3A0%23.f%7Cmembership%7Canna%40contoso.com", "Title", "x")])
    assert info_of(query(bench, encoded))[1].endswith("UserNotFoundException")


def test_error_ends_the_query_and_keeps_what_was_done(bench: Bench) -> None:
    """An error answers 200 with ErrorInfo; actions before it stay, those after never run."""
    answer = query(
        bench,
        document(
            [
                (claim(ANNA), "Title", "before"),
                (claim(ANNA), "NoSuchProperty", "x"),
                (claim(ANNA), "Office", "after"),
            ]
        ),
    )
    assert info_of(answer)[1] == "Microsoft.Office.Server.UserProfiles.PropertyNotDefinedException"
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    values = bench.sharepoint.profile(anna.id)
    assert (values["Title"], values["Office"]) == ("before", "")


def test_missing_role_is_reported_as_error_info(bench: Bench) -> None:
    """Without User.ReadWrite.All the query answers 200 with -2147024891, and changes nothing."""
    bench.roles["sharepoint"] = {"User.Read.All", "Sites.FullControl.All"}
    answer = query(bench, document([(claim(ANNA), "Title", "x")]))
    assert info_of(answer) == (-2147024891, "System.UnauthorizedAccessException")
    anna = bench.directory.by_upn(ANNA)
    assert anna is not None
    assert bench.sharepoint.profile(anna.id)["Title"] == ""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Request>",
        b"<Request/>",
        document([], head=HEAD.replace('SchemaVersion="15.0.0.0"', "")),
        document([], head='<!DOCTYPE x [<!ENTITY a "b">]>' + HEAD),
        document([], type_id="{00000000-0000-0000-0000-000000000000}"),
        document([(claim(ANNA), "Title")]),
        document([(claim(ANNA), "Title", "x")], name="SetEverything"),
        document([(claim(ANNA), "Title", "x")]).replace(b'"String">x', b'"Number">x'),
        document([(claim(ANNA), "Title", "x")]).replace(b'ObjectPathId="1"', b'ObjectPathId="9"'),
        document([(claim(ANNA), "Title", "x")]).replace(b'Id="3"', b'Id="2"'),
        document([(claim(ANNA), "Title", "x")]).replace(b"Actions>", b"Deeds>"),
    ],
)
def test_bad_queries_answer_error_info(bench: Bench, body: bytes) -> None:
    """What is no well-formed, known query answers 200 with InvalidClientQueryException."""
    answer = query(bench, body)
    assert info_of(answer) == (-1, "Microsoft.SharePoint.Client.InvalidClientQueryException")


def test_content_type_and_method(bench: Bench) -> None:
    """ProcessQuery takes a POST of text/xml, nothing else; by quirk it is refused."""
    body = document([(claim(ANNA), "Title", "x")])
    assert query(bench, body, content_type="application/json").status == 415
    assert bench.get(TARGET, origin="admin").status == 405
    bench.quirks.process_query_supported = False
    assert query(bench, body).status == 403


def test_profiles_are_read_too(bench: Bench) -> None:
    """A query may read: properties of a person as an object, one of them as a plain value."""
    body = (
        f'{HEAD}<Actions><ObjectPath Id="2" ObjectPathId="1"/><ObjectPath Id="4" ObjectPathId="3"/>'
        '<Query Id="5" ObjectPathId="3"><Query SelectAllProperties="true"><Properties/></Query>'
        '</Query><Method Name="GetUserProfilePropertyFor" Id="6" ObjectPathId="1"><Parameters>'
        f'<Parameter Type="String">{claim(ANNA)}</Parameter><Parameter Type="String">WorkEmail'
        "</Parameter></Parameters></Method></Actions><ObjectPaths>"
        f'<Constructor Id="1" TypeId="{PEOPLE_MANAGER}"/><Method Id="3" ParentId="1" '
        'Name="GetPropertiesFor"><Parameters><Parameter Type="String">NAME</Parameter>'
        "</Parameters></Method></ObjectPaths></Request>"
    )
    _, *answer = body_of(query(bench, body.replace("NAME", claim(ANNA)).encode()))
    values = dict(zip(answer[::2], answer[1::2], strict=True))
    assert values[4] == {"IsNull": False}
    assert values[5]["UserProfileProperties"]["WorkEmail"] == ANNA
    assert values[6] == ANNA
    _, *answer = body_of(query(bench, body.replace("NAME", claim("x@contoso.com")).encode()))
    values = dict(zip(answer[::2], answer[1::2], strict=True))
    assert (values[4], values[5]) == ({"IsNull": True}, None)
