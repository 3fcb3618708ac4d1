"""Functions run here as Microsoft's worker library runs them in Azure."""

import copy
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.host import AppError, InvocationFailed, LoadFailed, Worker

WriteApp = Callable[..., Path]
Bindings = list[dict[str, object]]

URL = "http://127.0.0.1/api/echo/a"
SLOW = """
import threading
import azure.functions as func

both = threading.Barrier(2, timeout=20)

def main(req: func.HttpRequest) -> str:
    both.wait()
    return "met"
"""


def test_http_function_receives_and_answers(app: Path) -> None:
    """Method, route, query, headers and body arrive; status, headers and body come back."""
    with Worker(app) as worker:
        answer = worker.invoke_http(
            "Echo",
            method="POST",
            url=URL,
            headers={"x-a": "1"},
            route_params={"user": "a"},
            query={"force": "true"},
            body=b"\x00body",
        )
    seen = json.loads(answer.body)
    assert (answer.status, answer.headers["x-own"]) == (207, "1")
    assert answer.headers["content-type"] == "application/json"
    assert seen["function"] == "Echo"
    assert (seen["method"], seen["route"], seen["query"]) == (
        "POST",
        {"user": "a"},
        {"force": "true"},
    )
    assert (seen["headers"]["x-a"], seen["body"]) == ("1", "\x00body")


@pytest.mark.parametrize(("past_due", "seen"), [(True, "past due"), (False, "on time")])
def test_timer_function_is_told_whether_it_is_late(app: Path, past_due: bool, seen: str) -> None:
    with Worker(app) as worker:
        worker.invoke_timer("Tick", past_due=past_due)
    assert (app / "Tick" / "fired.txt").read_text() == seen


def test_text_answer_is_200(write_app: WriteApp, http_bindings: Bindings) -> None:
    root = write_app({"Text": (http_bindings, "def main(req) -> str:\n    return 'hällo'\n")})
    with Worker(root) as worker:
        answer = worker.invoke_http("Text", url=URL)
    assert (answer.status, answer.body.decode()) == (200, "hällo")


def test_exception_of_a_function_is_evidence(app: Path) -> None:
    """A raising function costs one invocation: error and traceback are kept, the next one works."""
    with Worker(app) as worker:
        with pytest.raises(InvocationFailed, match="broken on purpose") as caught:
            worker.invoke_http("Echo", url=URL, query={"raise": "1"})
        assert worker.invoke_http("Echo", url=URL).status == 207
    assert 'raise RuntimeError("broken on purpose")' in caught.value.trace


@pytest.mark.parametrize("answer", ["None", "{}"])
def test_answer_that_is_no_http_response_fails(
    write_app: WriteApp, http_bindings: Bindings, answer: str
) -> None:
    """The worker refuses what Azure refuses to encode."""
    root = write_app({"Odd": (http_bindings, f"def main(req):\n    return {answer}\n")})
    with Worker(root) as worker, pytest.raises(InvocationFailed):
        worker.invoke_http("Odd", url=URL)


def test_invocations_run_at_the_same_time(write_app: WriteApp, http_bindings: Bindings) -> None:
    """Two calls that wait for each other both return."""
    root = write_app({"Meet": (http_bindings, SLOW)})
    with Worker(root) as worker, ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(worker.invoke_http, "Meet", url=URL) for _ in range(2)]
        assert [call.result().body for call in calls] == [b"met", b"met"]


def test_shared_comes_from_the_app(write_app: WriteApp, http_bindings: Bindings) -> None:
    """A package of the same name found earlier on the path is an error, not a surprise."""
    root = write_app({"Http": (http_bindings, "def main(req) -> str:\n    return ''\n")})
    (root / "shared").mkdir()
    (root / "shared" / "__init__.py").write_text("")
    import shared  # the project's own, which is another app's here

    assert not Path(shared.__file__ or "").is_relative_to(root)
    with pytest.raises(LoadFailed, match="not from the app"):
        Worker(root).start()
    assert str(root) not in sys.path


def test_app_root_is_searched_last(app: Path) -> None:
    """As on Flex Consumption; afterwards the search path is as before."""
    before = sys.path[:]
    with Worker(app):
        assert sys.path[-1] == str(app)
    assert sys.path == before


def test_one_worker_at_a_time(app: Path) -> None:
    """The library's state is global, so a second worker is refused until the first has stopped."""
    with Worker(app), pytest.raises(RuntimeError, match="already running"):
        Worker(app).start()
    with Worker(app) as worker:
        assert worker.invoke_http("Echo", url=URL).status == 207


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def main(request): return ''", "declared in Python but not in function.json"),
        ("def other(req): return ''", "is not present"),
        ("import no_such_module", "no_such_module"),
        ("def main(req, context: int): return ''", "type azure.functions.Context"),
    ],
)
def test_function_that_cannot_be_loaded_fails_alone(
    write_app: WriteApp, http_bindings: Bindings, source: str, message: str
) -> None:
    """Signature and import errors are kept in the library's own words; each invocation fails."""
    good = copy.deepcopy(http_bindings)
    sources = {"Bad": (http_bindings, source), "Good": (good, "def main(req) -> str: return ''")}
    with Worker(write_app(sources)) as worker:
        assert message in worker.errors["Bad"]
        with pytest.raises(InvocationFailed):
            worker.invoke_http("Bad", url=URL)
        assert worker.invoke_http("Good", url=URL).status == 200


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "my_req"}, "not letters and digits"),
        ({"direction": "inout"}, "no direction"),
        ({"type": "http"}, "exactly one trigger"),
        ({"authLevel": "user"}, "authLevel 'user'"),
        ({"name": "$return"}, "share a name"),
        ({"methods": "get"}, "methods must be a list"),
    ],
)
def test_bindings_that_the_host_refuses(
    write_app: WriteApp, http_bindings: Bindings, change: dict[str, object], problem: str
) -> None:
    """A function.json that breaks a rule leaves its function out, and no other."""
    good = copy.deepcopy(http_bindings)
    http_bindings[0] |= change
    root = write_app({"Bad": (http_bindings, ""), "Good": (good, ""), "host": (good, "")})
    worker = Worker(root)
    assert problem in worker.refused["Bad"]
    assert "no valid function name" in worker.refused["host"]
    assert [function.name for function in worker.functions] == ["Good"]


def test_function_app_py_is_refused(app: Path) -> None:
    """Its mere presence would turn the app into one of the v2 model, without functions."""
    (app / "function_app.py").write_text("")
    with pytest.raises(AppError, match=r"function_app\.py"):
        Worker(app)


ASYNC = """
import azure.functions as func

async def main(req: func.HttpRequest) -> str:
    return "async"
"""


def test_async_function_is_awaited(write_app: WriteApp, http_bindings: Bindings) -> None:
    """Functions may be coroutines."""
    with Worker(write_app({"Async": (http_bindings, ASYNC)})) as worker:
        assert worker.invoke_http("Async", url=URL).body == b"async"


def test_function_that_exits_fails_and_the_worker_lives(
    write_app: WriteApp, http_bindings: Bindings
) -> None:
    """In Azure the worker is replaced; here only the invocation fails."""
    root = write_app({"Exit": (http_bindings, "import sys\n\ndef main(req) -> str: sys.exit(3)")})
    with Worker(root) as worker:
        for _ in range(2):
            with pytest.raises(InvocationFailed, match="SystemExit"):
                worker.invoke_http("Exit", url=URL)
