"""`python -m local.host` as another process sees it."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]
SCHEDULE = {"TICK_SCHEDULE": "0 0 2 * * *"}
# Nobody listens there, which the host bears for half a minute.
STORAGE = {"AzureWebJobsStorage": "AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:9/a"}


def run(app: Path, *options: str, **settings: str) -> subprocess.Popen[str]:
    """The host over an app, on a free port, ending when its input is closed."""
    command = [sys.executable, "-m", "local.host", "--root", str(app), "--port", "0"]
    return subprocess.Popen(  # noqa: S603 - our own command line
        [*command, "--until-eof", *options],
        cwd=ROOT,
        env=os.environ | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_tells_address_and_keys_and_ends_with_its_input(app: Path) -> None:
    """Fresh keys are printed once and open the functions."""
    with run(app, **SCHEDULE) as host:
        assert host.stdout is not None
        url = host.stdout.readline().split()[-1]
        keys = [host.stdout.readline().split()[-1] for _ in range(2)]
        for key in keys:
            headers = {"x-functions-key": key}
            assert requests.get(f"{url}/api/echo", headers=headers, timeout=20).status_code == 207
        said, logged = host.communicate(timeout=20)
    assert host.returncode == 0
    assert all(key not in said + logged for key in keys)


def test_given_keys_are_not_printed(app: Path) -> None:
    """Nor can the functions see them."""
    keys = {"LOCAL_FUNCTION_KEY": "given-function", "LOCAL_MASTER_KEY": "given-master"}
    (app / "Echo" / "__init__.py").write_text(
        "import os\n"
        "def main(req) -> str:\n"
        "    return ' '.join(name for name in os.environ if name.startswith('LOCAL_'))\n"
    )
    with run(app, **SCHEDULE, **keys) as host:
        assert host.stdout is not None
        url = host.stdout.readline().split()[-1]
        headers = {"x-functions-key": "given-function"}
        answer = requests.get(f"{url}/api/echo", headers=headers, timeout=20)
        said, logged = host.communicate(timeout=20)
    assert (answer.status_code, answer.text) == (200, "")
    assert "given" not in said + logged


def test_failure_of_a_function_is_logged_with_its_traceback(app: Path) -> None:
    with run(app, **SCHEDULE, LOCAL_MASTER_KEY="m", LOCAL_FUNCTION_KEY="f") as host:
        assert host.stdout is not None
        url = host.stdout.readline().split()[-1]
        headers = {"x-functions-key": "f"}
        answer = requests.get(f"{url}/api/echo?raise=1", headers=headers, timeout=20)
        _, logged = host.communicate(timeout=20)
    assert answer.status_code == 500
    assert re.search(r"ERROR local\.host Echo failed(?s:.*)RuntimeError: broken on purpose", logged)


@pytest.mark.parametrize("settings", [{}, {"TICK_SCHEDULE": "nightly"}])
def test_function_in_error_is_named_in_the_log(app: Path, settings: dict[str, str]) -> None:
    """The host runs all the same, as in Azure."""
    with run(app, **settings) as host:
        assert host.stdout is not None
        assert "Functions host on http://" in host.stdout.readline()
        _, logged = host.communicate(timeout=20)
    assert host.returncode == 0
    assert "ERROR local.host The 'Tick' function is in error" in logged


def test_host_that_cannot_start_says_why(tmp_path: Path) -> None:
    """One line on standard error, exit status 1."""
    with run(tmp_path) as host:
        _, said = host.communicate(timeout=20)
    assert host.returncode == 1
    assert said.startswith("The functions host cannot start: no function.json one level under")
    assert "Traceback" not in said


def test_taken_port_is_one_line_with_the_remedy(app: Path) -> None:
    """Which port, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with run(app, "--port", str(port), **SCHEDULE) as host:
            _, said = host.communicate(timeout=20)
    assert host.returncode == 1
    assert f"port {port} is taken; end what uses it, or choose another one with --port" in said
    assert "Traceback" not in said


def test_schedule_fires_timers(app: Path) -> None:
    """With --schedule the timer runs when its time comes."""
    with run(app, "--schedule", TICK_SCHEDULE="* * * * * *", **STORAGE) as host:
        assert host.stderr is not None
        assert any("Executed Tick" in line for line in host.stderr)
    assert (app / "Tick" / "fired.txt").read_text() == "on time"
