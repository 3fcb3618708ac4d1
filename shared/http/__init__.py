"""Requests to Graph and SharePoint: what is sent and comes back, retries, rate limit, tokens."""

from shared.http.division import Allowance, divide
from shared.http.managed_identity import ManagedIdentity
from shared.http.rate_limit import RateLimiter
from shared.http.request import ATTEMPTS, Budget, Meter, Patience, Request
from shared.http.response import (
    FORBIDDEN,
    NOT_FOUND,
    TOO_MANY,
    UNAUTHORIZED,
    Response,
    error_of,
    number,
    printable,
    retry_after,
    without_tokens,
)
from shared.http.retry import RETRIED, THROTTLES, backoff
from shared.http.service import Service, Tokens
from shared.http.session import Session

__all__ = [
    "ATTEMPTS",
    "FORBIDDEN",
    "NOT_FOUND",
    "RETRIED",
    "THROTTLES",
    "TOO_MANY",
    "UNAUTHORIZED",
    "Allowance",
    "Budget",
    "ManagedIdentity",
    "Meter",
    "Patience",
    "RateLimiter",
    "Request",
    "Response",
    "Service",
    "Session",
    "Tokens",
    "backoff",
    "divide",
    "error_of",
    "number",
    "printable",
    "retry_after",
    "without_tokens",
]
