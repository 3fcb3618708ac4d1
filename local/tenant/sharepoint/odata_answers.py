"""SharePoint's dialect of OData v3: JSON, or XML, in the form that `Accept` asks for.

Source: Microsoft Learn, "JSON Light support in REST SharePoint API".
"""

import json
import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from local.tenant.sharepoint.odata import ServiceError


@dataclass(frozen=True)
class Result:
    """A successful answer before it is written down.

    Attributes:
        value: an entity (dict), a collection (list of dicts), a plain value or bytes.
        name: the type of an entity, or the function that returned a plain value.
        function: an entity returned by a function is wrapped in its name when verbose.
    """

    value: object
    name: str = ""
    function: bool = False


def metadata_level(accept: str) -> str:
    """What an `Accept` header asks for: nometadata, minimalmetadata, verbose, or xml."""
    if "json" not in accept.lower():
        return "xml"  # the default of SharePoint, also for */*
    match = re.search(r"odata\s*=\s*(\w+)", accept.lower())
    return match[1] if match else "minimalmetadata"


def content_type(level: str) -> str:
    """The Content-Type of an answer at that level."""
    if level == "xml":
        return "application/xml;charset=utf-8"
    return f"application/json;odata={level};streaming=true;charset=utf-8"


def write(result: Result, level: str) -> bytes:
    """Write a result at that metadata level (UTF-8)."""
    value = result.value
    if level == "xml":
        return f"<result>{escape(json.dumps(value))}</result>".encode()
    if level == "verbose":
        body: object = {"d": _verbose(value, result)}
    elif isinstance(value, list):
        body = {"value": value}
    elif value is None:
        body = {"odata.null": True}
    elif isinstance(value, dict):
        body = value
        if level != "nometadata":
            body = {"odata.metadata": f"_api/$metadata#{result.name}", **value}
    else:
        body = {"value": value}
    return json.dumps(body, ensure_ascii=False).encode()


def _verbose(value: object, result: Result) -> object:
    if isinstance(value, dict):
        entity = {"__metadata": {"type": result.name}} | {
            key: {"results": inner} if isinstance(inner, list) else inner
            for key, inner in value.items()
        }
        return {result.name: entity} if result.function else entity
    if isinstance(value, list):
        return {"results": value}
    return {result.name: value}


def write_error(error: ServiceError, level: str, language: str = "en-US") -> bytes:
    """Write an error at that metadata level (UTF-8)."""
    message = {"lang": language, "value": error.message}
    if level == "xml":
        return (
            '<?xml version="1.0" encoding="utf-8"?><m:error xmlns:m="http://schemas.microsoft.com/'
            f'ado/2007/08/dataservices/metadata"><m:code>{escape(error.code)}</m:code>'
            f'<m:message xml:lang="{language}">{escape(error.message)}</m:message></m:error>'
        ).encode()
    key = "error" if level == "verbose" else "odata.error"
    return json.dumps({key: {"code": error.code, "message": message}}, ensure_ascii=False).encode()
