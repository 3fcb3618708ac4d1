"""Control interface for other processes: who is in the tenant, what SharePoint shows, the tape.

Served on the identity origin below `/control/`, on loopback only, and never recorded.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from local.tenant.directory import Directory, Person
from local.tenant.http import Clock, Request, Response, decode, json_response
from local.tenant.population import Population
from local.tenant.request_log import Tape
from local.tenant.sharepoint.content import Estate


class Control:
    """Answers `/control/…`.

    Args:
        directory: who is in the tenant.
        population: changes photos.
        sharepoint: what is shown.
        tape: record of all requests.
        clock: the tenant's.
        end: ends the tenant.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        population: Population,
        sharepoint: Estate,
        tape: Tape,
        clock: Clock,
        end: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._population = population
        self._sharepoint = sharepoint
        self._tape = tape
        self._clock = clock
        self._end = end

    def handle(self, request: Request) -> Response:  # noqa: C901 - one flat table of addresses
        """Answer one request."""
        parts = [decode(part) for part in request.path().split("/")[2:]]
        match request.method, parts:
            case "GET", ["people"]:
                people = list(self._directory.people.values())
                return json_response(200, {"people": [self._describe(one) for one in people]})
            case "GET", ["etags"]:
                everybody = self._directory.people.values()
                etags = {one.id: one.photo.etag for one in everybody if one.photo is not None}
                return json_response(200, etags)
            case "GET", ["photo", key]:
                person = self._directory.find(key)
                if person is not None and person.photo is not None:
                    headers = {"Content-Type": person.photo.content_type}
                    return Response(200, person.photo.data, headers)
            case "GET", ["shown", key]:
                person = self._directory.find(key)
                shown = person and self._sharepoint.shown_picture(person.id, "L")
                if shown:
                    return Response(200, shown, {"Content-Type": "image/jpeg"})
            case "POST", ["change"]:
                return self._change(request.body)
            case "GET", ["tape", "summary"]:
                return json_response(200, self._tape.summary())
            case "GET", ["tape", "times"]:
                return json_response(200, self._times())
            case "POST", ["tape", "clear"]:
                self._tape.clear()
                return Response(204)
            case "GET", ["cpu"]:
                return json_response(200, {"seconds": time.process_time()})
            case "POST", ["quit"]:
                self._end()
                return Response(204)
        return Response(404)

    def _times(self) -> dict[str, Any]:
        """When each request came and was answered, and what the tenant's clocks say now."""
        return {
            "time": self._clock.time(),
            "monotonic": self._clock.monotonic(),
            "entries": [
                [one.service, one.operation, one.started, one.ended, one.units, one.throttled]
                for one in self._tape.entries()
            ],
        }

    def _describe(self, person: Person) -> dict[str, Any]:
        return {
            "id": person.id,
            "userPrincipalName": person.upn,
            "displayName": person.display_name,
            "kind": person.kind,
            "photo": person.photo is not None,
            "picture": person.photo.picture.name if person.photo else None,
            "shown": self._shown(person),
        }

    def _shown(self, person: Person) -> str | None:
        """URL of the picture that SharePoint shows; None while it shows the placeholder."""
        profile = self._sharepoint.profile(person.id)
        state = profile.get("SPS-PicturePlaceholderState")
        return profile.get("PictureURL") or None if state == "0" else None

    def _change(self, body: bytes) -> Response:
        try:
            wanted = json.loads(body)
            count, seed = int(wanted["count"]), int(wanted.get("seed", 1))
        except (ValueError, TypeError, KeyError, AttributeError):
            return json_response(400, {"message": 'Expected {"count": n, "seed": s}.'})
        return json_response(200, {"changed": self._population.change(count, seed)})
