"""Is the portal set up, and does the platform refuse forged identities?"""

from collections.abc import Mapping

from shared import sign_in
from shared.checks.check import Check, bad, good, not_checked
from shared.sign_in import PROOF, Closed, Proof, Verdict

SETTINGS = "portal settings"
SIGN_IN = "portal sign-in"
NAMES = (SETTINGS, SIGN_IN)
"""The checks of the portal, which are there only where there is one."""

_OPEN = (
    "Turn App Service authentication off and on again. The portal is closed until a forged "
    "identity is refused. If WEBSITE_AUTH_ENABLED is set as an application setting, delete it: "
    "without a sign-in layer it opens the whole app (docs/security.md)"
)


def checks(environ: Mapping[str, str], proof: Proof = PROOF) -> list[Check]:
    """The checks of the portal; none where there is no portal.

    Args:
        environ: settings, and what the platform says of its sign-in layer.
        proof: sends the forged identity. A good finding is kept for a while; any other one is
            looked for again within a minute.
    """
    expected = sign_in.expected(environ)
    if expected is None:
        return []
    if isinstance(expected, Closed):
        settings = bad(SETTINGS, expected.reason, expected.remedy)
        return [settings, not_checked(SIGN_IN, "whether sign-in is enforced", SETTINGS)]
    settings = good(
        SETTINGS,
        f"people of the tenant {expected.tenant_id} sign in to the application "
        f"{expected.client_id}",
    )
    finding = proof.finding(environ, expected)
    if finding.verdict is Verdict.OPEN:
        return [settings, bad(SIGN_IN, finding.detail, _OPEN)]
    if finding.verdict is Verdict.UNKNOWN:
        detail = f"it is not known whether a forged identity is refused: {finding.detail}"
        return [settings, good(SIGN_IN, detail)]
    return [settings, good(SIGN_IN, finding.detail)]
