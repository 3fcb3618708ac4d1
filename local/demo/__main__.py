"""`make demo`: two nights, a call for one user, and a visit to the portal, shown as a page."""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from local.demo.page import OUTSIDE, Card, Night, Page, Shown, render
from local.demo.portal_visit import Visit, VisitFailed, visit
from local.support.arguments import positive
from local.support.azurite import AzuriteFailed
from local.support.stack import ROOT, Stack, StackFailed, end_on_sigterm
from local.support.terminal import Progress, bold, table
from local.tenant import Person
from local.tenant.pictures import Gallery

_FOLDER = ROOT / "demo"
_CONTAINER = "photo-sync"
_SHOWN_PEOPLE = 60
_CHANGED_PEOPLE = 5
_POLL_SECONDS = 0.25
_NIGHT_LIMIT_SECONDS = 300
_ENDED = ("completed", "interrupted", "stopped")


class DemoFailed(Exception):
    """The functions did not do what the demo shows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--users", type=positive, default=500, help="people in the tenant (500)")
    parser.add_argument("--seed", type=int, default=1, help="of people and photos (1)")
    options = parser.parse_args(arguments)
    end_on_sigterm()
    _FOLDER.mkdir(exist_ok=True)
    log = _FOLDER / "host.log"
    began = time.monotonic()
    try:
        print(
            "This takes about a minute. Starting the tenant, Azurite and the functions ...",
            flush=True,
        )
        settings = {"RUN_INTERVAL_HOURS": "0", "DRY_RUN": "false"}
        with Stack(users=options.users, seed=options.seed, log=log, settings=settings) as stack:
            print(f"Functions on {stack.url}, log in {os.path.relpath(log)}\n", flush=True)
            page = _show(stack, options.seed)
    except (AzuriteFailed, StackFailed, DemoFailed, VisitFailed, OSError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    target = _FOLDER / "index.html"
    target.write_text(render(page), encoding="utf-8")
    print(bold(f"Done in {time.monotonic() - began:.0f} s. The people, before and after:"))
    print(f"  {target.as_uri()}")
    return 0


def _show(stack: Stack, seed: int) -> Page:
    """The demo itself, on a running stack; what the page tells."""
    people = list(stack.tenant.directory.people.values())
    before = {person.id: _shown(stack, person) for person in people}
    first = _night(stack, "First night", "The first night")
    outcomes = _outcomes(stack, first.run)
    cards = [_card(stack, person, before[person.id], outcomes) for person in people[:_SHOWN_PEOPLE]]

    changed = _change_photos(stack, outcomes, seed)
    before = {person.id: _shown(stack, person) for person in changed}
    title = f"Second night, {len(changed)} photos changed"
    second = _night(stack, title, "The second night")
    outcomes = _outcomes(stack, second.run)
    after = [_card(stack, person, before[person.id], outcomes) for person in changed]

    print(table(("", "first night", "second night"), _comparison(first, second)))
    print()
    curl, answer = _on_demand(stack, changed[0], seed)
    portal = _portal(stack, seed)
    return Page(
        people=len(people),
        nights=(first, second),
        cards=cards,
        changed=after,
        curl=curl,
        answer=answer,
        pictures={title: path.read_bytes() for title, path in portal.pictures.items()},
    )


def _night(stack: Stack, title: str, heading: str) -> Night:
    """Fire the nightly function and wait until its run has ended."""
    old = _run(stack)
    stack.tenant.tape.clear()
    began = time.monotonic()
    progress = Progress(title)
    fired = stack.call("POST", "/admin/functions/SyncTimer", master=True, json={"input": ""})
    if not fired.ok:
        raise DemoFailed(f"the nightly function answered {fired.status_code}")
    while time.monotonic() - began < _NIGHT_LIMIT_SECONDS:
        run = _run(stack)
        if run is not None and (old is None or run["id"] != old["id"]):
            seen, scope = sum(run["counts"].values()), run["inScope"]
            if run["status"] in _ENDED:
                break
            progress.show(seen / scope if scope else 0, f"{seen:,} of {scope:,} people")
        time.sleep(_POLL_SECONDS)
    else:
        raise DemoFailed(f"no end after {_NIGHT_LIMIT_SECONDS} s\n{stack.log_tail()}")
    seconds = time.monotonic() - began
    progress.done(f"{run['status']}, {run['inScope']:,} people in {seconds:.1f} s")
    if run["status"] != "completed":
        raise DemoFailed(f"the run ended as {run['status']}: {run['reason']}\n{stack.log_tail()}")
    return Night(heading, run, seconds, len(stack.tenant.tape.writes()))


def _run(stack: Stack) -> dict[str, Any] | None:
    answer = stack.call("GET", "/api/sync")
    if not answer.ok:
        raise DemoFailed(f"GET /api/sync answered {answer.status_code}: {answer.text[:500]}")
    run = answer.json()["run"]
    return run if isinstance(run, dict) else None


def _outcomes(stack: Stack, run: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Outcome and detail by object id, of everybody in scope.

    The report has no lines for those who ended as `unchanged` or `no_photo`; whether Exchange
    holds a photo tells the two apart, and the tape who was asked about at all.
    """
    lines: dict[str, tuple[str, str]] = {}
    with BlobServiceClient.from_connection_string(stack.azurite.connection_string) as service:
        blob = service.get_blob_client(_CONTAINER, f"runs/{run['started']}.jsonl")
        try:
            text = blob.download_blob().readall().decode()
        except ResourceNotFoundError:
            text = ""
    for line in map(json.loads, text.splitlines()):
        lines[line["id"]] = (line["outcome"], line["detail"] or "")
    asked = {
        item.split("/")[2]
        for entry in stack.tenant.tape.entries(operation="photo.batch")
        for item in entry.items
    }
    for person in stack.tenant.directory.people.values():
        if person.id in asked and person.id not in lines:
            lines[person.id] = ("unchanged" if person.photo else "no_photo", "")
    return lines


