"""How long answers take, and answers that trickle."""

import threading
from collections import Counter
from typing import Any

import pytest
import requests

from local.support.clock import VirtualClock
from local.tenant import Fault, Latency, Tenant, server


def test_no_latency_by_default() -> None:
    """Tests do not wait."""
    assert Latency().of("file.upload") == 0
    with Tenant(users=1) as tenant:
        assert tenant.latency is None


def test_times_of_real_size() -> None:
    """Uploads take 300 ms; one request in two hundred takes 5 s."""
    latency = Latency.real()
    times = Counter(latency.of("file.upload") for _ in range(20_000))
    assert set(times) == {0.3, 5.0}
    assert 60 <= times[5.0] <= 140
    quiet = Latency({"photo.batch": 0.25}, other=0.1)
    assert [quiet.of("photo.batch"), quiet.of("x")] == [0.25, 0.1]


def test_answers_take_their_time() -> None:
    """By the tenant's clock, and by operation; the tape has the times."""
    clock = VirtualClock()
    latency = Latency({"users.list": 2.0}, other=0.5)
    with Tenant(users=1, clock=clock, latency=latency) as tenant:
        requests.get(f"{tenant.url('graph')}/v1.0/users", timeout=10)
        requests.get(f"{tenant.url('graph')}/v1.0/users/x", timeout=10)
        tenant.latency = None
        requests.get(f"{tenant.url('graph')}/v1.0/users", timeout=10)
        taken = [entry.ended - entry.started for entry in tenant.tape.entries()]
    assert taken == pytest.approx([2.0, 0.5, 0.0])


def test_an_answer_that_trickles(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes byte after byte, and is whole in the end."""
    monkeypatch.setattr(server, "TRICKLE_SECONDS", 0.0001)
    with Tenant(users=1) as tenant:
        fault = tenant.faults.add(Fault("trickle", service="graph"))
        answer = requests.get(f"{tenant.url('graph')}/v1.0/users", timeout=10)
    assert (answer.status_code, fault.fired) == (401, 1)
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"


def test_a_tenant_stops_while_an_answer_trickles() -> None:
    """Nobody has to wait for the last byte."""
    tenant = Tenant(users=1).start()
    begun = threading.Event()
    tenant.faults.add(Fault("trickle", service="graph", action=begun.set))
    failures: list[Exception] = []

    def read() -> None:
        try:
            requests.get(f"{tenant.url('graph')}/v1.0/users", timeout=30)
        except requests.RequestException as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(10)
    tenant.stop()
    reader.join(10)
    assert not reader.is_alive()
    assert len(failures) == 1


@pytest.mark.parametrize("origin", ["mysite2", "admin2"])
def test_a_satellite_without_a_token(tenant: Tenant, token: Any, origin: str) -> None:
    """The identity endpoint has tokens for all hosts but those of the second geo."""
    assert token(tenant.url(origin)).status_code == 200
    tenant.quirks.second_geo_token = False
    assert token(tenant.url(origin)).status_code == 500
    assert token(tenant.url("mysite")).status_code == 200


def test_a_poisoned_user(tenant: Tenant) -> None:
    """Every batch that names the user fails as a whole, other requests do not."""
    person = next(iter(tenant.directory.people.values()))
    fault = tenant.faults.add(Fault.poison(person.id))
    url = f"{tenant.url('graph')}/v1.0"
    items = [{"id": "0", "method": "GET", "url": f"/users/{person.id}/photo"}]
    for _ in range(2):
        answer = requests.post(f"{url}/$batch", json={"requests": items}, timeout=10)
        assert answer.status_code == 500
    assert requests.get(f"{url}/users/{person.id}", timeout=10).status_code == 401
    assert fault.fired == 2
