"""Who is signed in, and whether sign-in is enforced: what the portal and the checks believe.

App Service authentication passes signed-in people on in headers. Headers can be forged where that
layer is not, so `expected` reads what the platform says of it, `proof` tries it out, and
`principal` reads the headers.
"""

from shared.sign_in.expected import Closed, Expected, expected
from shared.sign_in.principal import HELP_DESK, Person, Refusal, read
from shared.sign_in.proof import PROOF, Finding, Proof, Verdict

__all__ = [
    "HELP_DESK",
    "PROOF",
    "Closed",
    "Expected",
    "Finding",
    "Person",
    "Proof",
    "Refusal",
    "Verdict",
    "expected",
    "read",
]
