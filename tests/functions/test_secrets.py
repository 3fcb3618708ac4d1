"""No token, key or photo byte leaves the program, whatever happens (promise 14)."""

import logging
from collections.abc import Callable, Iterator

import pytest

from local.support.azurite import Azurite
from local.tenant import Fault
from tests.support.blob_faults import BlobFaults
from tests.support.sampling import sample
from tests.support.secret_watch import MARK, Eyes, marked_photo
from tests.support.served_world import Served

Make = Callable[..., Served]
Watch = Callable[..., tuple[Served, Eyes]]


@pytest.fixture
def watched(served: Make) -> Iterator[Watch]:
    """Makes a served world under observation."""
    opened: list[Eyes] = []

    def make(**arguments: object) -> tuple[Served, Eyes]:
        here = served(**arguments)
        eyes = Eyes(here)
        opened.append(eyes.__enter__())
        return here, eyes

    yield make
    for eyes in opened:
        eyes.__exit__()


def everything(here: Served, eyes: Eyes) -> None:
    """A night, the next night, every way to ask over HTTP."""
    here.settings(RUN_INTERVAL_HOURS="0")
    for _ in range(2):
        eyes.attempt(here.fire)
    user = here.world.ids()[0]
    for query in ("", "force=true", "dry_run=true", "force=", f"code={here.keys.function}"):
        eyes.reply(here.post(user, query))
    for name in ("", user, "nobody", "nobody@contoso.com"):
        eyes.reply(here.get(name))
    eyes.reply(here.post())


def in_short(here: Served, eyes: Eyes) -> None:
    """A night, a forced call, and both questions: where a fault shows, it shows in these."""
    here.settings(RUN_INTERVAL_HOURS="0")
    eyes.attempt(here.fire)
    user = here.world.ids()[0]
    for reply in (here.post(user, "force=true"), here.get(user), here.get()):
        eyes.reply(reply)


def test_the_eyes_see(watched: Watch) -> None:
    """The observation that the tests below use finds a secret in each kind of text."""
    here, eyes = watched(users=1)
    everything(here, eyes)
    logging.getLogger("photo_sync.test").debug("a %s", here.keys.function)
    eyes.attempt(lambda: int(MARK))
    assert eyes.found() == {
        ("function key", "log of photo_sync.test"),
        ("photo", "exception"),
    }
    assert all(eyes.count(where) for where in ("log of", "answer", "blob state/", "blob run"))


def test_over_a_tenant_with_people_of_all_kinds(watched: Watch) -> None:
    """Photos with metadata, broken ones, bombs; users of every kind; nights and calls."""
    here, eyes = watched(users=60, plain=False, shards=4)
    people = list(here.world.tenant.directory.people.values())
    for number, person in enumerate(people):
        if number % 3 == 0:
            here.world.tenant.directory.set_photo(person.id, marked_photo())
        if number % 7 == 0:
            here.world.tenant.directory.set_photo(person.id, b"<html>" + MARK.encode())
        if number % 11 == 0:
            here.world.tenant.directory.set_photo(person.id, marked_photo()[:3000])
    everything(here, eyes)
    assert eyes.found() == set()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_metadata_of_a_photo_is_neither_logged_nor_kept(watched: Watch, kind: str) -> None:
    """Decoders log what they find at DEBUG; SharePoint gets the picture alone."""
    here, eyes = watched(users=1)
    here.world.tenant.directory.set_photo(here.world.ids()[0], marked_photo(kind))
    in_short(here, eyes)
    assert eyes.found() == set()
    for data in here.world.tenant.sharepoint.files("mysite").values():
        assert MARK.encode() not in data


@pytest.mark.parametrize("identity", ["user-assigned", "another tenant"])
def test_whoever_asks_for_the_tokens(watched: Watch, identity: str) -> None:
    """Also while the login authority refuses the proof, and with the proof it would trust."""
    here, eyes = watched(users=2, shards=1)
    tenant = here.world.tenant
    here.settings(MANAGED_IDENTITY_CLIENT_ID=tenant.user_identity.client_id)
    if identity == "another tenant":
        here.settings(
            TARGET_TENANT_ID=tenant.tokens.tenant_id,
            TARGET_CLIENT_ID=tenant.app_client_id,
            REQUESTS_CA_BUNDLE=str(tenant.certificate),
        )
    in_short(here, eyes)
    here.settings(COMPANY="Again", TARGET_CLIENT_ID=tenant.user_identity.client_id)
    in_short(here, eyes)
    tokens = sum(name.startswith("token") for name in eyes.secrets)
    assert tokens >= 4
    assert eyes.found() == set()


FAULTS = [
    Fault("token_rejected", times=None, service="graph"),
    Fault("token_rejected", times=None, service="sharepoint"),
    Fault("forbidden", times=None, service="graph"),
    Fault("status", times=None, status=500, service="identity"),
    Fault("status", times=None, status=500, service="identity", body="html"),
    Fault("truncate", times=None, service="identity"),
    Fault("truncate_clean", times=None, service="identity"),
    Fault("reset", times=None, service="identity"),
    Fault("status", times=None, status=302, service="sharepoint"),
    Fault("truncate", times=None, operation="photo.bytes"),
    Fault("truncate_clean", times=None, operation="photo.bytes"),
    Fault("truncate_clean", times=None, operation="file.upload"),
    Fault("reset", times=None, operation="file.upload"),
    Fault("timeout_after", times=None, operation="profile.write"),
    Fault("error_info", times=None, operation="profile.write"),
    Fault("status", times=None, status=400, operation="file.upload", body="html"),
]


