"""Asks a deployed app how it is, from an administrator's shell.

    python3 -m local.checks --url https://<app>.azurewebsites.net [--az]
    python3 -m local.checks --url … --pilot adele@contoso.com --out pilot.txt

The function key comes from the variable PHOTO_SYNC_KEY, or by the Azure CLI. With `--az` the Azure
CLI (signed in) is asked besides for what the app cannot know. Exit status: 0 all is well, 1
something is not, 2 wrong usage. Python 3.12 or newer, standard library only.
"""

import argparse
import json
import os
import shutil
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from local.tools.azure import App, Az, AzError, Finding, examine
from shared.config import origin

_TIMEOUT_SECONDS = 230
"""The platform ends every request after so long."""

_NARROWEST, _WIDEST = 60, 120


class AskError(Exception):
    """The app did not answer as it should; the message says why and what helps."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key elsewhere."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow none."""


class Caller:
    """Asks one app.

    Args:
        url: origin of the app.
        key: function key.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"x-functions-key": key, "Accept": "application/json"}
        self._opener = urllib.request.build_opener(_NoRedirect)

    def ask(self, method: str, path: str) -> dict[str, Any]:
        """The JSON object that the app answers.

        Raises:
            AskError: it does not.
        """
        data = b"" if method == "POST" else None
        request = urllib.request.Request(  # noqa: S310 - https, or loopback
            self._url + path, data=data, headers=self._headers, method=method
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                found = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise AskError(_reason(error.code, error.read())) from None
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise AskError(f"{self._url} does not answer: {reason}") from None
        if not isinstance(found, dict):
            raise AskError(f"{self._url} is not Photo Sync")
        return found


def _reason(status: int, body: bytes) -> str:
    hints = {
        401: "the function key is wrong or missing (PHOTO_SYNC_KEY)",
        403: "access is refused in front of the app: network rules, or sign-in",
        404: "no such function or user: is the app deployed, are both functions listed",
    }
    try:
        detail = str(json.loads(body)["detail"])
    except (ValueError, LookupError, TypeError):
        detail = hints.get(status, "no reason given: see the log stream of the app")
    return f"answer {status}: {detail}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python3 -m local.checks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", required=True, help="the app, as https://host")
    parser.add_argument("--az", action="store_true", help="ask Azure and Entra as well")
    parser.add_argument("--principal-id", default="", help="with --az: object id of the identity")
    parser.add_argument("--pilot", metavar="USER", help="the pilot report of one user instead")
    parser.add_argument("--dry-run", action="store_true", help="with --pilot: only read")
    parser.add_argument("--out", type=Path, help="with --pilot: keep the report in this file")
    options = parser.parse_args(arguments)
    if not options.pilot and (options.out or options.dry_run):
        parser.error("--out and --dry-run go with --pilot")
    if options.pilot and (options.az or options.principal_id):
        parser.error("--az does not go with --pilot")
    try:
        url = origin(options.url)
    except ValueError:
        parser.error("--url must be an https origin such as https://host, without path")
    try:
        if options.pilot:
            return _pilot(url, options.pilot, options.out, dry_run=options.dry_run)
        return _checks(url, options.principal_id, with_az=options.az)
    except (AskError, AzError, OSError) as error:
        print(f"local.checks: {error}", file=sys.stderr)
        return 1


def _caller(url: str, az: Az, app: App | None = None) -> Caller:
    key = os.environ.get("PHOTO_SYNC_KEY") or az.key(app or az.app(urlsplit(url).netloc))
    return Caller(url, key)


def _checks(url: str, principal: str, *, with_az: bool) -> int:
    az, findings = Az(), []
    app = az.app(urlsplit(url).netloc) if with_az else None
    checks: dict[str, Mapping[str, Any]] = {}
    try:
        overview = _caller(url, az, app).ask("GET", "/api/sync")
        print(_headline(url, overview))
        checks = {check["name"]: check for check in overview["checks"]}
        findings = [Finding(**check) for check in overview["checks"]]
    except (AskError, LookupError, TypeError) as error:
        # Azure may know why the app does not answer.
        remedy = "docs/operate.md, night-missing"
        findings = [Finding("GET /api/sync", ok=False, detail=str(error), remedy=remedy)]
    if app:
        findings += examine(az, app, checks, principal)
    print("\n".join(_table(findings)))
    return 0 if all(finding.ok for finding in findings) else 1


def _headline(url: str, overview: Mapping[str, Any]) -> str:
    run = overview.get("run")
    last = f"last run {run['status']}, begun {run['started']}" if run else "no run yet"
    return f"Photo Sync {overview['version']} at {url}: {last}\n"


def _table(findings: Iterable[Finding]) -> Iterator[str]:
    rows = list(findings)
    width = max(len(row.name) for row in rows)
    for row in rows:
        yield from _wrapped(row.detail, f"  {'ok' if row.ok else 'NO'}  {row.name:<{width}}  ")
        if row.remedy:
            # In one piece, so that a command can be copied.
            yield f"{'':{width + 6}}  -> {row.remedy}"


def _pilot(url: str, user: str, out: Path | None, *, dry_run: bool) -> int:
    query = "pilot=true&dry_run=true" if dry_run else "pilot=true"
    if out:
        out.touch()  # before anything is written elsewhere
    caller = _caller(url, Az())
    report = caller.ask("POST", f"/api/sync/{quote(user, safe='')}?{query}")
    try:
        text = "\n".join(_readable(url, report)) + "\n"
    except (LookupError, TypeError):
        raise AskError("no pilot report: is the app older than this command") from None
    print(text, end="")
    if out:
        out.write_text(text, "utf-8")
        print(f"\nkept in {out}")
    return 0 if report["ok"] else 1


def _readable(url: str, report: Mapping[str, Any]) -> Iterator[str]:
    user, read = report["user"], report["dryRun"]
    yield "Photo Sync, pilot report"
    yield ""
    yield f"  app      {url}, version {report['version']}"
    yield f"  user     {user['userPrincipalName']} ({user['id']})"
    yield f"  at       {report['at']}"
    yield f"  mode     {'dry run, only read' if read else 'real'}"
    yield from _wrapped(report["did"], "  did      ")
    for probe in report["probes"]:
        yield ""
        yield f"  {probe['id']:<4} {probe['answer']:<10} {probe['question']}?"
        yield from _wrapped(probe["detail"], " " * 18)


def _wrapped(text: str, lead: str) -> Iterator[str]:
    columns = min(_WIDEST, max(_NARROWEST + len(lead), shutil.get_terminal_size().columns))
    yield from textwrap.wrap(
        text,
        columns,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [lead.rstrip()]


if __name__ == "__main__":
    sys.exit(main())