def _shown(stack: Stack, person: Person) -> Shown:
    picture = stack.tenant.sharepoint.shown_picture(person.id, "L")
    if picture is not None:
        return Shown(picture, "")
    if not person.has_profile:
        return Shown(None, "no profile")
    url = stack.tenant.sharepoint.profile(person.id).get("PictureURL", "")
    if not url:
        return Shown(None, "nothing")
    own = url.startswith(stack.tenant.url("mysite"))
    return Shown(None, "placeholder" if own else "a link to another site")


def _card(
    stack: Stack, person: Person, before: Shown, outcomes: Mapping[str, tuple[str, str]]
) -> Card:
    outcome, detail = outcomes.get(person.id, (OUTSIDE, ""))
    return Card(
        name=person.display_name,
        upn=person.upn,
        kind=person.kind,
        exchange=person.photo.data if person.photo else None,
        before=before,
        after=_shown(stack, person),
        outcome=outcome,
        detail=detail,
    )


def _change_photos(
    stack: Stack, outcomes: Mapping[str, tuple[str, str]], seed: int
) -> list[Person]:
    """Give some people whose photo was synced another one."""
    directory = stack.tenant.directory
    synced = [person for id_, person in directory.people.items() if outcomes.get(id_, "")]
    synced = [person for person in synced if outcomes[person.id][0] == "updated"]
    chosen = random.Random(seed).sample(synced, min(_CHANGED_PEOPLE, len(synced)))
    if not chosen:
        raise DemoFailed("the first night updated nobody")
    gallery = Gallery(seed + 1, len(chosen))
    for number, person in enumerate(chosen):
        directory.set_photo(person.id, gallery.portrait(number, _initials(person)).data)
    return chosen


def _initials(person: Person) -> str:
    return "".join(part[0] for part in person.display_name.split()[:2]).upper()


def _comparison(first: Night, second: Night) -> list[tuple[object, ...]]:
    """Rows of the report: outcomes that occurred, then requests."""
    counts = [night.run["counts"] for night in (first, second)]
    requests = [night.run["requests"] for night in (first, second)]
    rows: list[tuple[object, ...]] = [
        (name.replace("_", " "), *(count.get(name, 0) for count in counts))
        for name in counts[0]
        if any(count.get(name) for count in counts)
    ]
    rows.append(("people in scope", first.run["inScope"], second.run["inScope"]))
    rows.append(("requests to Graph", *(request["graph"] for request in requests)))
    rows.append(("requests to SharePoint", *(request["sharepoint"] for request in requests)))
    rows.append(("  of which write", first.writes, second.writes))
    return rows


def _on_demand(stack: Stack, person: Person, seed: int) -> tuple[str, dict[str, Any]]:
    """Change one more photo and sync this person at once; command line and answer."""
    fresh = Gallery(seed + 2, 1).portrait(0, _initials(person))
    stack.tenant.directory.set_photo(person.id, fresh.data)
    path = f"/api/sync/{quote(person.upn)}"
    curl = f"curl -X POST -H 'x-functions-key: …' {stack.url}{path}"
    print(f"{person.display_name} changed the photo once more; one call for one person:\n  {curl}")
    began = time.monotonic()
    answer = stack.call("POST", path)
    if not answer.ok:
        raise DemoFailed(f"it answered {answer.status_code}: {answer.text[:500]}")
    document: dict[str, Any] = answer.json()
    print(f"  {answer.status_code} in {time.monotonic() - began:.2f} s")
    print("\n".join("  " + line for line in json.dumps(document, indent=2).splitlines()))
    print()
    return curl, document


def _portal(stack: Stack, seed: int) -> Visit:
    """Visit both pages, and say how it went."""
    person = stack.employee
    photo = Gallery(seed + 3, 1).portrait(0, _initials(person)).data
    print(f"{person.display_name} has a new photo and opens {stack.url}/api/portal")
    visited = visit(stack, photo, _FOLDER)
    print(f"  {visited.outcome} in {visited.seconds:.2f} s; both photos are the same")
    for title, path in visited.pictures.items():
        print(f"  {title}: {path.as_uri()}")
    if not visited.pictures:
        print("  No pictures of the pages: they need Chromium and the packages of `make test`")
    print()
    return visited


if __name__ == "__main__":
    sys.exit(main())
