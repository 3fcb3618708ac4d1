"""Which hosts are SharePoint of this tenant; only these get a token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sharepoint import Hosts
from shared.sharepoint.hosts import GEO_CODES, origin_of

MYSITE = "https://contoso-my.sharepoint.com"
ADMIN = "https://contoso-admin.sharepoint.com"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Contoso-My.SharePoint.com:443/", MYSITE),
        ("https://contoso-my.sharepoint.com", MYSITE),
        ("HTTPS://contoso-my.sharepoint.com/x?y#z", MYSITE),
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
        ("https://h:8443/", "https://h:8443"),
        ("http://h:443/", "http://h:443"),
        ("//contoso-my.sharepoint.com/", ""),
        ("contoso-my.sharepoint.com", ""),
        ("https://user@contoso-my.sharepoint.com/", ""),
        ("https://[::1/", ""),
        ("https://℀.com/", ""),
        ("", ""),
    ],
)
def test_origins(url: str, origin: str) -> None:
    """Origins compare whatever the port and case they are written with."""
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("host", "mysite", "trusted"),
    [
        (MYSITE, MYSITE, True),
        ("https://contosoeur-my.sharepoint.com", MYSITE, True),
        ("https://contosonam-my.sharepoint.com", MYSITE, True),
        ("https://contosoevil-my.sharepoint.com", MYSITE, False),
        ("https://contosopharma-my.sharepoint.com", MYSITE, False),
        ("https://contoso-evil-my.sharepoint.com", MYSITE, False),
        ("https://contoso--my.sharepoint.com", MYSITE, False),
        ("https://contosoeureur-my.sharepoint.com", MYSITE, False),
        ("https://contosoeu-my.sharepoint.com", MYSITE, False),
        ("https://contoso-eur-my.sharepoint.com", MYSITE, False),
        ("https://eurcontoso-my.sharepoint.com", MYSITE, False),
        ("https://contosozzz-my.sharepoint.com", MYSITE, False),
        ("https://contosoeur.sharepoint.com", MYSITE, False),
        ("https://fabrikam-my.sharepoint.com", MYSITE, False),
        ("http://contosoeur-my.sharepoint.com", MYSITE, False),
        ("https://contosoeur-my.sharepoint.us", MYSITE, False),
        ("https://contoso-my.sharepoint.com.evil.example", MYSITE, False),
        ("https://contosoeur-my.sharepoint.com.evil.example", MYSITE, False),
        ("https://contoso-my.evil-my.sharepoint.com", MYSITE, False),
        ("https://contoso.evil-my.sharepoint.com", MYSITE, False),
        ("https://contosoeur-my.sharepoint.com:8443", MYSITE, False),
        ("https://evil.example/contoso-my.sharepoint.com", MYSITE, False),
        ("https://127.0.0.1:5", MYSITE, False),
        ("https://anything-my.sharepoint.com", "https://a-my.sharepoint.com", False),
        ("https://acme-my.sharepoint.com", "https://a-my.sharepoint.com", False),
        ("https://aeur-my.sharepoint.com", "https://a-my.sharepoint.com", True),
        ("https://photos.contoso.example", "https://photos.contoso.example", True),
        ("https://other.contoso.example", "https://photos.contoso.example", False),
        ("http://127.0.0.1:6", "http://127.0.0.1:5", True),
        ("http://localhost:6", "http://127.0.0.1:5", True),
        ("https://127.0.0.1:6", "http://127.0.0.1:5", False),
        ("http://127.0.0.1.evil.example:6", "http://127.0.0.1:5", False),
        ("http://10.0.0.1:6", "http://127.0.0.1:5", False),
        ("https://contosoeur-my.sharepoint.com", "http://127.0.0.1:5", False),
        ("http://[::1", "http://127.0.0.1:5", False),
        ("", MYSITE, False),
    ],
)
def test_which_hosts_get_a_token(host: str, mysite: str, trusted: bool) -> None:
    """The configured My Site host and the same tenant's hosts of other geos; nothing by prefix."""
    hosts = Hosts(mysite, "https://admin.configured")
    assert hosts.is_mysite(host) is trusted
    assert hosts.owns(host) is trusted


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        (ADMIN, True),
        ("https://contosoeur-admin.sharepoint.com", True),
        ("https://contosoevil-admin.sharepoint.com", False),
        ("https://fabrikam-admin.sharepoint.com", False),
        ("https://contosoeur-admin.sharepoint.us", False),
        ("https://contosoeur-admin.sharepoint.com.evil.example", False),
        ("https://contoso.sharepoint.com", False),
    ],
)
def test_which_admin_sites_get_a_token(host: str, trusted: bool) -> None:
    """The admin sites of the same hosts; an admin site is no My Site host."""
    hosts = Hosts(MYSITE, ADMIN)
    assert hosts.owns(host) is trusted
    assert not hosts.is_mysite(host)


@pytest.mark.parametrize(
    "named", ["contoso-emea-my.sharepoint.com", "HTTPS://Contoso-EMEA-my.sharepoint.com:443/"]
)
def test_satellites_that_are_named(named: str) -> None:
    """A host that the settings name is trusted, and so is its admin site; its neighbors are not."""
    hosts = Hosts(MYSITE, ADMIN, [named])
    assert hosts.is_mysite("https://contoso-emea-my.sharepoint.com")
    assert hosts.owns("https://contoso-emea-admin.sharepoint.com")
    assert not hosts.owns("https://contoso-emeaeur-my.sharepoint.com")
    assert hosts.is_central(MYSITE)
    assert hosts.is_central(ADMIN)
    assert not hosts.is_central("https://contoso-emea-my.sharepoint.com")


@given(st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True))
def test_any_name_behind_the_tenants_name(suffix: str) -> None:
    """Only a geo location code makes another host of this tenant."""
    assert Hosts(MYSITE, ADMIN).owns(f"https://contoso{suffix}-my.sharepoint.com") is (
        suffix in GEO_CODES
    )


@given(st.text())
def test_any_text_as_a_host(text: str) -> None:
    """Any text is compared without an error, and is no host of this tenant."""
    assert not Hosts(MYSITE, ADMIN).owns(text)
    Hosts("http://127.0.0.1:5", ADMIN).owns(text)
    Hosts(MYSITE, ADMIN, [text])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (MYSITE, "https://admin.configured"),
        ("https://contosoeur-my.sharepoint.com", "https://contosoeur-admin.sharepoint.com"),
        ("http://127.0.0.1:6", "http://127.0.0.1:6"),
    ],
)
def test_admin_site_of_a_geo(host: str, expected: str) -> None:
    """Profile calls go to the admin site of the geo that holds the profile."""
    assert Hosts(MYSITE, "https://admin.configured").admin_of(host) == expected
