import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import FILTER_OF_VERSION_1, SETTINGS, RemovalLimit, Settings, load
from shared.errors import ConfigurationError

GUID = "0F8FAD5B-D9CB-469F-A165-70867728950E"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
LEAST = {"SHAREPOINT_TENANT": "contoso", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}


ACCEPTED: list[tuple[str, str, str, object]] = [
    ("SHAREPOINT_TENANT", "Contoso-2", "mysite_url", "https://contoso-2-my.sharepoint.com"),
    ("CLOUD", "USGov", "cloud", "usgov"),
    ("GRAPH_URL", "https://Graph.Example/", "graph_url", "https://graph.example"),
    ("LOGIN_URL", "https://login.example", "login_url", "https://login.example"),
    ("SHAREPOINT_MYSITE_URL", "https://my.example", "mysite_url", "https://my.example"),
    (
        "SHAREPOINT_ADMIN_URL",
        "https://admin.example:8443",
        "admin_url",
        "https://admin.example:8443",
    ),
    (
        "CHECKPOINT_CONNECTION",
        "AzureWebJobsStorage",
        "checkpoint_connection",
        "AzureWebJobsStorage",
    ),
    ("MANAGED_IDENTITY_CLIENT_ID", GUID, "managed_identity_client_id", GUID.lower()),
    ("SYNC_GROUP_ID", f" {GUID} ", "sync_group_id", GUID.lower()),
    ("CHECKPOINT_CONTAINER", "a-b-3", "checkpoint_container", "a-b-3"),
    ("SYNC_SCHEDULE", "0 */15 1-5 * * *", "schedule", "0 */15 1-5 * * *"),
    ("SYNC_SCHEDULE", "0,30 2 * * Mon-Fri", "schedule", "0,30 2 * * Mon-Fri"),
    # As the Functions host gets it; the check "function schedule" judges it.
    ("SYNC_SCHEDULE", "0 0 2 * * *\n", "schedule", "0 0 2 * * *\n"),
    ("SYNC_SCHEDULE", "0 0 1 * * monkey", "schedule", "0 0 1 * * monkey"),
    ("RUN_INTERVAL_HOURS", "0", "run_interval", timedelta(0)),
    ("RUN_INTERVAL_HOURS", "1.5", "run_interval", timedelta(minutes=90)),
    ("RUN_INTERVAL_HOURS", "168", "run_interval", timedelta(days=7)),
    ("USER_FILTER", "country eq 'Österreich'", "user_filter", "country eq 'Österreich'"),
    ("DRY_RUN", "TRUE", "dry_run", True),
    ("DRY_RUN", "1", "dry_run", True),
    ("REMOVE_PHOTOS", "False", "remove_photos", False),
    ("REMOVE_PHOTOS", "0", "remove_photos", False),
    ("REMOVE_PHOTOS", "   ", "remove_photos", True),
    ("REMOVAL_CONFIRMATIONS", "30", "removal_confirmations", 30),
    ("REMOVAL_LIMIT", "0", "removal_limit", RemovalLimit(0, None)),
    ("REMOVAL_LIMIT", "2.5 %", "removal_limit", RemovalLimit(None, 2.5)),
    ("REVERIFY_DAYS", "0", "reverify_days", 0),
    ("THUMBNAIL_SIZES", " 16, 72 ,1024", "thumbnail_sizes", (16, 72, 1024)),
    ("LEAVER_DAYS", "0", "leaver_days", 0),
    ("LEAVER_DAYS", "365", "leaver_days", 365),
    ("TIME_BUDGET_SECONDS", "60", "time_budget", 60.0),
    ("TIME_BUDGET_SECONDS", "3300", "time_budget", 3300.0),
    ("MAX_CONCURRENCY", "64", "max_concurrency", 64),
    ("PILOT", "true", "pilot", True),
    ("PORTAL_CLIENT_ID", GUID, "portal_client_id", GUID.lower()),
    (
        "SHAREPOINT_SATELLITES",
        "Fabrikam-my.sharepoint.com, https://wingtip-my.sharepoint.com",
        "sharepoint_satellites",
        ("https://fabrikam-my.sharepoint.com", "https://wingtip-my.sharepoint.com"),
    ),
    (
        "SHAREPOINT_SATELLITES",
        "http://127.0.0.1:7103",
        "sharepoint_satellites",
        ("http://127.0.0.1:7103",),
    ),
    ("COMPANY", "Contoso, Inc.", "company", "Contoso, Inc."),
]

