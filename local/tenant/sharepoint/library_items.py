"""What a picture library holds: folders, files, earlier versions, deleted files."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Version:
    """An earlier content of a file: label `1.0`, `2.0`, …, bytes, epoch seconds of its upload."""

    label: str
    content: bytes
    created: float


@dataclass(slots=True)
class StoredFile:
    """A file as it is now.

    Attributes:
        path: server-relative, decoded.
        unique_id: stays through overwriting, new after deletion.
        content: raw bytes.
        created, modified: epoch seconds.
        major: number of the present version.
        versions: earlier contents, oldest first.
        checked_out_by: who reserved the file; empty when nobody has.
        locked: held by a short shared lock, as while a person has it open.
        retained: under a retention policy or a hold: it cannot be deleted.
    """

    path: str
    unique_id: str
    content: bytes
    created: float
    modified: float
    major: int = 1
    versions: list[Version] = field(default_factory=list)
    checked_out_by: str = ""
    locked: bool = False
    retained: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(slots=True)
class Folder:
    """A folder: its path, when it was made (epoch seconds), and its children by lower-case name."""

    path: str
    created: float
    folders: dict[str, "Folder"] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the path; empty for the root of the site."""
        return self.path.rpartition("/")[2]

    @property
    def item_count(self) -> int:
        """How many files and folders are in it."""
        return len(self.folders) + len(self.files)


@dataclass(frozen=True, slots=True)
class Recycled:
    """A file in the recycle bin: the id of the bin's item, the file, epoch seconds of deletion."""

    id: str
    file: StoredFile
    deleted: float
