"""The pilot answers ten questions about the tenant with one user, and changes nothing for them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.tenant import Fault, Quotas
from local.tenant.directory import Person
from local.tenant.quirks import Quirks
from shared import __version__, pilot
from shared.errors import Evidence
from shared.http import Response
from shared.model import Outcome
from shared.pilot.context import Context, root_of
from shared.pilot.probes import ANSWERS
from tests.support.served_world import Served
from tests.support.world import World

Make = Callable[..., Served]
MakeWorld = Callable[..., World]

IDS = [f"P{number}" for number in range(1, 11)]
WRITING = ["P1", "P2", "P3", "P4"]
TIMESTAMP = "SPS-PictureTimestamp"


def first(world: World) -> Person:
    """Somebody of the tenant."""
    return next(iter(world.tenant.directory.people.values()))


def probes(world: World, *, dry_run: bool = False) -> dict[str, dict[str, str]]:
    """The pilot's probes of the first user, by id."""
    report = pilot.run(world.app(), first(world).id, dry_run=dry_run)
    found = {probe["id"]: probe for probe in report["probes"]}
    assert list(found) == IDS
    for probe in found.values():
        assert probe["answer"] in ANSWERS, probe
        assert probe["detail"], probe
        assert probe["question"], probe
    return found


def state(world: World) -> tuple[object, ...]:
    """Everything SharePoint holds, but the timestamp of the first user's picture."""
    sharepoint = world.tenant.sharepoint
    everybody = {person: sharepoint.profile(person) for person in world.tenant.directory.people}
    everybody[first(world).id].pop(TIMESTAMP)
    return everybody, sharepoint.files(), sharepoint.files("mysite2")


@pytest.fixture
def synced(world: MakeWorld) -> Callable[..., World]:
    """Makes a world whose first user has a picture of ours."""

    def make(**arguments: Any) -> World:
        made = world(users=2, **arguments)
        made.call(first(made).id)
        made.tenant.tape.clear()
        return made

    return make


# -- over HTTP --


def test_the_report_has_ten_answers_about_the_user(served: Make) -> None:
    """All members of the contract; the report tells no token."""
    here = served(users=1, settings={"PILOT": "true"})
    person = first(here.world)
    here.post(person.upn)

    reply = here.post(person.upn, "pilot=true")

    assert (reply.status, reply.type) == (200, "application/json")
    report = reply.json
    assert report.keys() == {"user", "at", "version", "dryRun", "ok", "did", "probes"}
    assert report["user"] == {"id": person.id, "userPrincipalName": person.upn}
    assert (report["version"], report["dryRun"]) == (__version__, False)
    assert [probe["id"] for probe in report["probes"]] == IDS
    for probe in report["probes"]:
        assert probe.keys() == {"id", "question", "answer", "detail"}
    assert b"eyJ" not in reply.body


@pytest.mark.parametrize("query", ["pilot=true&dry_run=true", "dry_run=1&pilot=1"])
def test_with_dry_run_it_only_reads(served: Make, query: str) -> None:
    here = served(users=1, settings={"PILOT": "true"})
    here.post(first(here.world).upn)
    here.world.tenant.tape.clear()
    reply = here.post(first(here.world).upn, query)
    assert (reply.status, reply.json["dryRun"]) == (200, True)
    assert here.world.tenant.tape.writes() == []


def test_the_setting_dry_run_cannot_be_overruled(served: Make) -> None:
    here = served(users=1, settings={"PILOT": "true"})
    here.post(first(here.world).upn)
    here.settings(DRY_RUN="true")
    here.world.tenant.tape.clear()
    assert here.post(first(here.world).upn, "pilot=true&dry_run=false").json["dryRun"] is True
    assert here.world.tenant.tape.writes() == []


def test_without_the_switch_it_is_an_ordinary_call(served: Make) -> None:
    here = served(users=1, settings={"PILOT": "true"})
    assert here.post(first(here.world).upn, "pilot=false").json["outcome"] == "updated"


def test_what_the_pilot_does_not_take(served: Make) -> None:
    """Force, values that are none, reading, and users who do not exist."""
    here = served(users=1, settings={"PILOT": "true"})
    user = first(here.world).upn
    for query in ("pilot=true&force=true", "pilot=yes", "pilot=true&pilot=true"):
        assert here.post(user, query).status == 400, query
    assert "force" in here.post(user, "pilot=true&force=true").json["detail"]
    assert here.get(user, "pilot=true").status == 400
    assert here.world.tenant.tape.entries() == []
    assert here.post("nobody@contoso.com", "pilot=true").status == 404


