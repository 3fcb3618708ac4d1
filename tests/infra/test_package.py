"""The deployment package: only the app and its dependencies, and it runs as in Azure."""

import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local import package
from local.package import PackageError, app_files, build, read_rules
from tests.infra.tools import ROOT

IS_TARGET = (sys.platform, platform.machine(), sys.version_info[:2]) == (
    "linux",
    "x86_64",
    (3, 13),
)

# Runs in a process of its own, without this environment's packages: what is not in the package
# cannot be imported. `tools` holds a copy of local/, so that the repository is not on the path.
LOAD = """
import sys
from pathlib import Path
app, tools = Path(sys.argv[1]), Path(sys.argv[2])
sys.path[:0] = [str(app / ".python_packages/lib/site-packages")]
sys.path.append(str(tools))
from local.host.worker import Worker
with Worker(app) as worker:
    print(*sorted(function.name for function in worker.functions))
import PIL.Image, azure.identity, azure.storage.blob, msal, requests, shared
outside = (app, tools, Path(sys.base_prefix))
for name, module in sorted(sys.modules.items()):
    file = getattr(module, "__file__", None)
    if file and not any(Path(file).resolve().is_relative_to(p.resolve()) for p in outside):
        print("not from the package:", name, file)
print(Path(shared.__file__).resolve().is_relative_to(app.resolve()))
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A small app beside things that must not be deployed."""
    root = tmp_path / "app"
    for name in (
        "host.json",
        "requirements.txt",
        "SyncTimer/__init__.py",
        "SyncTimer/function.json",
        "shared/core.py",
        "shared/portal/html/page.html",
        "shared/portal/assets/page.js",
        "shared/portal/i18n/fi.json",
        "shared/__pycache__/core.cpython-313.pyc",
        "shared/stale.pyc",
        "shared/notes.md",
        "local.settings.json",
        ".env",
        "secrets.txt",
        "tests/test_core.py",
        "local/demo.py",
        "infra/main.bicep",
        ".git/config",
        ".venv/lib/x.py",
        ".python_packages/lib/site-packages/old.py",
    ):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name, "utf-8")
    shutil.copy(ROOT / ".funcignore", root)
    return root


def fake_download(requirements: Path, target: Path) -> None:
    """A wheel with every kind of content."""
    assert requirements.name == "requirements.txt"
    with zipfile.ZipFile(target / "requests-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("requests/__init__.py", "")
        wheel.writestr("requests-1.dist-info/RECORD", "requests/__init__.py,,")
        wheel.writestr("requests-1.data/purelib/extra.py", "")
        wheel.writestr("requests-1.data/scripts/tool", "#!python")


def names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as file:
        return file.namelist()


def test_only_the_app_is_deployed(app: Path) -> None:
    """No settings file, no secret, no test, no tool and no compiled file gets into the package."""
    assert [path.as_posix() for path in app_files(app)] == [
        "SyncTimer/__init__.py",
        "SyncTimer/function.json",
        "host.json",
        "requirements.txt",
        "shared/core.py",
        "shared/portal/assets/page.js",
        "shared/portal/html/page.html",
        "shared/portal/i18n/fi.json",
    ]


def test_a_new_file_beside_the_app_stays_out(app: Path) -> None:
    """The file is a list of what goes in: what nobody thought of stays out."""
    (app / "customers.csv").write_text("", "utf-8")
    (app / "exports").mkdir()
    (app / "exports" / "users.json").write_text("", "utf-8")
    tops = {path.parts[0] for path in app_files(app)}
    assert tops == {"SyncTimer", "host.json", "requirements.txt", "shared"}


def test_git_reads_the_file_alike(app: Path) -> None:
    """Func and azd read .funcignore as git reads .gitignore; so does the package builder."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    shutil.rmtree(app / ".git")
    shutil.rmtree(app / ".python_packages")
    shutil.copy(app / ".funcignore", app / ".gitignore")
    git = ["git", "-C", str(app)]
    subprocess.run([*git, "init", "--quiet"], check=True)  # noqa: S603 - fixed arguments
    command = [*git, "ls-files", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert listed.stdout.splitlines() == [path.as_posix() for path in app_files(app)]


def test_a_rule_of_another_form_is_refused() -> None:
    """A line that this program would read otherwise than git stops the build."""
    with pytest.raises(PackageError, match=r"\.funcignore: write 'docs/\*\*/x'"):
        read_rules("*.md\ndocs/**/x\n")


def test_equal_input_gives_equal_bytes(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package can be told from another by its digest: no times, no order, no machine in it."""
    monkeypatch.setattr(package, "download", fake_download)
    first = build(app, app.parent / "first.zip").read_bytes()
    for path in app.rglob("*.py"):
        path.touch()
    assert build(app, app.parent / "second.zip").read_bytes() == first


def test_wheels_are_unpacked_where_python_looks(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules and metadata of a wheel go to site-packages; its scripts stay out."""
    monkeypatch.setattr(package, "download", fake_download)
    archive = build(app, app.parent / "x.zip")
    folder = ".python_packages/lib/site-packages/"
    assert {n.removeprefix(folder) for n in names(archive) if n.startswith(folder)} == {
        "extra.py",
        "requests-1.dist-info/RECORD",
        "requests/__init__.py",
    }


def test_a_dependency_named_like_ours_stops_the_build(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Flex Consumption it would be imported instead of ours, in Azure only."""

    def download(requirements: Path, target: Path) -> None:
        fake_download(requirements, target)
        with zipfile.ZipFile(target / "x-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("shared/__init__.py", "")

    monkeypatch.setattr(package, "download", download)
    with pytest.raises(PackageError, match=r"\['shared'\]"):
        build(app, app.parent / "x.zip")


def test_a_failed_build_says_why_and_leaves_no_package(
    app: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message with pip's own words, status 1, and no half package to deploy."""
    (app / "requirements.txt").write_text("not a requirement\n", "utf-8")
    monkeypatch.setattr(package, "ROOT", app)
    output = app.parent / "x.zip"
    assert package.main(["--output", str(output)]) == 1
    assert not output.exists()
    message = capsys.readouterr().err
    assert message.startswith("local.package: pip could not download the dependencies")
    assert "not a requirement" in message


@pytest.mark.skipif(not IS_TARGET, reason="the package is for Linux x86_64 and Python 3.13")
def test_the_package_runs_under_the_worker_library(tmp_path: Path) -> None:
    """Unpacked as in Azure, all functions load and every dependency comes from the package."""
    archive = build(ROOT, tmp_path / "photo-sync.zip")
    unpacked, tools = tmp_path / "wwwroot", tmp_path / "tools"
    with zipfile.ZipFile(archive) as file:
        file.extractall(unpacked)
    assert {path.name for path in unpacked.iterdir()} == {
        ".python_packages",
        "Portal",
        "SyncHttp",
        "SyncTimer",
        "host.json",
        "requirements.txt",
        "shared",
    }
    shutil.copytree(ROOT / "local", tools / "local", ignore=shutil.ignore_patterns("__pycache__"))
    # The worker alone: what serves HTTP needs a library that no app has.
    (tools / "local" / "host" / "__init__.py").write_text("")
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", "-c", LOAD, str(unpacked), str(tools)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Portal SyncHttp SyncTimer", "True"]
