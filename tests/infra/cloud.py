"""The commands of the manual with stand-ins behind them: azd, az, curl and the deployed app.

Each answers as the real one does where people stumble: the host name that the Azure CLI shows for
apps on Flex Consumption, the content type that the Functions host asks for, options in a body.
"""

import json
import re
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

import jmespath

from tests.infra.azd import APP_URL, Azd
from tests.infra.fake_az import Az

FUNCTION_KEY, MASTER_KEY = "function-key", "master-key"
_OPTIONS_OF_CURL = {"-H": "headers", "-X": "method", "-d": "body"}
_IN_A_BODY = re.compile(r"\b(force|dry_run|pilot)\b")


@dataclass
class Cloud:
    """What the commands reach.

    Attributes:
        azd: the environment that is deployed.
        az: the administrator's CLI.
        answers: method, path and status of each request to the app.
        packaged: whether the package was built.
        refused: commands that are not known here, with why.
    """

    azd: Azd
    az: Az
    answers: list[tuple[str, str, int]] = field(default_factory=list)
    packaged: bool = False
    refused: list[str] = field(default_factory=list)

    def _refuse(self, text: str) -> tuple[int, str]:
        self.refused.append(text)
        return 1, f"ERROR: {text}\n"

    def run_azd(self, arguments: list[str]) -> tuple[int, str]:
        """`azd`."""
        match arguments:
            case ["auth", "login"] | ["deploy"]:
                return 0, ""
            case ["init", "--template", _, "--environment", name] | ["env", "new", name]:
                self.azd.values["AZURE_ENV_NAME"] = name
                return 0, ""
            case ["env", "set", name, value]:
                self.azd.set(**{name: value})
                return 0, ""
            case ["env", "get-value", name] if name in self.azd.values:
                return 0, self.azd.values[name] + "\n"
            case ["up"] | ["provision"]:
                self.azd.provision()
                return 0, "\n".join(self.azd.run_hook("postprovision", "sh")) + "\n"
        return self._refuse(f"azd {' '.join(arguments)}")

    def run_az(self, arguments: list[str]) -> tuple[int, str]:
        """`az`."""
        words = list(takewhile(lambda word: not word.startswith("-"), arguments))
        options = dict(
            zip(arguments[len(words) :: 2], arguments[len(words) + 1 :: 2], strict=False)
        )
        here = (
            self.azd.values.get("AZURE_RESOURCE_GROUP"),
            self.azd.values.get("FUNCTION_APP_NAME"),
        )
        if words[0] in ("rest", "account", "login"):
            return self.az.run(arguments)
        if words[0] == "functionapp" and (options["--resource-group"], options["--name"]) != here:
            return self._refuse(f"az {' '.join(arguments)}: no such app")
        match words:
            case ["functionapp", "show"]:
                # As Azure Resource Manager gives it, for Flex Consumption.
                app = {"name": here[1], "properties": {"defaultHostName": urlsplit(APP_URL).netloc}}
                return _tsv(app, options)
            case ["functionapp", "keys", "list"]:
                keys = {"functionKeys": {"default": FUNCTION_KEY}, "masterKey": MASTER_KEY}
                return _tsv(keys, options)
            case ["functionapp", "deployment", "source", "config-zip"] if self.packaged:
                return 0, ""
            case ["identity", "list"]:
                name, principal = "id-photo-sync", self.azd.values["IDENTITY_PRINCIPAL_ID"]
                return _tsv([{"name": name, "principalId": principal}], options)
            case ["deployment", "sub" | "group", "create"]:
                template = options["--template-file"].removeprefix("infra/")
                given = {w.partition("=")[0] for w in arguments if re.match(r"\w+=", w)}
                if given <= set(self.azd.template(template)["parameters"]):
                    return 0, "{}\n"
        return self._refuse(f"az {' '.join(arguments)}")

    def run_python(self, arguments: list[str]) -> tuple[int, str]:
        """`python3 -m …` of the project."""
        match arguments:
            case ["-m", "local.package"]:
                self.packaged = True
                return 0, "dist/photo-sync.zip\n"
            case ["-m", "local.checks", "--url", url, *_] if url == APP_URL:
                return 0, ""
        return self._refuse(f"python3 {' '.join(arguments)}")

    def run_curl(self, arguments: list[str]) -> tuple[int, str]:
        """`curl`, with the app behind it."""
        given: dict[str, list[str]] = {"headers": [], "method": [], "body": [], "url": []}
        rest = [word for word in arguments if word not in ("-s", "-sS", "--silent", "--fail")]
        while rest:
            word = rest.pop(0)
            name = _OPTIONS_OF_CURL.get(word)
            given[name or "url"].append(rest.pop(0) if name else word)
        headers = {k.lower(): v.strip() for k, _, v in (h.partition(":") for h in given["headers"])}
        body = "".join(given["body"])
        if body:
            headers.setdefault("content-type", "application/x-www-form-urlencoded")
        method = (given["method"] or ["POST" if body else "GET"])[0]
        url = urlsplit(given["url"][0])
        if f"{url.scheme}://{url.netloc}" != APP_URL:
            self.refused.append(f"curl {given['url'][0]}: could not resolve host")
            return 6, f"curl: (6) Could not resolve host: {url.netloc}\n"
        status = _status(method, url.path, headers, body)
        self.answers.append((method, url.path, status))
        return 0, json.dumps({"status": status}) + "\n"


def _tsv(value: Any, options: dict[str, str]) -> tuple[int, str]:
    found = jmespath.search(options.get("--query", "@"), value)
    rows = found if isinstance(found, list) else [] if found is None else [found]
    return 0, "".join(f"{' '.join(r) if isinstance(r, list) else r}\n" for r in rows)


def _status(method: str, path: str, headers: dict[str, str], body: str) -> int:
    """What the Functions host and the app answer to a request."""
    key = headers.get("x-functions-key", "")
    if key not in (FUNCTION_KEY, MASTER_KEY):
        return 401
    match method, path.split("/")[1:]:
        case "GET", ["api", "sync"] | ["api", "sync", _]:
            return 200
        case "POST", ["api", "sync"]:
            return 405
        case "POST", ["api", "sync", _]:
            return 400 if _IN_A_BODY.search(body) else 200
        case "GET", ["admin", "functions", "SyncTimer", "status"]:
            return 200 if key == MASTER_KEY else 403
        case "POST", ["admin", "functions", "SyncTimer"]:
            if headers.get("content-type", "").partition(";")[0] != "application/json":
                return 415
            if key != MASTER_KEY:
                return 403
            return 202 if json.loads(body) == {"input": ""} else 400
    return 404