@pytest.mark.parametrize("setting", [None, "false"])
@pytest.mark.parametrize("query", ["pilot=true", "pilot=true&dry_run=true"])
def test_without_the_setting_the_pilot_is_off(
    served: Make, setting: str | None, query: str
) -> None:
    """403 that names the setting; no request leaves."""
    here = served(users=1)
    here.settings(PILOT=setting)
    reply = here.post(first(here.world).upn, query)
    assert (reply.status, reply.type) == (403, "application/problem+json")
    assert reply.json["type"] == "urn:photo-sync:problem:pilot-off"
    assert "PILOT" in reply.json["detail"]
    assert here.world.tenant.tape.entries() == []


# -- what the report says --


def test_the_report_says_what_the_pilot_did(synced: Callable[..., World]) -> None:
    """The number of requests that wrote is the number that reached SharePoint."""
    world = synced()
    report = pilot.run(world.app(), first(world).id)
    assert report["ok"] is True
    assert f"own values were written back to SharePoint by {len(world.writes())}" in report["did"]


def test_the_report_of_a_dry_run_says_so(synced: Callable[..., World]) -> None:
    world = synced()
    report = pilot.run(world.app(), first(world).id, dry_run=True)
    assert (report["ok"], report["did"]) == (True, "This was a dry run: the pilot only read.")


def test_a_user_who_is_not_synchronized_yet(world: MakeWorld) -> None:
    """Nothing is written, the report says so and what to do first; it is no success."""
    here = world(users=1)
    report = pilot.run(here.app(), first(here).id)
    assert report["ok"] is False
    assert report["did"].startswith("The pilot wrote nothing. This user has no picture")
    assert "POST /api/sync/{user}" in report["did"]
    found = {probe["id"]: probe for probe in report["probes"]}
    assert found["P5"]["answer"] == "not tried"
    assert "Synchronize the user" in found["P5"]["detail"]
    assert here.writes() == []


def test_a_pilot_without_the_role_is_no_success(synced: Callable[..., World]) -> None:
    world = synced()
    world.tenant.roles["sharepoint"] = {"User.Read.All", "Sites.FullControl.All"}
    assert pilot.run(world.app(), first(world).id)["ok"] is False


# -- what is written --


def test_everything_stays_as_it_was(synced: Callable[..., World]) -> None:
    """Only the timestamp moves on: files, other properties, other users, records are the same."""
    world = synced()
    before, records = state(world), world.records()
    moment = world.tenant.sharepoint.profile(first(world).id)[TIMESTAMP]
    world.clock.advance(60)
    found = probes(world)
    assert [found[id_]["answer"] for id_ in WRITING] == ["yes", "yes", "no", "yes"]
    assert state(world) == before
    assert world.records() == records
    assert int(world.tenant.sharepoint.profile(first(world).id)[TIMESTAMP]) == int(moment) + 60
    assert 0 < len(world.writes()) <= 6


def test_the_next_night_finds_nothing_to_do(synced: Callable[..., World]) -> None:
    world = synced()
    probes(world)
    run = world.fire()
    assert run.counts[Outcome.UNCHANGED] == 1


@pytest.mark.parametrize("why", ["never had one", "placeholder", "no profile", "dry run"])
def test_nothing_is_written_where_there_is_no_picture(
    synced: Callable[..., World], why: str
) -> None:
    """Nor in a dry run; the four probes that write say so, the others answer all the same."""
    world = synced()
    person, profiles = first(world), world.tenant.sharepoint.profiles
    match why:
        case "never had one":
            profiles.put(person, {"PictureURL": ""})
        case "placeholder":
            profiles.put(person, {"SPS-PicturePlaceholderState": "1"})
        case "no profile":
            person.has_profile = False
    found = probes(world, dry_run=why == "dry run")
    assert [found[id_]["answer"] for id_ in WRITING] == ["not tried"] * 4
    assert world.writes() == []
    assert found["P7"]["answer"] == "yes"


def test_a_picture_elsewhere_is_not_uploaded(synced: Callable[..., World]) -> None:
    """Another program's PictureURL stays as it is; no file is made of it."""
    world = synced()
    url = "https://intranet.example.com/me.jpg"
    world.tenant.sharepoint.profiles.put(first(world), {"PictureURL": url})
    found = probes(world)
    assert (found["P1"]["answer"], found["P3"]["answer"]) == ("yes", "not tried")
    assert world.operations()["file.upload"] == 0
    assert world.tenant.sharepoint.profile(first(world).id)["PictureURL"] == url


