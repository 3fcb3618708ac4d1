"""Every route of the portal, and who may call it.

A test walks this table with every kind of caller, so a route cannot be added without saying who it
is for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from shared.model import is_object_id
from shared.portal import handlers
from shared.portal.handlers import Call
from shared.portal.message import Answer


class Who(StrEnum):
    """Who may call a route."""

    ANYONE = "anyone"
    PERSON = "person"
    HELP_DESK = "helpdesk"


@dataclass(frozen=True)
class Route:
    """One route.

    Attributes:
        method: "GET" (which HEAD follows) or "POST".
        template: path below `/api/portal/`; `{id}` is a GUID, `{source}` and others are checked by
            the handler.
        who: may call it.
        handler: answers.
        page: answers with HTML; others with JSON, a photo, or a file.
        uses_core: opens the program.
    """

    method: str
    template: str
    who: Who
    handler: Callable[[Call], Answer]
    page: bool = False
    uses_core: bool = True

    def match(self, path: str) -> dict[str, str] | None:
        """Variables of a path; None when it is not for this route."""
        parts, wanted = path.split("/"), self.template.split("/")
        if len(parts) != len(wanted):
            return None
        found: dict[str, str] = {}
        for part, want in zip(parts, wanted, strict=True):
            if not want.startswith("{"):
                if part != want:
                    return None
            elif not part or (want == "{id}" and not is_object_id(part)):
                return None
            else:
                found[want.strip("{}")] = part.lower() if want == "{id}" else part
        return found


ROUTES: tuple[Route, ...] = (
    Route("GET", "", Who.PERSON, handlers.me_page, page=True, uses_core=False),
    Route("GET", "helpdesk", Who.HELP_DESK, handlers.help_desk_page, page=True, uses_core=False),
    Route("GET", "signed-out", Who.ANYONE, handlers.signed_out_page, page=True, uses_core=False),
    Route("GET", "assets/{version}/{name}", Who.ANYONE, handlers.file, uses_core=False),
    Route("GET", "api/me", Who.PERSON, handlers.me),
    Route("GET", "api/me/photo/{source}", Who.PERSON, handlers.my_photo),
    Route("POST", "api/me/sync", Who.PERSON, handlers.sync_me),
    Route("GET", "api/users", Who.HELP_DESK, handlers.search),
    Route("GET", "api/users/{id}", Who.HELP_DESK, handlers.user),
    Route("GET", "api/users/{id}/photo/{source}", Who.HELP_DESK, handlers.user_photo),
    Route("POST", "api/users/{id}/sync", Who.HELP_DESK, handlers.sync_user),
    Route("GET", "api/run", Who.HELP_DESK, handlers.run),
)