REFUSED = [
    ("SHAREPOINT_TENANT", "con toso"),
    ("SHAREPOINT_TENANT", "-contoso"),
    ("SHAREPOINT_TENANT", "contoso/evil"),
    ("CLOUD", "mars"),
    ("GRAPH_URL", "http://graph.microsoft.com"),
    ("GRAPH_URL", "graph.microsoft.com"),
    ("GRAPH_URL", "https://graph.microsoft.com/v1.0"),
    ("GRAPH_URL", "https://graph.microsoft.com?x=1"),
    ("GRAPH_URL", "https://graph.microsoft.com#x"),
    ("GRAPH_URL", "https://127.0.0.1:0"),
    ("LOGIN_URL", "https://login:99999"),
    ("LOGIN_URL", "http://127.0.0.1.evil.example"),
    ("SHAREPOINT_MYSITE_URL", "https://a\nb"),
    ("SHAREPOINT_ADMIN_URL", "http://127.0.0.1:80@evil.example"),
    ("SHAREPOINT_ADMIN_URL", "ftp://127.0.0.1"),
    ("MANAGED_IDENTITY_CLIENT_ID", "my-identity"),
    ("SYNC_GROUP_ID", GUID[:-1]),
    ("SYNC_GROUP_ID", "{" + GUID + "}"),
    ("CHECKPOINT_CONNECTION", "My Storage"),
    ("CHECKPOINT_CONTAINER", "Photos"),
    ("CHECKPOINT_CONTAINER", "ab"),
    ("CHECKPOINT_CONTAINER", "a--b"),
    ("CHECKPOINT_CONTAINER", "abc-"),
    ("CHECKPOINT_CONTAINER", "a" * 64),
    ("SYNC_SCHEDULE", "nightly"),
    ("SYNC_SCHEDULE", "* * * *"),
    ("SYNC_SCHEDULE", "* * * * * * *"),
    ("SYNC_SCHEDULE", "@daily"),
    ("SYNC_SCHEDULE", "0 \u0665 2 * * *"),
    ("SHAREPOINT_SATELLITES", "fabrikam-my.sharepoint.com,"),
    ("SHAREPOINT_SATELLITES", "fabrikam-my.sharepoint.com/evil"),
    ("SHAREPOINT_SATELLITES", "http://fabrikam-my.sharepoint.com"),
    ("SHAREPOINT_SATELLITES", "a@b"),
    ("PILOT", "on"),
    ("PORTAL_CLIENT_ID", "photo-sync"),
    ("RUN_INTERVAL_HOURS", "-1"),
    ("RUN_INTERVAL_HOURS", "nan"),
    ("RUN_INTERVAL_HOURS", "168.1"),
    ("RUN_INTERVAL_HOURS", "1e2"),
    ("USER_FILTER", "a eq 1\r\nX: y"),
    ("DRY_RUN", "yes"),
    ("REMOVE_PHOTOS", "2"),
    ("REMOVAL_CONFIRMATIONS", "0"),
    ("REMOVAL_CONFIRMATIONS", "31"),
    ("REMOVAL_LIMIT", "five"),
    ("REMOVAL_LIMIT", "100.1%"),
    ("REMOVAL_LIMIT", "-1"),
    ("REMOVAL_LIMIT", "%"),
    ("REVERIFY_DAYS", "366"),
    ("REVERIFY_DAYS", "1.5"),
    ("THUMBNAIL_SIZES", "48,96"),
    ("THUMBNAIL_SIZES", "48,96,300,600"),
    ("THUMBNAIL_SIZES", "48,96,96"),
    ("THUMBNAIL_SIZES", "15,96,300"),
    ("THUMBNAIL_SIZES", "48,96,1025"),
    ("LEAVER_DAYS", "366"),
    ("LEAVER_DAYS", "-1"),
    ("TIME_BUDGET_SECONDS", "59.9"),
    ("TIME_BUDGET_SECONDS", "3301"),
    ("MAX_CONCURRENCY", "0"),
    ("MAX_CONCURRENCY", "65"),
    ("MAX_CONCURRENCY", "\u0663"),  # a digit, but not one we print
    ("COMPANY", "A|B"),
    ("COMPANY", "A/B"),
    ("COMPANY", "Müller"),
    ("COMPANY", "x" * 41),
]

