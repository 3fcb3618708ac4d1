"""A session that remembers nothing: no redirect, no cookie, no other credentials."""

from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Session(requests.Session):
    """A session that takes nothing from a response into the next request.

    Of the environment it takes proxies, for other machines than this one, and certificates to
    trust; no credentials of a .netrc file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Where a request has credentials of its own, requests does not look for a .netrc file.
        self.auth = _own_credentials

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """Nowhere: requests looks for the next URL even when told not to follow it."""
        return None

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """What the environment adds to a request."""
        parts = urlsplit(str(url))
        here = parts.hostname in _LOOPBACK
        if here and parts.scheme == "http":
            return {"proxies": {}, "stream": stream, "verify": verify, "cert": cert}
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        return {**settings, "proxies": {}} if here else settings


def _own_credentials(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared
