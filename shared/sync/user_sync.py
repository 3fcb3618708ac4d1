"""One user's turn: what is read, compared, written and cleared for him.

`engine` takes many turns through these stages together and saves their records in between.
"""

import hashlib
import logging
from dataclasses import dataclass, replace

from shared.checkpoint.records import Photo, Record
from shared.errors import PhotoSyncError, ProfileMissing
from shared.graph.client import Graph
from shared.graph.photo_versions import NoPhoto, Seen
from shared.model import Outcome, ThumbnailLocation, User
from shared.photos import thumbnails
from shared.sharepoint.client import SharePoint
from shared.sharepoint.locations import choose
from shared.sharepoint.profiles import Profile
from shared.sync import plan
from shared.sync.plan import Adopt, Check, Fetch, Policy, Settle, Write

_log = logging.getLogger("photo_sync.turn")


@dataclass(frozen=True)
class Result:
    """How one user's turn ended.

    Attributes:
        user: whose.
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


@dataclass
class Turn:
    """One user's way through the stages; it ends as soon as `settled` is set.

    Attributes:
        user: whose.
        policy: of the run, at the moment the turn began.
        record: what the checkpoint knows.
        seen: what Graph said of the photo; None when it was not asked.
        fetch: the bytes are wanted.
        removing: SharePoint is to be cleared.
        profile: as read, when it was needed.
        place: where the files are, or will be.
        step: what the bytes led to.
        outcome: if the write succeeds.
        digest: SHA-256 of the bytes.
        images: the thumbnails.
        first: nothing was known of any files of his before this write.
        assumed: files of his may be there, from a write that nobody recorded.
        begun: something may have been written.
        probe: his failure alone stopped the run, which was testing the water with him.
        settled: how the turn ended.
    """

    user: User
    policy: Policy
    record: Record | None
    seen: Seen | None = None
    fetch: Fetch | None = None
    removing: bool = False
    profile: Profile | None = None
    place: ThumbnailLocation | None = None
    step: Write | Check | Adopt | None = None
    outcome: Outcome = Outcome.UPDATED
    digest: str = ""
    images: thumbnails.Thumbnails | None = None
    first: bool = False
    assumed: bool = False
    begun: bool = False
    probe: bool = False
    settled: Settle | None = None

    @property
    def open(self) -> bool:
        """Whether something is left to do."""
        return self.settled is None

    @property
    def photo(self) -> Photo | None:
        """What the record says that SharePoint holds."""
        return self.record.photo if self.record else None

    @property
    def needs_profile(self) -> bool:
        """Whether SharePoint must be asked where the files are, or if there is a profile at all."""
        known = self.place is not None and self.photo is not None and self.photo.sha256
        return self.fetch is not None and (not known or self.fetch.verify)

    @property
    def acts(self) -> bool:
        """Whether SharePoint is about to be changed."""
        return self.open and (self.removing or self.images is not None)

    def withdraw(self) -> Record | None:
        """Before the first effect: know of the files, claim nothing of them; the record to save.

        Also for a first write: were the process to die in it, and the photo be gone before the next
        run, nobody would know that the picture is ours to remove.
        """
        if not self.acts:
            return None
        if self.record and self.record.photo:
            self.record = plan.withdrawn(self.record, self.policy)
        elif self.place:
            self.first = True
            self.record = self._with_files(self.place)
        return self.record

    def assume(self, place: ThumbnailLocation) -> None:
        """Take it that files of his may be there, of which his record does not know."""
        if not self.photo:
            self.assumed = True
            self.record = self._with_files(place)

    def done(self, outcome: Outcome) -> None:
        """All is well: SharePoint shows this photo, because it was written or seen there."""
        photo = None
        if self.place and self.fetch:
            photo = Photo(self.fetch.etag, self.digest, self.place)
        record = plan.done(
            self.record, self.user.upn, self.policy, photo=photo, outcome=outcome, verified=True
        )
        self.settled = Settle(outcome, record=record)

    def fail(self, error: Exception) -> None:
        """Settle by an error that concerns this user."""
        known = isinstance(error, PhotoSyncError)
        detail = str(error) if known else f"internal error: {type(error).__name__}"
        record = self.record
        if isinstance(error, ProfileMissing):
            if record and record.photo and record.photo.sha256:
                # Where there is no profile nothing is shown, whatever was written once.
                record = plan.withdrawn(record, self.policy)
            changed = record if record is not self.record else None
            self.settled = Settle(Outcome.NO_PROFILE, detail, changed)
            return
        etag = self.fetch.etag if self.fetch else ""
        self.settled = plan.failed(
            record, self.user.upn, self.policy, detail, error=error, etag=etag
        )

    def result(self) -> Result:
        """The end; `deferred` when nothing settled it."""
        settled = self.settled or Settle(Outcome.DEFERRED)
        record = settled.record or self.record
        return Result(self.user, settled.outcome, settled.detail, record, settled.error)

    def change(self) -> Record | None:
        """The record to save after the last effect; None when there is nothing new to say."""
        if self.settled and self.settled.record:
            return self.settled.record
        if self.begun or self.assumed:
            return self.record  # again, because who else wrote meanwhile has to be noticed
        if self.first and self.record:
            # Nothing was written after all, so what is there is not ours.
            self.record = replace(self.record, photo=None, verified_at="")
            return self.record
        return None

    def _with_files(self, place: ThumbnailLocation) -> Record:
        """The record, which knows of files that may be there now, whatever they hold."""
        files = plan.done(
            self.record,
            self.user.upn,
            self.policy,
            photo=Photo("", "", place),
            outcome=Outcome.DEFERRED,
        )
        return replace(files, failing=self.record.failing if self.record else None)


class Stages:
    """What is done in a turn, with the services that it takes. Each stage handles one open turn.

    Stages return whether a service did its part for this user, and raise what `shared.errors`
    says.

    Args:
        graph: reads the photo.
        sharepoint: shows it; a read-only one for a dry run.
        sizes: longest sides of S, M, L in pixels.
    """

    def __init__(self, graph: Graph, sharepoint: SharePoint, sizes: tuple[int, int, int]) -> None:
        self._graph = graph
        self._sharepoint = sharepoint
        self._sizes = sizes

    def decide(self, turn: Turn) -> None:
        """First decision, from the version."""
        if turn.seen is None:
            turn.settled = Settle(Outcome.DEFERRED)
            return
        decision = plan.on_version(turn.seen, turn.record, turn.user.upn, turn.policy)
        if isinstance(decision, Settle):
            turn.settled = decision
        elif isinstance(decision, Fetch):
            turn.fetch = decision
        else:
            turn.removing = True
        if turn.photo and self._sharepoint.accepts(turn.photo.place):
            turn.place = turn.photo.place

    def prepare(self, turn: Turn) -> bool:
        """Everything that is only read: bytes, digest, thumbnails, what SharePoint shows."""
        if turn.fetch is None or (turn.needs_profile and turn.profile is None):
            return False
        data = self._graph.photo(turn.user.id)
        if data is None:
            decision = plan.on_version(NoPhoto(), turn.record, turn.user.upn, turn.policy)
            turn.settled = decision if isinstance(decision, Settle) else None
            turn.removing = turn.open
            return True
        turn.digest = hashlib.sha256(data).hexdigest()
        step = plan.on_bytes(turn.digest, turn.fetch, turn.record, turn.policy)
        if isinstance(step, Settle):
            turn.settled = step
            return True
        images = thumbnails.render(data, self._sizes)
        if turn.profile and turn.place is None:
            host = self._sharepoint.host_of(turn.profile)
            turn.place = choose(
                picture_url=turn.profile.picture_url,
                host=host,
                user_id=turn.user.id,
                upn=turn.user.upn,
                folder=self._sharepoint.folder(host),
            )
        turn.step, turn.images = step, images
        self._compare(turn)
        return True

    def write(self, turn: Turn) -> bool:
        """Everything that changes SharePoint for one user."""
        if turn.removing:
            self._clear(turn)
            return True
        if turn.images is None or turn.place is None:
            return False
        turn.begun = True
        self._sharepoint.upload(turn.place, turn.images)
        self._sharepoint.show(turn.user.upn, turn.place)
        turn.done(turn.outcome)
        return True

    def _compare(self, turn: Turn) -> None:
        """Settle without writing when SharePoint is seen to show the right picture."""
        if not turn.profile or not turn.place or not turn.images or isinstance(turn.step, Write):
            return
        good = turn.profile.shows(turn.place)
        if isinstance(turn.step, Check):
            turn.outcome = Outcome.REPAIRED
            good = good and self._sharepoint.has_files(turn.place, turn.images)
        else:
            # M was written last, so when it is right the others are.
            good = good and self._sharepoint.thumbnail(turn.place, "M") == turn.images.medium
        if good:
            turn.done(Outcome.UNCHANGED)

    def _clear(self, turn: Turn) -> None:
        photo = turn.photo
        turn.begun = True
        if photo:
            self._sharepoint.require(photo.place)
            try:
                self._sharepoint.hide(turn.user.upn, photo.place)
            except ProfileMissing:
                # Nothing shows any more; only the files are left.
                _log.info("no profile for %s: removing the files only", turn.user.id)
            self._sharepoint.recycle(photo.place)
        record = plan.done(
            turn.record, turn.user.upn, turn.policy, photo=None, outcome=Outcome.REMOVED
        )
        turn.settled = Settle(Outcome.REMOVED, record=record)
