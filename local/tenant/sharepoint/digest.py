"""Form digests: SharePoint's protection of writes against forged requests.

Source: Microsoft Learn, "Complete basic operations using SharePoint REST endpoints". The page both
says that OAuth needs none and that it does, so the tenant asks for one only by its quirk.
"""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Final

from local.tenant.http import Clock
from local.tenant.sharepoint.odata import ServiceError

LIFETIME_SECONDS: Final = 1_800


class Digests:
    """Issues digests for a site and knows them again; they expire by the tenant's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secret = secrets.token_hex(16)

    def issue(self, site: str) -> dict[str, object]:
        """The answer of `contextinfo` for a site's URL."""
        moment = int(self._clock.time())
        when = datetime.fromtimestamp(moment, UTC).strftime("%d %b %Y %H:%M:%S -0000")
        return {
            "FormDigestTimeoutSeconds": LIFETIME_SECONDS,
            "FormDigestValue": f"0x{self._sign(site, moment)}{moment:016X},{when}",
            "LibraryVersion": "16.0.26512.12011",
            "SiteFullUrl": site,
            "SupportedSchemaVersions": ["14.0.0.0", "15.0.0.0"],
            "WebFullUrl": site,
        }

    def check(self, value: str, site: str, expired_code: int) -> None:
        """Refuse a digest that is not valid for a site now.

        Raises:
            ServiceError: 403, -2130575251 for a missing or foreign one, the given code for an
                expired one.
        """
        code = value.partition(",")[0].removeprefix("0x")
        try:
            moment = int(code[-16:], 16)
        except ValueError:
            moment = 0
        if code[:-16] != self._sign(site, moment):
            raise _invalid(-2130575251)
        if self._clock.time() - moment >= LIFETIME_SECONDS:
            raise _invalid(expired_code)

    def _sign(self, site: str, moment: int) -> str:
        text = f"{self._secret}{site}{moment}"
        return hashlib.sha512(text.encode()).hexdigest().upper()


def _invalid(number: int) -> ServiceError:
    return ServiceError(
        403,
        f"{number}, Microsoft.SharePoint.SPException",
        "The security validation for this page is invalid and might be corrupted. Please use "
        "your web browser's Back button to try your operation again.",
    )
