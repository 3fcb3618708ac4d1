"""Microsoft Graph: authorisation, routing, batches, throttling.

Sources: Microsoft Graph docs "Combine multiple HTTP requests using JSON batching", "Microsoft
Graph service-specific throttling limits", "Microsoft Graph error responses".
"""

import contextlib
import json
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from local.tenant.directory import Directory
from local.tenant.graph.answers import Answer, Call, GraphError, bad_request, new_id, throttled
from local.tenant.graph.batch import part, read_items
from local.tenant.graph.photos import Photos
from local.tenant.graph.principals import Principals
from local.tenant.graph.users import Users
from local.tenant.http import Clock, Request, Response, decode
from local.tenant.identity.tokens import GRAPH_APP_ID, Refused, Tokens
from local.tenant.quirks import Quirks, Quotas
from local.tenant.quota import Window

#: Items of a batch that Graph sends on to the mailbox service at a time.
FORWARDED = 4
VERSIONS = ("v1.0", "beta")
_BATCH = ("$batch",)
#: A key in parentheses: users('…'), servicePrincipals(appId='…').
_KEY = re.compile(r"(?P<name>\w+)\((?P<field>\w+=)?'(?P<key>.*)'\)")


class Graph:
    """The Graph origin of the tenant.

    Attributes:
        users: directory calls; `users.expire_pages()` makes page links expire.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        tokens: Tokens,
        clock: Clock,
        origins: Callable[[str], str],
        quirks: Quirks,
        quotas: Quotas,
        principals: Principals,
    ) -> None:
        self.users = Users(directory=directory, quirks=quirks)
        self._photos = Photos(directory=directory, quirks=quirks)
        self._principals = principals
        self._tokens = tokens
        self._clock = clock
        self._origins = origins
        self._quirks = quirks
        self._quotas = quotas
        self._directory_window = Window(clock, 10)
        self._photo_window = Window(clock, 10)
        self._photos_in_flight = 0
        self._lock = threading.Lock()
        self._random = random.Random(1)

    def handle(self, request: Request) -> Response:
        """Answer one HTTP request."""
        request_id = request.headers.get("client-request-id") or new_id()
        try:
            claims = self._tokens.check(
                request,
                (self._origins("graph"), "https://graph.microsoft.com", GRAPH_APP_ID),
            )
            version, _, path = request.path().lstrip("/").partition("/")
            if version not in VERSIONS:
                raise bad_request(f"Invalid version: {version}.")
            root = f"{self._origins('graph')}/{version}"
            target = path + request.target[len(request.path()) :]
            call = self._call(request.method, target, request.headers, (claims.roles, root))
            if call.segments == _BATCH:
                return self._batch(call, request.body).response(request_id)
            if request.body:
                call = replace(call, body=_json(request.body))
            with self._mailbox_slot(call):
                return self._answer(call, request_id).response(request_id)
        except Refused as refused:
            challenge = {"WWW-Authenticate": 'Bearer realm="", error="invalid_token"'}
            unauthorised = GraphError(
                refused.status, "InvalidAuthenticationToken", refused.why, headers=challenge
            )
            return unauthorised.answer(self._clock.time(), request_id).response(request_id)
        except GraphError as error:
            return error.answer(self._clock.time(), request_id).response(request_id)

    def _call(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        caller: tuple[frozenset[str], str],
    ) -> Call:
        """Take a URL below the version root apart; `caller` is roles and version root."""
        path, _, query = target.partition("?")
        path = path.strip("/")
        segments = tuple(segment for raw in path.split("/") for segment in _segments(raw))
        if not query.isascii() or any(sign in query for sign in "# "):
            raise bad_request("The query string must be percent-encoded.")
        options = dict(parse_qsl(query, keep_blank_values=True))
        roles, root = caller
        return Call(method, segments, options, headers, roles, root, f"/{path}", self._clock.time())

    def _answer(self, call: Call, request_id: str) -> Answer:
        """Meter and answer one call; errors come back as answers, with what they cost."""
        units = 0.0
        try:
            if _is_photo(call):
                self._meter_photo()
                return self._route(call)
            answer = self._route(call)
            units = answer.units = answer.units or 1
        except GraphError as error:
            if _is_photo(call):
                return error.answer(self._clock.time(), request_id)
            units = 1.0
            answer = error.answer(self._clock.time(), request_id, units=units)
        wait = self._directory_window.spend(units, self._quotas.graph_units_per_10s)
        if wait:
            full = throttled(
                wait,
                "TooManyRequests",
                "Please retry again later.",
                x_ms_throttle_scope="Tenant_Application/ReadWrite/app/tenant",
                x_ms_throttle_information="ResourceUnitLimitExceeded",
            )
            return full.answer(self._clock.time(), request_id, units=units)
        answer.headers["x-ms-resource-unit"] = f"{units:g}"
        return answer

    def _route(self, call: Call) -> Answer:
        if call.method != "GET":
            return self._post(call)
        match call.segments:
            case ("users",):
                return self.users.everybody(call)
            case ("users", "delta"):
                raise GraphError(501, "NotImplemented", "Not part of the emulated tenant.")
            case ("users", key):
                return self.users.get(call, key)
            case ("users", key, "photo" | "photos", *_):
                return self._photos.get(call, key, call.segments[2:])
            case ("groups", key):
                return self.users.group(call, key)
            case ("groups", key, "transitiveMembers", *cast) if len(cast) <= 1:
                return self.users.members(call, key, cast)
            case ("servicePrincipals", *_):
                return self._principals.get(call)
            case ("sites", "root"):
                return self._principals.root_site(call)
        last = call.segments[-1] if call.segments else ""
        raise bad_request(f"Resource not found for the segment '{last}'.")

    def _post(self, call: Call) -> Answer:
        match call.method, call.segments:
            case "POST", ("users", key, action) if action.lower() == "checkmembergroups":
                return self.users.check_member_groups(call, key)
        raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed.")

    def _meter_photo(self) -> None:
        wait = self._photo_window.spend(1, self._quotas.graph_photos_per_10s)
        if wait:
            raise throttled(
                wait,
                "ApplicationThrottled",
                "Application is over its RequestRate limit.",
            )

    @contextlib.contextmanager
    def _mailbox_slot(self, *calls: Call) -> Iterator[None]:
        """Hold a place at the mailbox service while photos are read.

        Raises:
            GraphError: 429, too many are held; clears when others end, so there is no time to wait.
        """
        photos = sum(_is_photo(call) for call in calls)
        if not photos:
            yield
            return
        limit = self._quotas.graph_photos_in_flight
        with self._lock:
            if limit is not None and self._photos_in_flight >= limit:
                raise throttled(
                    None,
                    "ApplicationThrottled",
                    "Application is over its MailboxConcurrency limit.",
                )
            self._photos_in_flight += 1
        try:
            if self._quotas.graph_photo_latency:
                self._clock.sleep(self._quotas.graph_photo_latency * -(-photos // FORWARDED))
            yield
        finally:
            with self._lock:
                self._photos_in_flight -= 1

    # -- batches --

    def _batch(self, call: Call, body: bytes) -> Answer:
        if call.method != "POST":
            raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed.")
        if not call.headers.get("content-type", "").startswith("application/json"):
            raise bad_request("Content-Type of a batch must be application/json.")
        items = read_items(body)
        calls: dict[str, Call | GraphError] = {}
        for item in items:
            try:
                calls[item["id"]] = self._item_call(item, call)
            except GraphError as error:
                calls[item["id"]] = error
        answers: dict[str, Answer] = {}
        try:
            with self._mailbox_slot(*(c for c in calls.values() if isinstance(c, Call))):
                for item in items:
                    answers[item["id"]] = self._item(item, calls[item["id"]], answers)
        except GraphError as full:
            for key in calls:
                answers[key] = full.answer(call.now, new_id())
        order = list(answers)
        if self._quirks.batch_shuffled:
            self._random.shuffle(order)
        responses = [part(key, answers[key]) for key in order]
        units = sum(answer.units for answer in answers.values())
        refused = any(answer.status == 429 for answer in answers.values())  # noqa: PLR2004 - HTTP
        status = self._quirks.throttled_envelope if refused else 200
        headers = {"Content-Type": "application/json"}
        return Answer(status, {"responses": responses}, headers, units)

    def _item_call(self, item: dict[str, Any], envelope: Call) -> Call:
        given = item.get("headers") or {}
        headers = {str(name).lower(): str(value) for name, value in given.items()}
        caller = (envelope.roles, envelope.root)
        call = self._call(str(item["method"]).upper(), item["url"], headers, caller)
        call = replace(call, body=item.get("body"))
        if call.segments == _BATCH:
            raise bad_request("A batch cannot hold another batch.")
        return call

    def _item(
        self, item: dict[str, Any], call: Call | GraphError, done: Mapping[str, Answer]
    ) -> Answer:
        request_id = new_id()
        if isinstance(call, GraphError):
            return call.answer(self._clock.time(), request_id)
        for needed in item.get("dependsOn") or ():
            if done[needed].status >= 400:  # noqa: PLR2004 - HTTP
                failed = GraphError(424, "FailedDependency", "A request it depends on failed.")
                return failed.answer(self._clock.time(), request_id)
        return self._answer(call, request_id)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise bad_request("Unable to read JSON request payload.") from error


def _is_photo(call: Call) -> bool:
    return len(call.segments) > 2 and call.segments[2] in ("photo", "photos")  # noqa: PLR2004 - users/key/photo


def _segments(raw: str) -> list[str]:
    """One raw path segment: a name, a key, or a name with a key in parentheses.

    Raises:
        GraphError: 400, not percent-encoded as it must be.
    """
    match = _KEY.fullmatch(raw)
    parts = [match["name"], match["key"].replace("''", "%27")] if match else [raw]
    if any(sign in part for part in parts for sign in "#' \"<>") or not raw.isascii():
        raise bad_request(f"The URL must be percent-encoded: '{raw}'.")
    try:
        parts = [decode(part) for part in parts]
    except UnicodeDecodeError as error:
        raise bad_request("The URL is no valid UTF-8.") from error
    if match and match["field"]:
        parts[1] = match["field"] + parts[1]
    return parts
