"""What SharePoint's error codes stand for. Pure.

An error names an HRESULT and a .NET exception type: `-2147024891,
System.UnauthorizedAccessException`. Its text is in the language of the site, so the number and the
type decide; the English text counts only where the type is one that says nothing.
Sources: recorded responses to public clients, listed in docs/architecture.md.
"""

from shared.errors import (
    AccessDenied,
    Evidence,
    PhotoSyncError,
    ProfileMissing,
    PropertyNotEditable,
)
from shared.http import Response

NO_PROFILE = "SharePoint has no profile for this user yet"
"""Text of `ProfileMissing`."""

DIGEST_WANTED = frozenset({"-2130575251", "-2130575252"})
"""Numbers of a missing and of an expired form digest, with HTTP 403 or in a query's ErrorInfo."""

_ACCESS_DENIED = "-2147024891"
_OVER_THRESHOLD = "-2147024860"

_GENERIC_TYPES = frozenset(
    {"", "Exception", "SPException", "ServerException", "UserProfileException"}
)
"""Types, without their namespace, that say nothing; then the text may."""

_NO_PROFILE_TEXTS = ("User Profile Error 1000", "User Not Found")
_NOT_ADMIN_TEXTS = ("managing your own data", "required permissions to access profile")


def number_of(code: str) -> str:
    """The HRESULT of an error code."""
    return code.partition(",")[0].strip()


def type_of(code: str) -> str:
    """The exception type of an error code, without its namespace; "" when it names none."""
    return code.partition(",")[2].strip().rpartition(".")[2]


def is_missing_profile(evidence: Evidence) -> bool:
    """Whether an error means that the account has no profile."""
    kind = type_of(evidence.code)
    if number_of(evidence.code) == _ACCESS_DENIED:
        return False
    return kind == "UserNotFoundException" or (
        kind in _GENERIC_TYPES and any(text in evidence.message for text in _NO_PROFILE_TEXTS)
    )


def is_over_threshold(evidence: Evidence) -> bool:
    """Whether a list has more entries than SharePoint goes through (list view threshold)."""
    return (
        type_of(evidence.code) == "SPQueryThrottledException"
        or number_of(evidence.code) == _OVER_THRESHOLD
    )


def wants_digest(evidence: Evidence) -> bool:
    """Whether a request was refused for want of a form digest."""
    return number_of(evidence.code) in DIGEST_WANTED


def lasting_error(evidence: Evidence) -> PhotoSyncError | None:
    """The error of a response that a retry cannot change, whatever its HTTP status.

    Returns:
        None when code and text say nothing of the kind.
    """
    if is_missing_profile(evidence):
        return ProfileMissing(NO_PROFILE)
    if type_of(evidence.code) == "PropertyNotEditableException":
        return PropertyNotEditable(evidence)
    kind = type_of(evidence.code)
    if number_of(evidence.code) == _ACCESS_DENIED or "UnauthorizedAccess" in kind:
        return AccessDenied(evidence)
    if kind in _GENERIC_TYPES and any(text in evidence.message for text in _NOT_ADMIN_TEXTS):
        return AccessDenied(evidence)
    return None


def is_final(response: Response) -> bool:
    """Whether a retry cannot change a response."""
    evidence = response.evidence
    return lasting_error(evidence) is not None or is_over_threshold(evidence)
