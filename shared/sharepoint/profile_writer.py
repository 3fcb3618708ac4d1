"""Writes profile properties: several in one ProcessQuery, or one by one where that is refused."""

import json
import logging
from collections.abc import Sequence

from shared.errors import AccessDenied, NotFound, RequestRejected
from shared.http import Patience
from shared.log import InvocationLog
from shared.sharepoint import csom, profiles
from shared.sharepoint.site import JSON, Site

_OK = 200


class ProfileWriter:
    """Writes profile properties for one invocation; thread-safe.

    Args:
        site: sends to SharePoint.
        log: for what an operator should know.
    """

    def __init__(self, site: Site, log: InvocationLog) -> None:
        self._site = site
        self._log = log
        self._queries = True

    def write(
        self,
        admin: str,
        upn: str,
        properties: Sequence[tuple[str, str]],
        *,
        subject: str = "",
        patience: Patience | None = None,
    ) -> None:
        """Set properties of one profile, in this order.

        Args:
            admin: admin site of the user's geo.
            upn: user principal name.
            properties: name and value.
            subject: object id of the user.
            patience: how long this user may take.

        Raises:
            ProfileMissing: no profile.
            PropertyNotEditable: a property may not be edited.
            AccessDenied: the role is missing.
            ServiceError: SharePoint failed.
        """
        account = profiles.account_name(upn)
        if self._queries:
            query = csom.set_properties(account, properties)
            try:
                self._site.post(
                    admin + csom.PATH,
                    query,
                    "text/xml",
                    check=csom.check,
                    subject=subject,
                    patience=patience,
                )
                return
            except (AccessDenied, RequestRejected, NotFound) as error:
                if error.evidence.status == _OK:  # the query's own error
                    raise
        # The endpoint itself is refused, so the properties go one by one.
        for name, value in properties:
            body = {"accountName": account, "propertyName": name, "propertyValue": value}
            data = json.dumps(body).encode()
            url = profiles.write_url(admin)
            self._site.post(url, data, JSON, want_json=False, subject=subject, patience=patience)
        if self._queries:
            self._queries = False
            self._log.add(
                logging.WARNING,
                f"{admin} refuses ProcessQuery; the app writes profile properties one by one, "
                "which takes longer and uses more of the quota",
            )