TOGETHER = {"TARGET_TENANT_ID", "TARGET_CLIENT_ID"}
"""Settings that make no sense alone: tested by tests of their own."""

VALUES = ({name for name, *_ in ACCEPTED} | TOGETHER, {name for name, _ in REFUSED} | TOGETHER)
"""Settings with an accepted and with a refused value; every setting must have both."""


def with_(**changes: str) -> Settings:
    return load(LEAST | changes)


def problems(environ: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ)
    return caught.value.problems


def test_defaults() -> None:
    """With only the tenant and the host's storage set, every default is the documented one."""
    settings = load(LEAST)

    assert settings.cloud == "global"
    assert settings.graph_url == "https://graph.microsoft.com"
    assert settings.login_url == "https://login.microsoftonline.com"
    assert settings.mysite_url == "https://contoso-my.sharepoint.com"
    assert settings.admin_url == "https://contoso-admin.sharepoint.com"
    assert settings.federated_audience == "api://AzureADTokenExchange"
    assert settings.managed_identity_client_id is None
    assert (settings.target_tenant_id, settings.target_client_id) == (None, None)
    assert settings.checkpoint.connection_string == "UseDevelopmentStorage=true"
    assert settings.checkpoint_container == "photo-sync"
    assert settings.run_interval == timedelta(hours=12)
    assert settings.user_filter == (
        "accountEnabled eq true and userType ne 'Guest' and "
        "(assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled') or "
        "assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Warning'))"
    )
    assert settings.sync_group_id is None
    assert (settings.dry_run, settings.remove_photos) == (False, True)
    assert settings.removal_confirmations == 2
    assert settings.removal_limit == RemovalLimit(None, 5.0)
    assert settings.reverify_days == 30
    assert settings.leaver_days == 30
    assert settings.thumbnail_sizes == (48, 96, 300)
    assert settings.time_budget == 1500.0
    assert settings.max_concurrency == 32
    assert settings.sharepoint_satellites == ()
    assert settings.pilot is False
    assert settings.portal_client_id is None
    assert settings.company == "PhotoSync"
    assert settings.schedule is None
    assert settings.warnings == ()


def test_filter_of_version_1() -> None:
    """The form for a Graph that refuses the default is the one that version 1.0.0 used."""
    assert FILTER_OF_VERSION_1 == (
        "accountEnabled eq true and userType eq 'Member' and "
        "assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled')"
    )


@pytest.mark.parametrize(
    ("cloud", "expected"),
    [
        (
            "USGov",
            (
                "https://graph.microsoft.us",
                "https://login.microsoftonline.us",
                "https://contoso-my.sharepoint.us",
                "https://contoso-admin.sharepoint.us",
                "https://abc.blob.core.usgovcloudapi.net",
                "api://AzureADTokenExchangeUSGov",
            ),
        ),
        (
            "dod",
            (
                "https://dod-graph.microsoft.us",
                "https://login.microsoftonline.us",
                "https://contoso-my.sharepoint-mil.us",
                "https://contoso-admin.sharepoint-mil.us",
                "https://abc.blob.core.usgovcloudapi.net",
                "api://AzureADTokenExchangeUSGov",
            ),
        ),
        (
            "china",
            (
                "https://microsoftgraph.chinacloudapi.cn",
                "https://login.chinacloudapi.cn",
                "https://contoso-my.sharepoint.cn",
                "https://contoso-admin.sharepoint.cn",
                "https://abc.blob.core.chinacloudapi.cn",
                "api://AzureADTokenExchangeChina",
            ),
        ),
    ],
)
def test_clouds(cloud: str, expected: tuple[str, ...]) -> None:
    """CLOUD alone chooses Graph, login, SharePoint, storage and the federated audience."""
    found = load(
        {"SHAREPOINT_TENANT": "contoso", "CLOUD": cloud, "AzureWebJobsStorage__accountName": "abc"}
    )

    assert expected == (
        found.graph_url,
        found.login_url,
        found.mysite_url,
        found.admin_url,
        found.checkpoint.account_url,
        found.federated_audience,
    )