def test_a_missing_file_is_not_made(synced: Callable[..., World]) -> None:
    world = synced()
    library = world.tenant.sharepoint.library["mysite"]
    for path in list(world.tenant.sharepoint.files()):
        library.delete(path, "somebody")
    assert probes(world)["P3"]["answer"] == "not tried"
    assert world.tenant.sharepoint.files() == {}


def test_a_run_at_work_is_left_alone(synced: Callable[..., World]) -> None:
    """The pilot does not overwrite what a run writes: without the lease it only reads."""
    world = synced()
    with world.app().checkpoint().lease() as lease:
        assert lease
        found = probes(world)
    assert [found[id_]["answer"] for id_ in WRITING] == ["not tried"] * 4
    assert "a run is at work" in found["P1"]["detail"]
    assert world.writes() == []
    assert probes(world)["P1"]["answer"] == "yes"


# -- answers --


def test_p1_tells_which_hosts_and_roles_do(synced: Callable[..., World]) -> None:
    world = synced(quirks=Quirks(profile_host="admin"))
    found = probes(world)["P1"]
    assert found["answer"] == "yes"
    assert "User.ReadWrite.All" in found["detail"]
    assert "admin site: reading works, writing works" in found["detail"]
    assert "My Site host: reading fails (403" in found["detail"]


def test_p1_without_the_role(synced: Callable[..., World]) -> None:
    """With a role that only reads, P1 answers no."""
    world = synced()
    world.tenant.roles["sharepoint"] = {"User.Read.All", "Sites.FullControl.All"}
    found = probes(world)
    assert (found["P1"]["answer"], found["P2"]["answer"], found["P4"]["answer"]) == ("no",) * 3
    assert "admin site: reading works, writing fails (403" in found["P1"]["detail"]


