"""The one query of SharePoint's client-side object model that we need: set profile properties.

Sources: [MS-CSOM] 3.1.4.1 ProcessQuery for the envelope; the TypeId of PeopleManager and the use
of several methods in one query are what five independent public clients send.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from xml.sax.saxutils import escape

from shared.errors import RequestRejected
from shared.http import Response, printable
from shared.sharepoint.error_codes import lasting_error

PATH = "/_vti_bin/client.svc/ProcessQuery"

_PEOPLE_MANAGER = "{cf560d69-0fdb-4489-a216-b6b47adf8ef8}"
# XML 1.0, 2.2; of the control characters, none belongs into a property.
_NOT_XML = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_NAMESPACE = "http://schemas.microsoft.com/sharepoint/clientquery/2009"


def set_properties(account: str, properties: Iterable[tuple[str, str]]) -> bytes:
    """A ProcessQuery body that sets single-valued profile properties, in this order.

    An error ends the query and leaves the earlier actions done, so the property that makes the
    rest visible belongs last.

    Args:
        account: claims name, not URL-encoded.
        properties: name and value.
    """
    actions = "".join(
        f'<Method Name="SetSingleValueProfileProperty" Id="{number}" ObjectPathId="1"><Parameters>'
        + "".join(
            f'<Parameter Type="String">{_text(value)}</Parameter>'
            for value in (account, name, value)
        )
        + "</Parameters></Method>"
        for number, (name, value) in enumerate(properties, start=3)
    )
    return (
        '<Request AddExpandoFieldTypeSuffix="true" SchemaVersion="15.0.0.0" '
        f'LibraryVersion="16.0.0.0" ApplicationName="PhotoSync" xmlns="{_NAMESPACE}">'
        f'<Actions><ObjectPath Id="2" ObjectPathId="1"/>{actions}</Actions>'
        f'<ObjectPaths><Constructor Id="1" TypeId="{_PEOPLE_MANAGER}"/></ObjectPaths></Request>'
    ).encode()


def check(response: Response) -> None:
    """Make sure that a query succeeded; SharePoint returns 200 also when it failed.

    Raises:
        ProfileMissing: there is no profile with this account name.
        PropertyNotEditable: a property may not be edited.
        AccessDenied: the identity may not write profiles.
        RequestRejected: any other error of the query.
        MalformedResponse: not the response to a query.
    """
    body = response.value
    head = body[0] if isinstance(body, list) and body else None
    if not isinstance(head, dict) or "ErrorInfo" not in head:
        raise response.malformed("no ProcessQuery response")
    info = head["ErrorInfo"]
    if info is None:
        return
    if not isinstance(info, dict):
        raise response.malformed("ErrorInfo of unknown form")
    evidence = replace(
        response.evidence,
        code=", ".join(
            part
            for part in (printable(info.get("ErrorCode"), 40), printable(info.get("ErrorTypeName")))
            if part
        ),
        message=printable(info.get("ErrorMessage")),
    )
    raise lasting_error(evidence) or RequestRejected(evidence)


def _text(value: str) -> str:
    """A value as XML text; characters XML cannot hold are refused.

    Raises:
        ValueError: a control character.
    """
    if _NOT_XML.search(value):
        raise ValueError(f"cannot be sent as XML: {value!r}")
    return escape(value, {'"': "&quot;"})