def test_endpoints_can_be_set_one_by_one() -> None:
    """Each endpoint can be given as a whole, also plain http on this machine."""
    settings = load(
        {
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",
            "SHAREPOINT_MYSITE_URL": "http://127.0.0.1:7101/",
            "SHAREPOINT_ADMIN_URL": "http://localhost:7102",
            "GRAPH_URL": "http://[::1]:7103",
            "LOGIN_URL": "https://Login.Example:443/",
        }
    )

    assert settings.mysite_url == "http://127.0.0.1:7101"
    assert settings.admin_url == "http://localhost:7102"
    assert settings.graph_url == "http://[::1]:7103"
    assert settings.login_url == "https://login.example"


@pytest.mark.parametrize(("name", "text", "field", "value"), ACCEPTED)
def test_accepted(name: str, text: str, field: str, value: object) -> None:
    assert getattr(with_(**{name: text}), field) == value


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_refused(name: str, text: str) -> None:
    """A wrong value is one problem: it names the setting, and what is accepted."""
    (problem,) = problems(LEAST | {name: text})

    accepted = {setting.name: setting.accepted for setting in SETTINGS}[name]
    assert problem.startswith(f"{name}=")
    assert accepted in problem


@pytest.mark.parametrize(
    "text",
    [
        "contoso.onmicrosoft.com",
        "Contoso.sharepoint.com",
        "contoso-my.sharepoint.com",
        "https://contoso-admin.sharepoint.us/",
    ],
)
def test_tenant_given_as_host(text: str) -> None:
    """A host instead of the tenant's name is refused with the name."""
    (problem,) = problems(LEAST | {"SHAREPOINT_TENANT": text})

    assert problem.endswith("; write contoso")


def test_every_problem_at_once() -> None:
    """One error lists every problem, each with the setting's name and the offending value."""
    found = problems(
        {
            "SHAREPOINT_MYSITE_URL": "https://contoso-my.sharepoint.com",
            "CLOUD": "mars",
            "DRY_RUN": "maybe",
            "MAX_CONCURRENCY": "99",
            "TARGET_TENANT_ID": GUID,
            "AzureWebJobsStorage__accountName": "No",
            "AzureWebJobsStorage__credential": "secret",
        }
    )

    starts = sorted(problem.partition(":")[0] for problem in found)
    assert starts == [
        "AzureWebJobsStorage__accountName",
        "AzureWebJobsStorage__credential",
        "CLOUD='mars'",
        "DRY_RUN='maybe'",
        "MANAGED_IDENTITY_CLIENT_ID",
        "MAX_CONCURRENCY='99'",
        "SHAREPOINT_TENANT",
        "TARGET_TENANT_ID and TARGET_CLIENT_ID",
    ]


def test_other_tenant() -> None:
    """Another tenant needs both ids and a user-assigned identity."""
    target = LEAST | {"TARGET_TENANT_ID": GUID, "TARGET_CLIENT_ID": OTHER}

    settings = load(target | {"MANAGED_IDENTITY_CLIENT_ID": OTHER})
    assert (settings.target_tenant_id, settings.target_client_id) == (GUID.lower(), OTHER)

    (problem,) = problems(target)
    assert problem.startswith("MANAGED_IDENTITY_CLIENT_ID: missing")

    for name in ("TARGET_TENANT_ID", "TARGET_CLIENT_ID"):
        (problem,) = problems(target | {"MANAGED_IDENTITY_CLIENT_ID": OTHER, name: "fabrikam"})
        assert problem.startswith(f"{name}='fabrikam'")


