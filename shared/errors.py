"""Every error the program raises, and what each one means for a run.

    PhotoSyncError
    ├── ConfigurationError      ends the run before the first write; lists every problem
    │   ├── PermissionMissing   a service does not let the identity in; names role and grant
    │   ├── PropertyNotEditable SharePoint does not let the identity edit the property Picture
    │   └── FilterRefused       Graph does not understand USER_FILTER
    ├── TokenUnavailable        no token from the managed identity; ends the run
    ├── ServiceError            a service's response; carries the evidence
    │   ├── Throttled           429, or 503 with Retry-After, past the caller's patience
    │   ├── Unavailable         5xx, time-out, broken connection, after the retries
    │   ├── PatienceExceeded    the requests about one user took too long
    │   ├── HostUnavailable     one geo's SharePoint host cannot be used; names host and remedy
    │   ├── NotFound            404
    │   ├── AccessDenied        401 or 403
    │   ├── RequestRejected     any other 4xx, or a redirect
    │   ├── ListingExpired      the next link of a listing is too old: list again from the start
    │   └── MalformedResponse   a 2xx that cannot be understood
    ├── UserError               concerns one user and never ends a run
    │   ├── InvalidPhoto        what Exchange returned cannot be used
    │   ├── ProfileMissing      SharePoint has no profile for the user
    │   └── UserUnknown         the directory does not know the user
    ├── DeadlineExceeded        the time of the run (or the call) is spent: the user is deferred
    ├── StateError              the checkpoint
    │   ├── NewerSchema         written by a newer version: refused, nothing is overwritten
    │   ├── BrokenState         unreadable: set aside and rebuilt by reading
    │   ├── StateConflict       another writer kept winning
    │   └── LeaseLost           another run took over: stop before the next write
    └── RunStopped              the run ended early; the message names cause and remedy

An error of one user ends as that user's outcome. Only ConfigurationError, TokenUnavailable,
StateError and RunStopped leave a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class PhotoSyncError(Exception):
    """Base of all errors raised on purpose."""


@dataclass(frozen=True)
class Evidence:
    """What a service said, safe to log: no token, no query, no body.

    Attributes:
        service: "graph" or "sharepoint".
        method: HTTP method.
        url: without query.
        status: HTTP status; 0 when no answer came.
        code: the service's own error code, "" when it gave none.
        message: the service's own text, shortened.
        request_id: id to give to Microsoft's support, "" when none came.
    """

    service: str
    method: str
    url: str
    status: int = 0
    code: str = ""
    message: str = ""
    request_id: str = ""

    def __str__(self) -> str:
        """One line: what was asked and what came back."""
        answer = " ".join(part for part in (str(self.status or "no answer"), self.code) if part)
        text = f"{self.service}: {self.method} {self.url}: {answer}"
        if self.message:
            text += f" ({self.message})"
        if self.request_id:
            text += f" [request {self.request_id}]"
        return text


class ConfigurationError(PhotoSyncError):
    """Settings or grants are wrong; nothing was sent or written.

    Attributes:
        problems: one sentence each, naming the setting and what is accepted.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class PermissionMissing(ConfigurationError):
    """A service refused the identity: a role is missing or not in the token yet.

    Attributes:
        resource: "Microsoft Graph" or "SharePoint".
        role: the app role that covers the refused call.
        evidence: what was asked and answered.
    """

    def __init__(self, resource: str, role: str, evidence: Evidence) -> None:
        self.resource = resource
        self.role = role
        self.evidence = evidence
        super().__init__(
            [
                f"{resource} refused the identity ({evidence}). Grant the app role {role} on "
                f"{resource} with infra/permissions/grant.sh; a new grant can take up to 24 hours "
                "to reach the token of a managed identity"
            ]
        )


class PropertyNotEditable(ConfigurationError):
    """SharePoint does not let the identity edit the profile property *Picture*.

    Attributes:
        evidence: what was asked and answered.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        super().__init__(
            [
                f"SharePoint does not let the app edit the profile property Picture ({evidence}). "
                "In the SharePoint admin center, open More features > User profiles > Manage User "
                "Properties > Picture and allow users to edit values for this property; also make "
                "sure that the identity has the app role User.ReadWrite.All on SharePoint"
            ]
        )


class FilterRefused(ConfigurationError):
    """Graph does not understand the filter of the users in scope.

    Attributes:
        evidence: what was asked and answered.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        super().__init__([f"USER_FILTER: Microsoft Graph refuses the filter ({evidence})"])


class TokenUnavailable(PhotoSyncError):
    """The managed identity gave no token; the message names identity, resource and remedy."""


class ServiceError(PhotoSyncError):
    """An answer of Graph or SharePoint that is no success.

    Attributes:
        evidence: what was asked and answered.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        super().__init__(str(evidence))


class Throttled(ServiceError):
    """The service asked to wait longer than the caller can.

    Attributes:
        retry_after: seconds to wait.
        own: the pause was asked for one user while others were answered.
    """

    def __init__(self, evidence: Evidence, retry_after: float, *, own: bool = False) -> None:
        self.retry_after = retry_after
        self.own = own
        super().__init__(evidence)


class PatienceExceeded(ServiceError):
    """The requests about one user took longer than the patience for that user.

    The service is all right; the evidence is that of the last attempt.
    """


class Unavailable(ServiceError):
    """The service failed or could not be reached, also after the retries."""


class NotFound(ServiceError):
    """404."""


class AccessDenied(ServiceError):
    """401 or 403, also with a fresh token."""


class RequestRejected(ServiceError):
    """Another 4xx, or a redirect, which is never followed with a token."""


class MalformedResponse(ServiceError):
    """A successful status whose body is not what the protocol promises."""


class ListingExpired(ServiceError):
    """The link to the next page of a listing is no longer valid; the listing starts again."""


class HostUnavailable(ServiceError):
    """One geo's SharePoint host cannot be used; users of other hosts are not affected.

    Attributes:
        evidence: what was asked and answered.
        host: origin of the host.
        remedy: what to do.
    """

    def __init__(self, evidence: Evidence, host: str, reason: str, remedy: str) -> None:
        super().__init__(evidence)
        self.host = host
        self.remedy = remedy
        self.args = (f"{host} {reason} ({evidence}). {remedy}",)


class UserError(PhotoSyncError):
    """Concerns one user only."""


class InvalidPhoto(UserError):
    """What Exchange returned is no usable picture; the message says why."""


class ProfileMissing(UserError):
    """SharePoint has no profile for this user yet."""


class UserUnknown(UserError):
    """The directory does not know this user."""


class DeadlineExceeded(PhotoSyncError):
    """No time is left for this user; nothing is wrong with them."""


class StateError(PhotoSyncError):
    """The checkpoint cannot be used as it is."""


class NewerSchema(StateError):
    """A document was written by a newer version of the program."""


class BrokenState(StateError):
    """A document cannot be read as what it should be."""


class StateConflict(StateError):
    """A document kept changing under us, or storage kept failing."""


class LeaseLost(StateError):
    """Another run holds, or may hold, the lease."""


class RunStopped(PhotoSyncError):
    """The run ended early on purpose; the message names the cause and the remedy."""
