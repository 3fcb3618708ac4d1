"""Who is in a generated tenant, and what their photos are."""

import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageChops, ImageOps

from local.tenant import Quirks, Tenant
from local.tenant.directory import Directory, Person
from local.tenant.pictures import Picture
from local.tenant.population import CAST, Population


def people(
    users: int, *, seed: int = 1, plain: bool = False, quirks: Quirks | None = None
) -> Directory:
    directory = Directory()
    Population(
        directory,
        users=users,
        seed=seed,
        name="contoso",
        plain=plain,
        quirks=quirks or Quirks(),
    )
    return directory


def described(directory: Directory) -> list[tuple[object, ...]]:
    return [
        (person.id, person.upn, person.kind, person.existing, person.photo and person.photo.etag)
        for person in directory.people.values()
    ]


def test_same_seed_same_tenant() -> None:
    """A seed fixes people, names, etags and photo bytes; another seed gives other people."""
    one, two = people(120, seed=7), people(120, seed=7)
    assert described(one) == described(two)
    for first, second in zip(one.people.values(), two.people.values(), strict=True):
        if first.photo and second.photo and first.photo.picture.name != "large":
            assert first.photo.data == second.photo.data
    assert not one.people.keys() & people(120, seed=8).people.keys()


def test_sixty_people_have_every_kind() -> None:
    """The first sixty people cover the whole cast, every kind of picture and every start."""
    directory = people(60)
    assert {role.kind for role in CAST} <= {person.kind for person in directory.people.values()}
    starts = {person.existing for person in directory.people.values()}
    assert starts == {"none", "upn-prefix", "id-prefix", "foreign-url", "placeholder"}
    names = "".join(person.upn for person in directory.people.values())
    assert all(sign in names for sign in "'#&+%_ż")


def test_mix_of_a_large_tenant() -> None:
    """About a third have no photo; a few have no profile, are guests or blocked."""
    directory = people(2000)
    everybody = list(directory.people.values())
    without = sum(person.photo is None for person in everybody)
    assert 0.25 < without / len(everybody) < 0.45
    assert 0 < sum(person.user_type == "Guest" for person in everybody) < 200
    assert 0 < sum(not person.has_profile for person in everybody) < 200
    assert 0 < sum(not person.account_enabled for person in everybody) < 100


def test_plain_people() -> None:
    """In a plain tenant everybody is enabled, licensed, has a profile and a good photo."""
    for person in people(30, plain=True).people.values():
        assert person.account_enabled
        assert person.user_type == "Member"
        assert person.has_profile
        assert person.existing == "none"
        assert person.photo is not None
        assert person.photo.picture.usable


def test_second_geo() -> None:
    """A quirk moves every tenth person to another geo."""
    directory = people(100, plain=True, quirks=Quirks(second_geo=True))
    assert sum(person.geo != "" for person in directory.people.values()) == 10


def picture(directory: Directory, name: str) -> Picture:
    return next(
        person.photo.picture
        for person in directory.people.values()
        if person.photo and person.photo.picture.name == name
    )


@pytest.mark.parametrize(
    ("name", "form", "mode", "size"),
    [
        ("portrait", "JPEG", "RGB", (648, 648)),
        ("wide", "JPEG", "RGB", (648, 432)),
        ("tall", "JPEG", "RGB", (432, 648)),
        ("large", "JPEG", "RGB", (2400, 1800)),
        ("cmyk", "JPEG", "CMYK", (648, 648)),
        ("grey", "JPEG", "L", (648, 648)),
        ("palette", "PNG", "P", (648, 648)),
        ("alpha", "PNG", "RGBA", (648, 648)),
        ("deep", "PNG", "I;16", (648, 648)),
        ("tiny", "JPEG", "RGB", (16, 16)),
        ("dot", "JPEG", "RGB", (1, 1)),
        ("medium", "JPEG", "RGB", (240, 240)),
    ],
)
def test_good_pictures(name: str, form: str, mode: str, size: tuple[int, int]) -> None:
    """Each kind is a real image of its format, mode and size, also when made smaller."""
    kind = picture(people(60), name)
    for data in (kind.data, kind.rendition(48)):
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert (image.format, image.mode) == (form, mode)
            assert max(image.size) == (max(size) if data == kind.data else 48)
    with Image.open(io.BytesIO(kind.data)) as image:
        assert image.size == size == (kind.width, kind.height)


def test_orientations_show_the_same_face() -> None:
    """The eight orientation tags differ in storage and agree once applied."""
    directory = people(60)
    shown = []
    for tag in range(1, 9):
        kind = picture(directory, f"orientation-{tag}")
        with Image.open(io.BytesIO(kind.data)) as image:
            assert image.getexif()[0x0112] == tag
            assert image.size == (kind.width, kind.height)
            shown.append(ImageOps.exif_transpose(image).convert("L"))
    assert {image.size for image in shown} == {(648, 432)}
    for other in shown[1:]:
        histogram = ImageChops.difference(shown[0], other).histogram()
        assert sum(histogram[40:]) < 2000, "more than compression noise"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", ["broken", "truncated", "bomb", "html"])
def test_bad_pictures(name: str) -> None:
    """What is no usable image fails when decoded, is small, and has no rendition."""
    kind = picture(people(60), name)
    assert kind.rendition(48) == kind.data
    assert len(kind.data) < 100_000
    with pytest.raises((OSError, Image.DecompressionBombError)):
        ImageOps.exif_transpose(Image.open(io.BytesIO(kind.data)))


def test_everybody_has_a_face_of_their_own() -> None:
    """Up to a thousand people no two share a portrait, so that mixing people up shows."""
    directory = people(40, plain=True)
    faces = {person.photo.data for person in directory.people.values() if person.photo}
    assert len(faces) == 40


def test_directory_changes_are_told() -> None:
    """Listeners hear of joiners, leavers and new names; a name is never given twice."""
    directory = people(5, plain=True)
    heard: list[tuple[str, str]] = []
    directory.listeners.append(lambda event, person: heard.append((event, person.upn)))
    one, two = list(directory.people.values())[:2]
    joiner = Person(
        id="11111111-1111-4111-8111-111111111111",
        upn="new@contoso.com",
        display_name="New One",
        mail="new@contoso.com",
        account_enabled=True,
        user_type="Member",
        plans=[],
        photo=None,
        has_profile=False,
        geo="",
        existing="none",
    )
    directory.add(joiner)
    directory.rename(one.id, "Renamed@contoso.com")
    directory.remove(two.id)
    assert heard == [
        ("added", "new@contoso.com"),
        ("renamed", "Renamed@contoso.com"),
        ("removed", two.upn),
    ]
    assert directory.by_upn("renamed@CONTOSO.com") is one
    assert directory.find(two.id) is None
    with pytest.raises(ValueError, match="exists"):
        directory.add(joiner)
    with pytest.raises(ValueError, match="exists"):
        directory.rename(one.id, "NEW@contoso.com")


def test_ten_thousand_people(make_tenant: Callable[..., Tenant]) -> None:
    """A large tenant starts without drawing its pictures. Nobody else draws those of this seed."""
    tenant = make_tenant(users=10_000, seed=10_000)
    assert len(tenant.directory.people) == 10_000
    pictures = {p.photo.picture for p in tenant.directory.people.values() if p.photo}
    assert len(pictures) < 100
    assert not any("data" in vars(one) for one in pictures)
