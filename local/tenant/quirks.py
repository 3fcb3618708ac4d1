"""Switches for what nobody knows of the real services, and their quotas."""

from dataclasses import dataclass
from typing import Literal, Self


@dataclass
class Quirks:
    """One field for each point where documentation and reports disagree or are silent.

    The defaults are what was seen last; tests run the client against the other answers too.
    Fields may be changed while the tenant runs.
    """

    # -- Microsoft Graph --
    #: What a user without a photo answers: 404, or the documented metadata of a 1x1 GIF.
    no_photo: Literal["404", "1x1"] = "404"
    #: Error code of that 404.
    no_photo_code: str = "ImageNotFound"
    #: Sizes above the uploaded photo: True answers 404, False the photo itself.
    sized_photo_missing: bool = True
    #: A listing begins with an empty page that has a link to the next.
    empty_first_page: bool = False
    #: Status of a batch in which an item is throttled; older documentation says 424.
    throttled_envelope: Literal[200, 424] = 200
    #: Answers of a batch in any order.
    batch_shuffled: bool = True
    #: A photo's etag changes at every read although the photo does not.
    etag_unstable: bool = False
    #: An OData cast (`/microsoft.graph.user`) is refused without the advanced-query parameters.
    cast_needs_advanced: bool = True
    #: A filter with several `any()` is refused.
    combined_filter_refused: bool = False
    #: Photos need `ProfilePhoto.Read.All`; `User.Read.All` does not cover them.
    photos_need_own_role: bool = False
    #: Error code of a photo call without a role.
    photo_denied_code: str = "Authorization_RequestDenied"

    # -- identity --
    #: For how long the platform hands out the same token per resource; really about a day.
    identity_cache_seconds: float = 0

    # -- SharePoint --
    #: Writes are refused with -2130575251 until X-RequestDigest is sent.
    digest_required: bool = False
    #: What reading a missing profile answers.
    unknown_profile: Literal["odata.null", "error"] = "odata.null"
    #: Localised by the language of the My Site host, e.g. "Profielafbeeldingen".
    folder_name: str = "Profile Pictures"
    folder_exists: bool = True
    library_exists: bool = True
    #: Listing the folders of the library exceeds the list view threshold.
    folders_over_threshold: bool = False
    #: REST `$batch` of SharePoint.
    batch_supported: bool = True
    #: REST `$batch` of SharePoint always answers 500.
    batch_fails: bool = False
    #: Language of SharePoint's error texts: "en-US", "de-DE" or "ja-JP".
    language: str = "en-US"
    #: The property Picture may not be edited.
    picture_editable: bool = True
    #: CSOM `ProcessQuery`.
    process_query_supported: bool = True
    #: Hosts that accept profile calls of an app-only caller.
    profile_host: Literal["any", "admin"] = "any"
    #: Profile calls also need a role for sites on that host.
    profile_needs_site_role: bool = False
    #: Sites.Selected with a write grant is enough to create a folder.
    selected_creates_folders: bool = False
    #: Reading a missing folder: 200 with `Exists` false when that is selected and empty lists of
    #: children (as reported in issues of sp-dev-docs and ALAppExtensions), or 404 always.
    missing_folder: Literal["exists-false", "404"] = "exists-false"
    #: Code for an expired digest: as for a missing one, or -2130575252 (both were reported).
    digest_expired_code: Literal[-2130575251, -2130575252] = -2130575251
    #: Every Set of a ProcessQuery counts as a call of PeopleManager, or the query as one.
    set_calls_counted: Literal["each", "query"] = "each"
    #: Every tenth person lives in a second geo with its own My Site and admin host.
    second_geo: bool = False
    #: The My Site host of the second geo has a picture library.
    second_geo_library: bool = True
    #: The identity endpoint gives tokens for the hosts of the second geo.
    second_geo_token: bool = True


@dataclass
class Quotas:
    """Limits per service; None is unlimited. Windows follow the tenant's clock.

    Figures: Microsoft Graph service-specific throttling limits; "Avoid getting throttled or
    blocked in SharePoint Online".
    """

    # -- Microsoft Graph --
    #: Resource units of directory calls in 10 seconds.
    graph_units_per_10s: int | None = None
    #: Photo requests in 10 seconds; the real ceiling of a tenant-wide scan is undocumented.
    graph_photos_per_10s: int | None = None
    #: Photo calls in flight at once (the MailboxConcurrency limit); answered without Retry-After.
    graph_photos_in_flight: int | None = None
    #: Seconds that four photo requests take behind Graph (it forwards four of a batch at a time).
    graph_photo_latency: float = 0

    # -- SharePoint --
    sharepoint_units_per_minute: int | None = None
    sharepoint_units_per_day: int | None = None
    sharepoint_tenant_units_per_5min: int | None = None
    #: Calls of PeopleManager, all apps of the tenant together.
    people_manager_per_5min: int | None = None

    @classmethod
    def for_licences(cls, count: int) -> Self:
        """The published figures of a tenant with so many licences."""
        tiers = ((1_000, 1), (5_000, 2), (15_000, 3), (50_000, 4))
        tier = next((tier for limit, tier in tiers if count <= limit), 5)
        directory = 3_500 if count < 50 else 5_000 if count <= 500 else 8_000  # noqa: PLR2004 - published sizes S, M, L
        return cls(
            graph_units_per_10s=directory,
            graph_photos_in_flight=None,
            sharepoint_units_per_minute=1_250 * tier,
            sharepoint_units_per_day=1_200_000 * tier,
            sharepoint_tenant_units_per_5min=18_750 * tier,
            people_manager_per_5min=3_000 * tier,
        )

    @classmethod
    def smallest_tenant(cls) -> Self:
        """Up to 1,000 licences, fewer than 50 users."""
        return cls.for_licences(49)

    @classmethod
    def largest_tenant(cls) -> Self:
        """More than 50,000 licences."""
        return cls.for_licences(50_001)
