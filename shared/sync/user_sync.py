"""What is read, compared, written and cleared for one user.

A user's state is one value that moves forward: what was seen of the photo, then a decision of
`plan`, then `Loaded`, `Prepared`, `Settled`. The engine takes many users through these stages
together, a call takes one; both save the user's record in between.
"""

import hashlib
import threading
from concurrent.futures import Executor
from dataclasses import dataclass

from shared.checkpoint import Photo, Record
from shared.errors import NotFound, PhotoSyncError, ProfileMissing, ServiceError
from shared.graph import Graph, NoPhoto
from shared.http import Patience
from shared.model import Outcome, ThumbnailLocation, User
from shared.photos import Thumbnails, render
from shared.sharepoint import Profile, SharePoint
from shared.sync import plan
from shared.sync.plan import Adopt, Check, Fetch, Policy, Remove, Settled, Write

RENDERED_AT_ONCE = 2
"""Photos of the whole process. Rendering needs the processor, and with more at once the threads
that wait for answers do not get their turn: a third of the requests in flight was missing."""

_rendering = threading.BoundedSemaphore(RENDERED_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Result:
    """How one user ended.

    Attributes:
        user: who.
        outcome: exactly one.
        detail: one sentence, may be empty.
        record: what the checkpoint knows now; None when it knows nothing.
        error: the reason of a failure.
    """

    user: User
    outcome: Outcome
    detail: str
    record: Record | None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A photo that was read and is not known to be the one that SharePoint shows.

    Attributes:
        etag: Exchange's version of the photo.
        digest: SHA-256 of its bytes.
        step: what to do with it.
        images: the thumbnails.
    """

    etag: str
    digest: str
    step: Write | Check | Adopt
    images: Thumbnails


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is needed to write one user's picture.

    Attributes:
        user: with the present name.
        record: what the checkpoint knew before.
        etag: Exchange's version of the photo.
        digest: SHA-256 of its bytes.
        images: the thumbnails.
        location: where they belong.
        outcome: of the user when the write succeeds.
        compared: SharePoint was asked what it shows, and that is something else.
    """

    user: User
    record: Record | None
    etag: str
    digest: str
    images: Thumbnails
    location: ThumbnailLocation
    outcome: Outcome
    compared: bool


class UserSync:
    """Does what is decided for a user, with the services that it takes; thread-safe.

    Errors that are not caught here leave as `shared.errors` says.

    Args:
        graph: reads the photo.
        sharepoint: shows it; a read-only one for a dry run.
        sizes: longest sides of S, M, L in pixels.
    """

    def __init__(self, graph: Graph, sharepoint: SharePoint, sizes: tuple[int, int, int]) -> None:
        self._graph = graph
        self._sharepoint = sharepoint
        self._sizes = sizes

    def load(
        self, user: User, record: Record | None, fetch: Fetch, policy: Policy, patience: Patience
    ) -> Loaded | Remove | Settled:
        """Read the photo and decide by its bytes; SharePoint is not asked."""
        data = self._graph.photo(user.id, patience)
        if data is None:
            decision = plan.on_version(NoPhoto(), record, user, policy)
            if isinstance(decision, Fetch):
                raise AssertionError("no photo cannot be fetched")
            return decision
        digest = hashlib.sha256(data).hexdigest()
        step = plan.on_bytes(digest, fetch, record, user, policy)
        if isinstance(step, Settled):
            return step
        return Loaded(fetch.etag, digest, step, self._render(data))

    def thumbnails(self, user_id: str, digest: str, patience: Patience) -> Thumbnails | None:
        """The thumbnails of the photo with this digest; None when Exchange has another one now."""
        data = self._graph.photo(user_id, patience)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            return None
        return self._render(data)

    def prepare(
        self,
        user: User,
        record: Record | None,
        loaded: Loaded,
        profile: Profile,
        *,
        policy: Policy,
        patience: Patience,
    ) -> Prepared | Settled:
        """Find where the files belong and, where it is needed, what SharePoint shows."""
        location = self._sharepoint.location(profile, user.id)
        step, outcome = loaded.step, Outcome.UPDATED
        # Asked only when the profile names it.
        compared = not isinstance(step, Write) and profile.shows(location)
        if compared and self._sharepoint.has_content(location, loaded.images, patience):
            photo = Photo(loaded.etag, loaded.digest, location)
            seen = plan.done(record, user, policy, photo=photo, verified=True)
            return Settled(Outcome.UNCHANGED, record=seen)
        if isinstance(step, Write):
            outcome = step.outcome
        elif isinstance(step, Check):
            outcome = Outcome.REPAIRED
        return Prepared(
            user=user,
            record=record,
            etag=loaded.etag,
            digest=loaded.digest,
            images=loaded.images,
            location=location,
            outcome=outcome,
            compared=compared,
        )

    def write(
        self,
        prepared: Prepared,
        policy: Policy,
        patience: Patience,
        *,
        pool: Executor | None = None,
    ) -> Settled:
        """Write the files, M last because the profile names it, then the profile.

        Args:
            prepared: what to write.
            policy: of the run.
            patience: with this user.
            pool: writes L and S at once; None writes one file after the other.
        """
        location, images = prepared.location, prepared.images

        def upload(size: str, data: bytes) -> None:
            self._sharepoint.upload(location, size, data, patience)

        if pool is None:
            upload("L", images.large)
            upload("S", images.small)
        else:
            first = pool.submit(upload, "L", images.large)
            try:
                upload("S", images.small)
            finally:
                first.result()
        upload("M", images.medium)
        self._sharepoint.show(prepared.user.upn, location, patience)
        self._recycle_former(prepared, patience)
        photo = Photo(prepared.etag, prepared.digest, location)
        record = plan.done(
            prepared.record,
            prepared.user,
            policy,
            photo=photo,
            outcome=prepared.outcome,
            verified=True,
        )
        return Settled(prepared.outcome, record=record)

    def clear(
        self, user: User, record: Record, profile: Profile, policy: Policy, patience: Patience
    ) -> Settled:
        """Take away the picture that we wrote: the profile first, then the files.

        A profile that names another picture than ours is left as it is. Files that version 1 named
        after a user principal name stay, because two users may share them.

        Raises:
            RequestRejected: the picture is on a host that is not this tenant's any more.
        """
        detail, photo = "", record.photo
        if photo is not None:
            location = photo.location
            self._sharepoint.require(location)
            if not profile.picture_url or profile.names(location):
                self._sharepoint.hide(user.upn, location, patience)
            if location.prefix != user.id:
                detail = (
                    f"the profile shows no picture; the files {location.prefix}_SThumb.jpg, _MThumb"
                    ".jpg and _LThumb.jpg stay, because another user may show them"
                )
            elif kept := self._sharepoint.recycle(location, patience):
                names = ", ".join(kept)
                detail = f"SharePoint keeps these files, which no profile shows: {names}"
        cleared = plan.done(record, user, policy, photo=None, outcome=Outcome.REMOVED)
        return Settled(Outcome.REMOVED, detail, cleared)

    def _render(self, data: bytes) -> Thumbnails:
        with _rendering:
            return render(data, self._sizes)

    def _recycle_former(self, prepared: Prepared, patience: Patience) -> None:
        """Recycle our files on the host of another geo, when the user's My Site has moved."""
        former = (
            prepared.record.photo.location if prepared.record and prepared.record.photo else None
        )
        if (
            former is None
            or former.host == prepared.location.host
            or former.prefix != prepared.user.id
            or not self._sharepoint.accepts(former)
        ):
            return
        try:
            self._sharepoint.recycle(former, patience)
        except ServiceError:
            # The picture is right where the profile looks; what is left elsewhere shows nowhere.
            return


def failure(
    user: User, record: Record | None, error: Exception, policy: Policy, *, etag: str = ""
) -> Settled:
    """How a user ends by an error that concerns only them.

    Args:
        user: who.
        record: what the checkpoint knows; a withdrawn one after a write was begun.
        error: what happened.
        policy: of the run.
        etag: the photo's version, as far as it was seen.
    """
    photo = record.photo if record else None
    if isinstance(error, ProfileMissing):
        # Where there is no profile nothing is shown, whatever was written once.
        claims = photo is not None and bool(photo.sha256)
        changed = plan.withdrawn(record, user, photo.location, policy) if photo and claims else None
        return Settled(Outcome.NO_PROFILE, str(error), changed, error)
    known = isinstance(error, PhotoSyncError)
    detail = str(error) if known else f"internal error: {type(error).__name__}"
    if isinstance(error, NotFound) and error.evidence.service == "graph" and not photo:
        # A 404 that proves nothing; where no picture is ours, nothing can be lost.
        return Settled(Outcome.NO_PHOTO)
    return plan.failed(record, user, policy, detail, error=error, etag=etag)
