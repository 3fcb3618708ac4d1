"""The app in front of which the real host was observed, in small: functions that tell or do."""

import json
from pathlib import Path
from typing import Any

ECHO = """
import json
import azure.functions as func

def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    seen = {
        "function": context.function_name,
        "method": req.method,
        "url": req.url.partition("/api")[2],
        "route": dict(req.route_params),
        "query": dict(req.params),
        "headers": dict(req.headers),
        "body": len(req.get_body()),
        "text": req.get_body()[:100].decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")
"""
ANSWERS = """
import azure.functions as func

def main(req: func.HttpRequest):
    kind, body = req.route_params["kind"], req.params.get("body", "")
    match kind:
        case "status":
            return func.HttpResponse(body, status_code=int(req.params["code"]))
        case "header":
            headers = {req.params["name"]: req.params.get("value", "")}
            return func.HttpResponse(body, headers=headers)
        case "type":
            return func.HttpResponse("x", mimetype=req.params["mimetype"])
        case "crlf":
            return func.HttpResponse("x", headers={"X-Own": "a\\r\\nb"})
        case "late":
            return func.HttpResponse("x", headers={"X-Own": "\\u00e4"})
        case "raise":
            raise RuntimeError("broken on purpose")
        case "exit":
            raise SystemExit(3)
        case "none":
            return None
        case "dict":
            return {}
"""
TICK = """
import azure.functions as func

def main(timer: func.TimerRequest) -> None:
    pass
"""
BAD_IMPORT = "import no_such_module\n"
BAD_PARAMETER = "def main(request) -> str:\n    return ''\n"


def _http(level: str, methods: Any, route: str) -> list[dict[str, Any]]:
    trigger = {"name": "req", "type": "httpTrigger", "direction": "in", "authLevel": level}
    returned = {"name": "$return", "type": "http", "direction": "out"}
    return [trigger | {"methods": methods, "route": route}, returned]


_TIMER = [{"name": "timer", "type": "timerTrigger", "direction": "in", "schedule": "%SCHEDULE%"}]
_FUNCTIONS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "Answers": (_http("anonymous", ["get", "head", "post"], "answers/{kind}"), ANSWERS),
    "BadImport": (_http("anonymous", ["get"], "bad/import"), BAD_IMPORT),
    "BadMethods": (_http("anonymous", "get", "bad/methods"), ECHO),
    "BadParameter": (_http("anonymous", ["get"], "bad/parameter"), BAD_PARAMETER),
    "Disabled": (_http("anonymous", ["get"], "disabled"), ECHO),
    "OverA": (_http("anonymous", ["get"], "over/{*rest}"), ECHO),
    "OverB": (_http("anonymous", ["get"], "over/exact"), ECHO),
    "Portal": (_http("anonymous", ["get", "head", "post"], "portal/{*path}"), ECHO),
    "SyncHttp": (_http("function", ["get", "post"], "sync/{user?}"), ECHO),
    "SyncTimer": (_TIMER, TICK),
}
SETTINGS = {"SCHEDULE": "0 */15 1-5 * * *", "AzureWebJobs.Disabled.Disabled": "true"}


def write(root: Path) -> Path:
    """Write the app below a folder that does not exist yet."""
    root.mkdir()
    custom = {"extensions": {"http": {"customHeaders": {"X-Content-Type-Options": "nosniff"}}}}
    (root / "host.json").write_text(json.dumps({"version": "2.0"} | custom))
    for name, (bindings, source) in _FUNCTIONS.items():
        (root / name).mkdir()
        (root / name / "function.json").write_text(json.dumps({"bindings": bindings}))
        (root / name / "__init__.py").write_text(source)
    return root
