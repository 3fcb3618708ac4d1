"""Builds the deployment package: the app and its dependencies for Azure's Linux and Python 3.13.

    python3 -m local.package [--output dist/photo-sync.zip]

The remote build of Azure Functions may run on an older Python than the app, and then cannot
install what asks for 3.13; a package that brings its dependencies needs no remote build
(Microsoft Learn: Python build options for Azure Functions). Standard library and pip only, so
that whoever deploys needs no environment of this project; runs under Python 3.10 or newer. Equal
input gives equal bytes.
"""

import argparse
import fnmatch
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SITE_PACKAGES = PurePosixPath(".python_packages/lib/site-packages")
PYTHON_VERSION = "3.13"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip entry can carry


class PackageError(Exception):
    """The package cannot be built; the message says why and what helps."""


class Rule(NamedTuple):
    """One line of a `.funcignore`.

    Attributes:
        glob: pattern of a name.
        top: only at the top level.
        folder: only folders.
        taken_in: the line takes back in what an earlier one left out.
    """

    glob: str
    top: bool
    folder: bool
    taken_in: bool


def read_rules(text: str) -> list[Rule]:
    """Lines of a `.funcignore`, limited to the forms that git reads in the same way.

    Raises:
        PackageError: a line is of another form.
    """
    rules = []
    for line in (line.strip() for line in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        form = re.fullmatch(r"(!?)(/?)([\w.*?-]+)(/?)", line)
        if form is None:
            raise PackageError(f".funcignore: write {line!r} as name, *.ending, folder/ or /top")
        taken_in, top, glob, folder = form.groups()
        rules.append(Rule(glob, bool(top), bool(folder), bool(taken_in)))
    return rules


def app_files(root: Path) -> list[PurePosixPath]:
    """Files of the app that `.funcignore` lets through, relative to `root`, sorted.

    Dependencies of an earlier build in `.python_packages/` are left out: they are built anew.
    """
    rules = read_rules((root / ".funcignore").read_text("utf-8"))
    rules += read_rules(f"/{SITE_PACKAGES.parts[0]}/")
    return sorted(_walk(root, PurePosixPath(), rules))


def _walk(root: Path, folder: PurePosixPath, rules: list[Rule]) -> Iterator[PurePosixPath]:
    for entry in (root / folder).iterdir():
        left_out = False
        for rule in rules:  # the last one that fits decides
            fits = fnmatch.fnmatchcase(entry.name, rule.glob)
            if fits and (entry.is_dir() or not rule.folder) and not (rule.top and folder.parts):
                left_out = not rule.taken_in
        if left_out:
            continue
        if entry.is_dir():
            yield from _walk(root, folder / entry.name, rules)
        else:
            yield folder / entry.name


def download(requirements: Path, target: Path) -> None:
    """Puts the wheels of all dependencies, as Azure needs them, into the folder `target`.

    Downloaded and not installed, because pip installs only for the Python it runs under.

    Raises:
        PackageError: pip is missing or failed; the message holds the end of its output.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", PYTHON_VERSION, "--dest", str(target)]
    command += [part for platform in PLATFORMS for part in ("--platform", platform)]
    command += ["--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
    if done.returncode != 0:
        hint = ""
        if "No module named pip" in done.stderr:
            hint = ": this Python has no pip; use another one, or python3 -m ensurepip"
        tail = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise PackageError(f"pip could not download the dependencies{hint}\n{tail}")


def unpack(wheel: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Files of a wheel where Python looks for them, below site-packages.

    Binary distribution format (packaging.python.org): a wheel is a zip; of its `.data` folder
    purelib and platlib belong into site-packages, scripts and headers are of no use here.
    """
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if path.parts[0].endswith(".data"):
                if path.parts[1] not in ("purelib", "platlib"):
                    continue
                path = PurePosixPath(*path.parts[2:])
            if not name.endswith("/"):
                yield path, archive.read(name)


def build(root: Path, output: Path) -> Path:
    """Writes the package of the app in `root` to `output` and returns its path.

    Raises:
        PackageError: pip failed, or a dependency hides a package of the app.
    """
    files = app_files(root)
    entries = [(path, (root / path).read_bytes()) for path in files]
    with tempfile.TemporaryDirectory() as scratch:
        download(root / "requirements.txt", Path(scratch))
        dependencies = dict(
            item for wheel in sorted(Path(scratch).glob("*.whl")) for item in unpack(wheel)
        )
    own = {path.parts[0] for path in files if len(path.parts) > 1}
    hidden = sorted(own & {path.parts[0] for path in dependencies})
    if hidden:
        # On Flex Consumption dependencies come before the app on the search path.
        raise PackageError(f"a dependency brings a package named like ours: {hidden}")
    entries += [(SITE_PACKAGES / path, data) for path, data in dependencies.items()]
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as archive:
        for path, data in sorted(entries):
            info = zipfile.ZipInfo(path.as_posix(), _ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, so that the mode counts wherever it was built
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)
    return partial.replace(output)


def main(arguments: list[str] | None = None) -> int:
    """Builds the package and says where it is; 1 and one message when that fails."""
    parser = argparse.ArgumentParser(prog="local.package", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "photo-sync.zip")
    output = parser.parse_args(arguments).output
    try:
        built = build(ROOT, output)
    except (PackageError, OSError) as problem:
        print(f"local.package: {problem}", file=sys.stderr)
        return 1
    print(f"{built} ({built.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
