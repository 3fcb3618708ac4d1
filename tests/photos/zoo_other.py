"""Files of other formats, as programs write them, and what is no picture."""

import gzip
from collections.abc import Iterator

from PIL import Image

from tests.photos.case import Case
from tests.photos.pictures import color_picture, file


def cases() -> Iterator[Case]:
    """All of them."""
    color = color_picture()
    for kind, name in (
        ("WEBP", "a WebP file"),
        ("AVIF", "an AVIF file"),
        ("TIFF", "a TIFF file"),
        ("PDF", "a PDF file"),
        ("ICO", "an ICO file"),
        ("JPEG2000", "a JPEG 2000 file"),
        ("PPM", "a PPM file"),
        ("QOI", "a QOI file"),
        ("DDS", "a DDS file"),
        ("EPS", "a PostScript file"),
    ):
        sentence = f"The photo is {name}. Save it as JPEG or PNG and upload it again."
        yield Case("another format", kind, file(color, kind), refusal=sentence)
    lossless = file(color, "WEBP", lossless=True)
    yield Case("another format", "WebP, lossless", lossless, refusal="a WebP file")
    big = file(Image.new("L", (9, 9)), "TIFF", big_tiff=True)
    yield Case("another format", "BigTIFF", big, refusal="a TIFF file")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    for name, data, found in (
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC file"),
        ("HEIC, general brand", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC file"),
        ("AVIF, general brand", b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "an AVIF file"),
        ("raw", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a raw camera file"),
        ("MP4", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "a video file"),
        ("JPEG XL", b"\xff\x0a\x7f\0", "a JPEG XL file"),
        ("JPEG XR", b"II\xbc\1\x08\0\0\0", "a JPEG XR file"),
        ("SVG", svg, "an SVG file"),
        (
            "SVG after a declaration",
            b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- x -->' + svg,
            "an SVG file",
        ),
        ("Photoshop", b"8BPS\0\1" + bytes(20), "a Photoshop file"),
        ("Word", b"PK\x03\x04" + bytes(30), "a ZIP or Office file"),
        ("sign-in page", b"<!DOCTYPE html><html><body>Sign in</body></html>", "an HTML file"),
        ("AVI", b"RIFF\x10\0\0\0AVI LIST", "an AVI file"),
        ("GZIP", gzip.compress(svg, mtime=0), "a GZIP file"),
        ("text", b"This is not a photo.", "not an image file of a known format"),
        ("JSON", b'{"error":{}}', "not an image file of a known format"),
        ("zeros", bytes(5000), "not an image file of a known format"),
        ("nothing", b"", "an empty file"),
        ("9 MB", b"\xff\xd8\xff" + bytes(9_000_000), "at most 8,388,608 are accepted"),
    ):
        yield Case("another format", name, data, refusal=found)
