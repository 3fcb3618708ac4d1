"""Which format a file has, by its first bytes."""

from shared.errors import InvalidPhoto
from shared.photos.limits import SAVE_AGAIN, UPLOAD_AGAIN

_SUPPORTED = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
)
_OTHER = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"%PDF-", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"II\xbc", "JPEG XR"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\2\0", "CUR"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"\x01\0\0\0", "EMF"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"gimp xcf", "GIMP"),
    (b"FUJIFILMCCD-RAW", "raw camera"),
    (b"IIRO", "raw camera"),
    (b"IIU\0", "raw camera"),
    (b"PK\x03\x04", "ZIP or Office"),
    (b"\xd0\xcf\x11\xe0", "Office"),
    (b"{\\rtf", "RTF"),
    (b"\x1f\x8b", "GZIP"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"BA", "OS/2 bitmap array"),
    (b"P3\n", "PPM"),
    (b"P5\n", "PGM"),
    (b"P6\n", "PPM"),
)
_AN = {  # names that are spoken with a vowel first
    "AVI",
    "AVIF",
    "EMF",
    "HTML",
    "ICO",
    "MNG",
    "OS/2 bitmap array",
    "Office",
    "OpenEXR",
    "RTF",
    "SVG",
    "XML",
}
_RIFF = {b"WEBP": "WebP", b"AVI ": "AVI", b"WAVE": "WAV"}
_BRANDS = {  # ISO/IEC 14496-12, file type box: brands of images, others are videos
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"hevx": "HEIC",
    b"mif1": "HEIC",
    b"msf1": "HEIC",
    b"crx ": "raw camera",
    b"jxl ": "JPEG XL",
}


def recognize(data: bytes) -> str:
    """The format of a photo: "JPEG", "PNG", "GIF", or "BMP".

    Raises:
        InvalidPhoto: another format; the message names it where it is a known one.
    """
    if not data:
        raise InvalidPhoto(f"The photo is an empty file. {UPLOAD_AGAIN}")
    for magic, name in _SUPPORTED:
        if data.startswith(magic):
            return name
    other = _other(data)
    if other is None:
        raise InvalidPhoto(f"The photo is not an image file of a known format. {SAVE_AGAIN}")
    article = "an" if other in _AN else "a"
    raise InvalidPhoto(f"The photo is {article} {other} file. {SAVE_AGAIN}")


def _other(data: bytes) -> str | None:
    for magic, name in _OTHER:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _image_or_video(data)
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in start:
        return "SVG"
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "HTML"
    return "XML" if start.startswith(b"<?xml") else None


def _image_or_video(data: bytes) -> str:
    """By the major brand; where that is a general one, by the compatible brands."""
    brands = data[8:12], *(data[at : at + 4] for at in range(16, min(len(data), 64), 4))
    known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    if known and data[8:12] in {b"mif1", b"msf1"} and "AVIF" in known:
        return "AVIF"
    return known[0] if known else "video"
