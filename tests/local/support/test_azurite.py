"""The storage emulator starts by itself, tells how to reach it, and goes away."""

import base64
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

from local.support import azurite as azurite_module
from local.support.azurite import Azurite, AzuriteFailed


@pytest.fixture(scope="module")
def over_https() -> Iterator[Azurite]:
    """One emulator over https with bearer tokens, not started."""
    azurite = Azurite(https=True)
    yield azurite
    azurite.stop()


@pytest.fixture
def secure(over_https: Azurite) -> Azurite:
    """The same, running. It is not started for each test, because that takes more than a second."""
    running = over_https.certificate is not None and over_https.certificate.exists()
    return over_https if running else over_https.start()


class Credential:
    """Mints tokens of the shape Entra issues, unsigned: the emulator checks claims only."""

    def __init__(self, audience: str) -> None:
        self._audience = audience

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """A token for the audience."""
        now = int(time.time())
        claims = {
            "aud": self._audience,
            "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3600,
        }
        parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
        encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
        return AccessToken(".".join([*encoded, "c2ln"]), now + 3600)


def service(azurite: Azurite, audience: str) -> BlobServiceClient:
    """A client that signs in with a token of the audience."""
    return BlobServiceClient(
        azurite.blob_url,
        credential=Credential(audience),
        connection_verify=str(azurite.certificate),
        retry_total=0,
    )


def test_blobs_by_connection_string(azurite: Azurite) -> None:
    """Microsoft's SDK of today reads back what it wrote."""
    with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        container = client.create_container(f"photos-{uuid.uuid4()}")
        container.upload_blob("a", b"bytes")
        assert container.download_blob("a").readall() == b"bytes"


def test_blobs_by_token_over_https(secure: Azurite) -> None:
    with service(secure, "https://storage.azure.com") as client:
        container = client.create_container("photos")
        container.upload_blob("a", b"bytes")
        assert container.download_blob("a").readall() == b"bytes"


def test_token_of_another_audience_is_refused(secure: Azurite) -> None:
    with (
        service(secure, "https://graph.microsoft.com") as client,
        pytest.raises(HttpResponseError) as caught,
    ):
        client.create_container("others")
    assert caught.value.status_code == 403


def test_nothing_stays_behind(secure: Azurite, nobody_listens: Callable[[str], bool]) -> None:
    """After stop nobody listens, and the certificate's key is gone."""
    assert secure.certificate is not None
    folder = secure.certificate.parent
    assert folder.exists()
    secure.stop()
    secure.stop()
    assert not folder.exists()
    assert nobody_listens(secure.blob_url)


def test_dies_with_its_parent(nobody_listens: Callable[[str], bool]) -> None:
    """Also when the parent is killed and can clean up nothing."""
    program = (
        "from local.support.azurite import Azurite\n"
        "print(Azurite().start().blob_url, flush=True); input()"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        parent.kill()
    assert nobody_listens(url)


@pytest.mark.parametrize("content", [None, "process.exit(3)", "console.log('no licence')"])
def test_failure_to_start_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """A missing or dying program is one clear error with what it said."""
    script = tmp_path / "azurite.js"
    if content is not None:
        script.write_text(content)
    monkeypatch.setenv("AZURITE_BLOB", str(script))
    with pytest.raises(AzuriteFailed, match=r"AZURITE_BLOB|make setup") as caught:
        Azurite().start()
    assert content is None or "licence" not in content or "no licence" in str(caught.value)


def test_it_never_stops_to_collect_garbage() -> None:
    """Its collection, every ten minutes, answers nobody for a minute and more; see the module."""
    package = Path(azurite_module.__file__).parents[2] / "node_modules" / "azurite"
    constants = package / "dist" / "src" / "blob" / "utils" / "constants.js"
    assert "DEFAULT_GC_INTERVAL_MS = 10 * 60 * 1000;" in constants.read_text(encoding="utf-8")
    program = (
        "for (const time of [600000, 599999]) {"
        "const timer = setTimeout(() => {}, time); console.log(timer._idleTimeout); timer.unref();}"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        ["node", "--import", azurite_module._BEFORE_START, "--eval", program],  # noqa: S607
        input="",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(2**31 - 1), "599999"]
