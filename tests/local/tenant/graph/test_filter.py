"""The OData filters that directory objects support."""

import pytest

from local.tenant.graph.user_filter import BadFilter, parse

EXCHANGE = "efb87545-963c-4e0d-99df-69c6916d9eb0"
ANNA = {
    "accountEnabled": True,
    "userType": "Member",
    "userPrincipalName": "anna.o'hara@contoso.com",
    "mail": "anna@fabrikam.com",
    "department": None,
    "assignedPlans": [
        {"service": "exchange", "capabilityStatus": "Suspended", "servicePlanId": EXCHANGE},
        {"service": "SharePoint", "capabilityStatus": "Enabled", "servicePlanId": "other"},
    ],
}


@pytest.mark.parametrize(
    ("text", "passes", "advanced"),
    [
        ("accountEnabled eq true", True, False),
        ("accountEnabled eq false", False, False),
        ("ACCOUNTENABLED eq true", True, False),
        ("userType eq 'member'", True, False),
        ("userType in ('Guest', 'Member')", True, False),
        ("department eq null", True, False),
        ("department eq 'Sales'", False, False),
        ("startswith(userPrincipalName,'anna.o''h')", True, False),
        ("startsWith(userPrincipalName, 'bob')", False, False),
        ("endsWith(mail,'@FABRIKAM.com')", True, True),
        ("userType ne 'Guest'", True, True),
        ("not (userType eq 'Guest')", True, True),
        ("not startswith(mail,'anna')", False, True),
        ("assignedPlans/any(p:p/service eq 'exchange')", True, True),
        # The conditions hold for one and the same plan.
        (
            "assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled')",
            False,
            True,
        ),
        (
            "assignedPlans/any(x:x/service eq 'Exchange' and x/capabilityStatus eq 'Suspended')",
            True,
            True,
        ),
        (f"assignedPlans/any(a:a/servicePlanId eq {EXCHANGE})", True, True),
        ("assignedPlans/$count eq 0", False, True),
        ("assignedPlans/$count ne 0", True, True),
        (f"assignedLicenses/any(x:x/skuId eq {EXCHANGE})", False, False),
        ("companyName eq 'Contoso'", False, True),
        # `and` binds closer than `or`.
        ("userType eq 'Member' or userType eq 'Guest' and accountEnabled eq false", True, False),
        ("(userType eq 'Member' or userType eq 'Guest') and accountEnabled eq false", False, False),
        ("onPremisesExtensionAttributes/extensionAttribute3 eq 'x'", False, True),
    ],
)
def test_supported(text: str, passes: bool, advanced: bool) -> None:
    """A supported filter is evaluated, and known to be advanced or not."""
    checked = parse(text)
    assert checked.test(ANNA) is passes
    assert checked.advanced is advanced


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accountEnabled",
        "accountEnabled eq",
        "accountEnabled eq 'true'",
        "accountEnabled eq true and",
        "accountEnabled eq true)",
        "(accountEnabled eq true",
        "userType eq Member",
        'userType eq "Member"',
        "userType eq 'Member",
        "userType = 'Member'",
        "userType gt 'A'",
        "nonsense eq 'x'",
        "assignedPlans eq 'exchange'",
        "assignedPlans/any(p:service eq 'exchange')",
        "assignedPlans/any(p:q/service eq 'exchange')",
        "assignedPlans/any(p:p/nothing eq 'exchange')",
        f"assignedPlans/any(p:p/servicePlanId eq '{EXCHANGE}')",
        f"id eq {EXCHANGE}",
        "endsWith(displayName,'x')",
        "startswith(accountEnabled,'t')",
        "contains(displayName,'x')",
        "assignedPlans/$count gt 1",
    ],
)
def test_refused(text: str) -> None:
    """What directory objects do not support is refused, not ignored."""
    with pytest.raises(BadFilter):
        parse(text)
