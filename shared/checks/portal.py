"""Is the portal set up, and does the platform refuse forged identities?"""

from collections.abc import Mapping

from shared import sign_in
from shared.sign_in import PROOF, Closed, Proof, Verdict

SETTINGS = "portal settings"
SIGN_IN = "portal sign-in"

type Row = tuple[str, bool, str, str]
"""Name, whether all is well, what was found, what to do."""


def rows(environ: Mapping[str, str], proof: Proof = PROOF) -> list[Row]:
    """The checks of the portal; none where there is no portal.

    Args:
        environ: settings, and what the platform says of its sign-in layer.
        proof: sends the forged identity. A finding is kept for a while, a bad one is looked at
            again within a minute.
    """
    found = sign_in.expected(environ)
    if found is None:
        return []
    if isinstance(found, Closed):
        return [
            (SETTINGS, False, found.reason, found.remedy),
            (SIGN_IN, False, "not tried, because the settings are wrong", "see portal settings"),
        ]
    settings = (
        SETTINGS,
        True,
        f"people of the tenant {found.tenant_id} sign in to the application {found.client_id}",
        "",
    )
    finding = proof.finding(environ, found)
    if finding.verdict is Verdict.OPEN:
        remedy = (
            "Turn App Service authentication off and on again. The portal is closed until a forged "
            "identity is refused. If WEBSITE_AUTH_ENABLED is set as an application setting, delete "
            "it: without a sign-in layer it opens the whole app (docs/security.md)"
        )
        return [settings, (SIGN_IN, False, finding.detail, remedy)]
    if finding.verdict is Verdict.UNKNOWN:
        detail = f"not known whether a forged identity is refused: {finding.detail}"
        return [settings, (SIGN_IN, True, detail, "")]
    return [settings, (SIGN_IN, True, finding.detail, "")]