def test_while_services_fail(watched: Watch) -> None:
    """Errors quote the service, never what was sent to it."""
    here, eyes = watched(users=2, shards=1)
    for user in here.world.ids():
        here.world.tenant.directory.set_photo(user, marked_photo())
    for number, fault in enumerate(FAULTS):
        here.settings(COMPANY=f"Process{number}")  # a fresh process, without a token
        here.world.tenant.faults.clear()
        here.world.clock.advance(24 * 3600)
        here.world.tenant.faults.add(fault)
        in_short(here, eyes)
        assert fault.fired, fault
    assert eyes.count("failed invocation") >= len(FAULTS) / 2
    assert eyes.found() == set()


def test_a_service_that_quotes_the_token_is_not_quoted(watched: Watch) -> None:
    """An error text with a bearer token in it is shortened by the token."""
    here, eyes = watched(users=2, shards=1)
    token = here.world.tenant.tokens.mint(here.world.tenant.url("graph"), "app", "object")
    for number, operation in enumerate(
        ("users.get", "user.photo.batch", "users.list", "photo.batch", "file.upload")
    ):
        here.settings(COMPANY=f"Process{number}")
        here.world.tenant.faults.clear()
        here.world.tenant.faults.add(
            Fault(
                "status",
                status=400,
                operation=operation,
                times=None,
                message=f"No such user in 'Bearer {token}' here.",
            )
        )
        in_short(here, eyes)
    assert eyes.found() == set()


KINDS = ["refused", "status", "timeout_before"]
METHODS = ["", "PUT", "GET"]
STORAGE_FAULTS = sample(
    # In such an order that the sample has every kind and every method.
    [(KINDS[n], METHODS[(n + m) % 3]) for n in range(3) for m in range(3)],
    every=3,
)


@pytest.mark.parametrize(("kind", "method"), STORAGE_FAULTS)
def test_while_storage_fails(
    watched: Watch,
    monkeypatch: pytest.MonkeyPatch,
    azurite: Azurite,
    kind: str,
    method: str,
) -> None:
    """The library's errors quote the signed URL and the service's text: ours do not."""
    here, eyes = watched(users=1)
    eyes.secrets["signature"] = "SECRET"
    here.fire()
    faults = BlobFaults(monkeypatch, azurite)
    code = "AuthenticationFailed"
    faults.add(kind, method=method, times=10**6, status=403, code=code)
    in_short(here, eyes)
    faults.clear()
    assert eyes.count("failed invocation") > 0
    assert eyes.found() == set()


WRONG_PLACES = [
    {"CHECKPOINT_CONNECTION": "DefaultEndpointsProtocol=https;AccountKey=top-SECRET-key=="},
    {"AzureWebJobsStorage": "AccountName=a;AccountKey=top-SECRET-key==;;;Broken"},
    {"AzureWebJobsStorage": "top-SECRET-key"},
    {
        "AzureWebJobsStorage": "",
        "AzureWebJobsStorage__blobServiceUri": "https://a.example/?sig=top-SECRET-key",
    },
    {"GRAPH_URL": "https://user:top-SECRET-key@graph.microsoft.com"},
    {"SHAREPOINT_ADMIN_URL": "https://contoso-admin.sharepoint.com/?sig=top-SECRET-key"},
    {
        "AzureWebJobsStorage": "BlobEndpoint=http://127.0.0.1:1/a;"
        "SharedAccessSignature=sv=2024-01-01&sp=rwl&sig=top-SECRET-key"
    },
]


@pytest.mark.parametrize("settings", WRONG_PLACES)
def test_secrets_in_wrong_settings(watched: Watch, settings: dict[str, str]) -> None:
    """Operators paste secrets into the wrong field: the error names it without showing it."""
    here, eyes = watched(users=1)
    here.get()
    eyes.secrets["pasted"] = "top-SECRET-key"
    here.settings(**settings)
    eyes.attempt(here.fire)
    for reply in (here.get(), here.get(here.world.ids()[0]), here.post(here.world.ids()[0])):
        eyes.reply(reply)
    assert eyes.count("failed invocation") == 1
    assert eyes.found() == set()


def test_the_users_of_the_api_learn_nothing_from_defects(
    watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when the error of a defect holds a secret: its text stays in the log."""
    here, eyes = watched(users=1)
    secret = here.world.settings["IDENTITY_HEADER"]

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(secret)

    monkeypatch.setattr("shared.sync.user_sync.render", broken)
    monkeypatch.setattr("shared.checkpoint.store.Checkpoint.load", broken)
    everything(here, eyes)
    assert {where for _, where in eyes.found() if where.startswith(("answer", "blob"))} == set()
