import pytest

from tests.local.tenant.sharepoint.in_process import Bench


@pytest.fixture
def bench() -> Bench:
    """A SharePoint with two people: anna, and o'neil whose name needs care."""
    made = Bench()
    made.add("anna@contoso.com")
    made.add("o'neil+x&y@contoso.com", display_name="Pat O'Neil")
    return made
