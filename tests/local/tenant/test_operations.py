"""Names that the tape gives to requests, and what counts as a change of SharePoint."""

import pytest

from local.tenant.http import Request
from local.tenant.operations import classify

MANAGER = "/_api/SP.UserProfiles.PeopleManager"
FOLDER = "/_api/web/GetFolderByServerRelativePath(decodedUrl='/User%20Photos/Profile%20Pictures')"
FILE = "/_api/web/GetFileByServerRelativePath(decodedUrl='/User%20Photos/x_MThumb.jpg')"
QUERY = "/_vti_bin/client.svc/ProcessQuery"
SET = b'<Method Name="SetSingleValueProfileProperty" Id="3" ObjectPathId="1">'
GET = b'<Method Name="GetPropertiesFor" Id="3" ObjectPathId="1">'


@pytest.mark.parametrize(
    ("origin", "request_line", "body", "name", "changes"),
    [
        ("graph", "GET /v1.0/users?$top=999", b"", "users.list", False),
        ("graph", "GET /v1.0/users/x/photo", b"", "photo.read", False),
        ("graph", "GET /v1.0/users/x/photos/648x648", b"", "photo.read", False),
        ("graph", "GET /v1.0/users/x/photos/648x648/$value", b"", "photo.bytes", False),
        ("graph", "GET /v1.0/users('x')/photo/%24value", b"", "photo.bytes", False),
        ("graph", "GET /v1.0/users/x", b"", "users.get", False),
        ("graph", "POST /v1.0/users/x/checkMemberGroups", b"{}", "member.check", False),
        ("graph", "GET /v1.0/groups/g/transitiveMembers", b"", "group.members", False),
        ("graph", "GET /v1.0/groups/g", b"", "group.read", False),
        ("graph", "GET /v1.0/sites/root", b"", "site.read", False),
        (
            "graph",
            "GET /v1.0/servicePrincipals/x/appRoleAssignments",
            b"",
            "approles.read",
            False,
        ),
        ("graph", "POST /v1.0/$batch", b"no json", "batch", False),
        ("graph", "GET /v1.0/me", b"", "other", False),
        (
            "admin",
            f"GET {MANAGER}/GetPropertiesFor(accountName=@v)?@v='x'",
            b"",
            "profile.read",
            False,
        ),
        ("admin", f"POST {MANAGER}/SetSingleValueProfileProperty", b"{}", "profile.write", True),
        ("admin", "POST " + QUERY, SET, "profile.write", True),
        ("admin", "POST " + QUERY, GET, "profile.query", False),
        ("admin", "POST /_api/$batch", b"POST https://x/y HTTP/1.1\r\n", "profile.batch", True),
        ("admin", "POST /_api/$batch", b"GET https://x/y HTTP/1.1\r\n", "profile.batch", False),
        ("mysite", "POST /_api/contextinfo", b"", "digest", False),
        (
            "mysite",
            f"POST {FOLDER}/Files/AddUsingPath(decodedUrl='x_MThumb.jpg',overwrite=true)",
            b"jpeg",
            "file.upload",
            True,
        ),
        ("mysite", "GET " + FOLDER + "?$select=Exists", b"", "folder.read", False),
        ("mysite", "GET " + FOLDER + "/Folders?$select=Name", b"", "folder.read", False),
        ("mysite", "GET " + FOLDER + "/Files", b"", "file.read", False),
        ("mysite", "GET " + FILE + "/$value", b"", "file.read", False),
        ("mysite", "POST " + FILE + "/recycle()", b"", "file.recycle", True),
        (
            "mysite",
            "POST /_api/web/folders/AddUsingPath(decodedUrl='/x')",
            b"",
            "folder.create",
            True,
        ),
        ("mysite", "POST /_api/web/lists", b"{}", "list.create", True),
        ("login", "POST /t/oauth2/v2.0/token", b"", "token", False),
        ("identity", "GET /msi/token", b"", "token", False),
    ],
)
def test_names(origin: str, request_line: str, body: bytes, name: str, changes: bool) -> None:
    """Each kind of request has its name; what writes to SharePoint is known as such."""
    method, target = request_line.split()
    found = classify(Request(method, origin, target, {}, body))
    assert (found.name, found.changes) == (name, changes)


def test_delete_by_header() -> None:
    """POST with X-HTTP-Method DELETE is a deletion."""
    found = classify(Request("POST", "mysite", FILE, {"x-http-method": "DELETE"}, b""))
    assert (found.name, found.changes) == ("file.delete", True)
