"""The portal: two web pages for people who are signed in with Entra ID.

`serve` is the way of a request; `routes` says who may call what; `cross_site` refuses requests of
other pages; `rate_limit` and `audit` keep account; `program` does the work with the rest of the
program. Whom to believe is decided by `shared.sign_in`.
"""

from shared.portal.entry import answer
from shared.portal.message import Answer, Request

__all__ = ["Answer", "Request", "answer"]