def test_secrets_in_wrong_places_are_not_shown() -> None:
    """Credentials in a URL, a query, or a connection string given as a name never show."""
    found = problems(
        LEAST
        | {
            "GRAPH_URL": "https://user:hunter2@graph.microsoft.com/",
            "SHAREPOINT_ADMIN_URL": "https://contoso.sharepoint.com/?sig=hunter2",
            "CHECKPOINT_CONNECTION": "AccountName=abc;AccountKey=hunter2",
        }
    )

    assert len(found) == 3
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize(
    ("limit", "written", "removals"),
    [
        (RemovalLimit(None, 5.0), 0, 10),
        (RemovalLimit(None, 5.0), 219, 10),
        (RemovalLimit(None, 5.0), 220, 11),
        (RemovalLimit(None, 5.0), 239, 11),
        (RemovalLimit(None, 0.57), 10_000, 57),  # 0.57 * 100 < 57 in binary
        (RemovalLimit(None, 100.0), 1_000_000, 1_000_000),
        (RemovalLimit(None, 0.0), 1_000_000, 10),
        (RemovalLimit(0, None), 1_000_000, 0),
        (RemovalLimit(3, None), 1_000_000, 3),
        (RemovalLimit(3, None), 0, 3),
    ],
)
def test_removal_limit(limit: RemovalLimit, written: int, removals: int) -> None:
    """A number counts as it is; a percentage is rounded down, but means at least 10."""
    assert limit.of(written) == removals


def test_defaults_are_accepted_and_named_once() -> None:
    """Every default is a value an operator could set, and every setting is listed once."""
    names = [setting.name for setting in SETTINGS]
    assert len(names) == len(set(names))

    defaults = {s.name: s.default for s in SETTINGS if s.default is not None}
    assert load(LEAST | defaults) == load(LEAST)


@given(
    st.dictionaries(
        st.sampled_from([setting.name for setting in SETTINGS] + ["AzureWebJobsStorage"]),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
    )
)
def test_any_text(environ: dict[str, str]) -> None:
    """Whatever is set, the answer is settings or the one error, never another exception."""
    try:
        load(environ)
    except ConfigurationError as error:
        assert error.problems  # noqa: PT017 -- both ends are right


def test_longest_budget_ends_before_the_platform_does() -> None:
    """Even the longest TIME_BUDGET_SECONDS leaves two minutes until functionTimeout."""
    host = json.loads((Path(__file__).parents[2] / "host.json").read_text())
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))

    longest = with_(TIME_BUDGET_SECONDS="3300").time_budget
    assert longest + 120 <= 3600 * hours + 60 * minutes + seconds


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REMOVE_PHOTO", "REMOVE_PHOTOS"),  # one letter less
        ("REMOVE_PHOTOSS", "REMOVE_PHOTOS"),  # one more
        ("REMOVE_FHOTOS", "REMOVE_PHOTOS"),  # another one
        ("REMOVE_PHTOOS", "REMOVE_PHOTOS"),  # two swapped
        ("remove_photos", "REMOVE_PHOTOS"),  # names are case-sensitive on Linux
        ("XREMOVE_PHOTOS", "REMOVE_PHOTOS"),
        ("ILOT", "PILOT"),
        ("LEAVER_DAY", "LEAVER_DAYS"),
    ],
)
def test_probable_misspelling(name: str, meant: str) -> None:
    """A setting one letter off a known one is named with the known one and stops nothing."""
    settings = with_(**{name: "anything"})

    (warning,) = settings.warnings
    assert warning.startswith(f"{name}: ")
    assert meant in warning
    assert settings.remove_photos is True


@pytest.mark.parametrize(
    "name",
    ["REMOVE_PHOT", "REMOVEPHOTOSS", "PHOTOS_REMOVE", "PATH", "CLO", "WEBSITE_SITE_NAME", ""],
)
def test_other_names_are_no_misspellings(name: str) -> None:
    """Two letters off is another setting, which belongs to somebody else."""
    assert with_(**{name: "x"}).warnings == ()


def test_settings_are_not_one_letter_apart() -> None:
    """No setting is taken for the misspelling of another."""
    values = {s.name: s.default for s in SETTINGS if s.default}
    assert load(LEAST | values).warnings == ()


def test_problems_stand_one_a_line() -> None:
    """The text of the error has a line for each problem."""
    with pytest.raises(ConfigurationError) as caught:
        load(LEAST | {"CLOUD": "mars", "DRY_RUN": "maybe"})

    lines = str(caught.value).splitlines()
    assert [line.partition("=")[0] for line in lines] == ["CLOUD", "DRY_RUN"]
