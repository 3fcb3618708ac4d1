"""Error answers of injected faults, in the form of each service."""

import uuid

from local.tenant.http import Response, json_response

_GRAPH_CODES = {
    401: "InvalidAuthenticationToken",
    403: "Authorization_RequestDenied",
    404: "ResourceNotFound",
    429: "TooManyRequests",
    503: "serviceNotAvailable",
    504: "gatewayTimeout",
}
_SHAREPOINT_CODES = {
    401: "-2147024891, System.UnauthorizedAccessException",
    403: "-2147024891, System.UnauthorizedAccessException",
    404: "-2147024894, System.IO.FileNotFoundException",
    423: "-2147018894, Microsoft.SharePoint.SPFileLockException",
    429: "-2147429894, Microsoft.SharePoint.Client.ServerException",
}


def error_json(service: str, status: int, code: str | None, message: str) -> Response:
    """An error in the JSON of a service; without a code, the one that goes with the status."""
    trace = str(uuid.uuid4())
    if service == "sharepoint":
        code = code or _SHAREPOINT_CODES.get(status, "-1, Microsoft.SharePoint.SPException")
        value = {"code": code, "message": {"lang": "en-US", "value": message}}
        return json_response(status, {"odata.error": value}, sprequestguid=trace)
    if service == "graph":
        code = code or _GRAPH_CODES.get(status, "UnknownError")
        inner = {"date": "2026-01-01T00:00:00", "request-id": trace}
        value = {"code": code, "message": message, "innerError": inner}
        return json_response(status, {"error": value}, request_id=trace)
    if service == "login":
        document = {"error": code or "temporarily_unavailable", "error_description": message}
        return json_response(status, document)
    return json_response(status, {"statusCode": status, "message": message})


def error_info(code: str, message: str) -> Response:
    """CSOM's error with HTTP 200; source: [MS-CSOM], error information."""
    trace = str(uuid.uuid4())
    info = {
        "ErrorMessage": message,
        "ErrorValue": None,
        "TraceCorrelationId": trace,
        "ErrorCode": int(code),
        "ErrorTypeName": "Microsoft.SharePoint.Client.ServerException",
    }
    head = {
        "SchemaVersion": "15.0.0.0",
        "LibraryVersion": "16.0.0.0",
        "ErrorInfo": info,
        "TraceCorrelationId": trace,
    }
    return json_response(200, [head])
