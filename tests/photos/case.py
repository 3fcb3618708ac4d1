"""One file of the zoo."""

from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class Case:
    """A file and what must come of it.

    Attributes:
        kind: what sort of file it is; several cases may be of one kind.
        name: what this one is about.
        data: the file.
        expected: the upright picture in sRGB; None when the file is refused.
        refusal: a part of the sentence that refuses it.
    """

    kind: str
    name: str
    data: bytes
    expected: Image.Image | None = None
    refusal: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"
