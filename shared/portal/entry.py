"""The portal of this process: put together once, for all requests."""

from shared.portal.core import Core
from shared.portal.message import Answer, Request
from shared.portal.serve import Portal
from shared.sign_in import PROOF


def _open_core() -> Core:
    # Imported here: files and refusals need no Graph, no SharePoint, and no storage.
    from shared.app import open_app  # noqa: PLC0415
    from shared.portal.program import Program  # noqa: PLC0415

    return Program(open_app())


_portal = Portal(open_core=_open_core, proof=PROOF)


def answer(request: Request) -> Answer:
    """Answer one request below `/api/portal`; never raises."""
    return _portal.answer(request)