def test_the_root_site_is_tried_where_its_name_is_known(
    synced: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = synced()
    monkeypatch.setattr("shared.pilot.context.root_of", lambda _: world.tenant.url("mysite2"))
    found = probes(world)
    assert "root site: reading works, writing works" in found["P1"]["detail"]
    assert f"with the token of {world.tenant.url('mysite2')}" in found["P9"]["detail"]
    assert world.tenant.url("mysite2") in found["P5"]["detail"]


@pytest.mark.parametrize(
    ("mysite", "root"),
    [
        ("https://contoso-my.sharepoint.com", "https://contoso.sharepoint.com"),
        ("https://contosoeur-my.sharepoint.us", "https://contosoeur.sharepoint.us"),
        ("https://people.contoso.com", ""),
        ("http://127.0.0.1:8080", ""),
    ],
)
def test_the_root_site_follows_from_the_my_site_host(mysite: str, root: str) -> None:
    assert root_of(mysite) == root


def test_p2_tells_the_charge_when_sharepoint_does(synced: Callable[..., World]) -> None:
    world = synced(quotas=Quotas(sharepoint_units_per_minute=28))
    assert "RateLimit-Remaining fell from " in probes(world)["P2"]["detail"]


def test_p2_where_queries_are_refused(synced: Callable[..., World]) -> None:
    world = synced(quirks=Quirks(process_query_supported=False))
    found = probes(world)
    assert (found["P1"]["answer"], found["P2"]["answer"]) == ("yes", "no")


@pytest.mark.parametrize("code", [-2130575251, -2130575252])
def test_p3_where_uploads_need_a_digest(synced: Callable[..., World], code: Any) -> None:
    world = synced(quirks=Quirks(digest_required=True, digest_expired_code=code))
    before = state(world)
    found = probes(world)
    assert (found["P3"]["answer"], found["P1"]["answer"]) == ("yes", "yes")
    assert state(world) == before


def test_p4_where_the_timestamp_is_not_kept(synced: Callable[..., World]) -> None:
    world = synced()
    put = world.tenant.sharepoint.profiles.put
    back = Fault(
        "call",
        operation="profile.write",
        when="after",
        times=None,
        action=lambda: put(first(world), {TIMESTAMP: "63605901091"}),
    )
    world.tenant.faults.add(back)
    found = probes(world)["P4"]
    assert found["answer"] == "no"
    assert "63605901091" in found["detail"]


def test_p5_and_p6_tell_a_person_what_to_do(synced: Callable[..., World]) -> None:
    """The page to open, the files as they are now, and what to compare later."""
    world = synced()
    person = first(world)
    found = probes(world, dry_run=True)
    assert (found["P5"]["answer"], found["P6"]["answer"]) == ("look", "look")
    assert f"{person.id}_LThumb.jpg" in found["P5"]["detail"]
    assert "userphoto.aspx?size=L" in found["P5"]["detail"]
    assert "with an Exchange plan" in found["P5"]["detail"]
    for size in "SML":
        assert f"{person.id}_{size}Thumb.jpg" in found["P6"]["detail"]
    person.plans = []
    assert "without an Exchange plan" in probes(world, dry_run=True)["P5"]["detail"]


def test_p6_sees_files_under_the_other_name(synced: Callable[..., World]) -> None:
    """SharePoint's own sync may name them by the user principal name."""
    world = synced()
    prefix = first(world).upn.replace("@", "_").replace(".", "_")
    folder = "/User Photos/Profile Pictures"
    library = world.tenant.sharepoint.library["mysite"]
    library.put(folder, f"{prefix}_LThumb.jpg", b"native", overwrite=True)
    world.tenant.sharepoint.profiles.put(first(world), {"PictureURL": ""})
    assert f"{prefix}_LThumb.jpg 6 bytes" in probes(world)["P6"]["detail"]


@pytest.mark.parametrize("unknown", ["odata.null", "error"])
def test_p7_tells_how_nobody_is_answered(synced: Callable[..., World], unknown: Any) -> None:
    world = synced(quirks=Quirks(unknown_profile=unknown))
    found = probes(world)["P7"]
    assert found["answer"] == "yes"
    assert ("odata.null" if unknown == "odata.null" else "User Not Found") in found["detail"]


def test_p7_tells_of_an_answer_that_is_not_understood(synced: Callable[..., World]) -> None:
    world = synced()
    world.tenant.faults.add(
        Fault("status", status=400, url="photo-sync-check", times=None, message="New words.")
    )
    found = probes(world)["P7"]
    assert found["answer"] == "no"
    assert "New words." in found["detail"]


@pytest.mark.parametrize(
    ("names", "answer"), [(["Documents", "User Photos"], "yes"), (["Documents"], "no"), ([], "no")]
)
def test_p8_where_the_identity_may_ask(
    synced: Callable[..., World], monkeypatch: pytest.MonkeyPatch, names: list[str], answer: str
) -> None:
    world = synced()
    drives = {"value": [{"name": name} for name in names]}
    evidence = Evidence("graph", "GET", "x", 200)
    reply = Response(200, {}, json.dumps(drives).encode(), evidence, drives)
    monkeypatch.setattr(Context, "graph", lambda *_: reply)
    found = probes(world, dry_run=True)
    assert found["P8"]["answer"] == answer
    assert "with or without an Exchange plan" in found["P5"]["detail"]


def test_p8_otherwise_names_the_call_for_graph_explorer(synced: Callable[..., World]) -> None:
    world = synced()
    world.tenant.faults.add(Fault("forbidden", url="/drives", times=None))
    found = probes(world)["P8"]
    assert found["answer"] == "look"
    assert "403" in found["detail"]
    assert "/sites/127.0.0.1/drives?$select=" in found["detail"]


@pytest.mark.parametrize(("audiences", "answer"), [("own", "no"), ("any", "yes")])
def test_p9_tells_whether_one_token_is_enough(
    synced: Callable[..., World], monkeypatch: pytest.MonkeyPatch, audiences: str, answer: str
) -> None:
    world = synced()
    check = world.tenant.tokens.check
    if audiences == "any":
        every = [world.tenant.url(name) for name in ("graph", "mysite", "admin", "mysite2")]
        monkeypatch.setattr(world.tenant.tokens, "check", lambda asked, _: check(asked, every))
    assert probes(world)["P9"]["answer"] == answer


def test_p9_takes_missing_rights_for_a_token_that_was_taken(synced: Callable[..., World]) -> None:
    world = synced(quirks=Quirks(profile_host="admin"))
    world.tenant.faults.add(Fault("forbidden", operation="profile.read", times=None))
    assert probes(world)["P9"]["answer"] == "yes"


@pytest.mark.parametrize("before", [True, False], ids=["not synced yet", "synced"])
def test_p10_for_a_guest(synced: Callable[..., World], before: bool) -> None:
    """The `#` of the name is understood; the files are named by the object id."""
    world = synced()
    world.tenant.directory.rename(first(world).id, "jane_fabrikam.com#EXT#@contoso.com")
    if before:
        world.tenant.sharepoint.library["mysite"].delete_folder("/User Photos/Profile Pictures")
    found = probes(world, dry_run=True)["P10"]
    assert found["answer"] == "yes"
    assert found["detail"].endswith("none" if before else "there")


def test_p10_for_others_tries_a_made_up_guest(synced: Callable[..., World]) -> None:
    world = synced()
    found = probes(world, dry_run=True)["P10"]
    assert found["answer"] == "unknown"
    assert "understood as no profile" in found["detail"]
