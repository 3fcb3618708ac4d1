"""Runs v1 functions in this process under Microsoft's own worker library.

In Azure a proxy process speaks gRPC with the host and hands every message to
`azure_functions_runtime_v1`. That library takes plain objects and builds its answers through a
`protos` module given to it, so small stand-ins replace the gRPC classes, as Microsoft's native
worker does. What it does with the functions (import, signature checks, decoding, thread pool,
encoding) is therefore what happens in Azure.
"""

import asyncio
import importlib
import json
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import azure_functions_runtime_v1 as runtime
from azure_functions_runtime_v1 import loader, native_invocation
from azure_functions_runtime_v1.bindings.datumdef import Datum

from local.host.function_json import Function, read_functions

_NAMESPACE = "__app__"  # the package the worker library imports functions under
_only_one = threading.Lock()  # the library keeps registry and thread pool in module globals


class _Message(SimpleNamespace):
    """Stands in for any protobuf message the library only fills in."""


class _StatusResult(_Message):
    Failure, Success = 0, 1


class _BindingInfo(_Message):
    undefined, out, inout = 0, 1, 2


class _Protos:
    StatusResult, BindingInfo = _StatusResult, _BindingInfo
    WorkerInitResponse = WorkerMetadata = FunctionMetadataResponse = _Message
    FunctionLoadResponse = InvocationResponse = RpcException = _Message


class LoadFailed(Exception):
    """The worker library refused a function; the message is its own."""


class InvocationFailed(Exception):
    """A function raised, or returned what cannot be sent.

    Attributes:
        error: the exception as text.
        trace: its traceback.
    """

    def __init__(self, name: str, error: str, trace: str) -> None:
        self.error = error
        self.trace = trace
        super().__init__(f"{name}: {error}\n{trace}")


@dataclass(frozen=True)
class HttpAnswer:
    """What an HTTP function answered; cookies are not carried.

    Attributes:
        status: HTTP status.
        headers: as the function named them.
        body: bytes.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Worker:
    """The functions of one app, loaded and ready to be invoked from any thread.

    One at a time in a process, because the library's state is global.

    Args:
        app_root: the folder with `host.json`.

    Attributes:
        functions: the app's functions, as `function.json` describes them.

    Raises:
        local.function_json.AppError: a rule of the host is broken.
    """

    def __init__(self, app_root: Path) -> None:
        self._root = app_root.resolve()
        self.functions: tuple[Function, ...] = tuple(read_functions(self._root))
        self._ids: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._path_before: list[str] = []

    def start(self) -> Self:
        """Start the library and load every function.

        Raises:
            LoadFailed: a function cannot be imported, or disagrees with its function.json.
            RuntimeError: another worker is running in this process.
        """
        if not _only_one.acquire(blocking=False):
            raise RuntimeError("a worker is already running in this process")
        self._path_before = sys.path[:]
        # Last, as on Flex Consumption: a dependency's package named like one of ours would win
        # there, so it has to win here too.
        sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != self._root]
        sys.path.append(str(self._root))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="worker", daemon=True)
        self._thread.start()
        try:
            runtime.start_threadpool_executor()
            self._call(
                "worker_init_request", capabilities={}, function_app_directory=str(self._root)
            )
            self._call("functions_metadata_request")
            for function in self.functions:
                self._load(function)
            self._check_shared()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Wait for running invocations, then forget the app's modules."""
        runtime.stop_threadpool_executor()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for name in [n for n in sys.modules if n.partition(".")[0] == _NAMESPACE]:
            del sys.modules[name]
        loader._submodule_dirs.clear()  # noqa: SLF001 - the library has no way to unload an app
        sys.path[:] = self._path_before
        _only_one.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def invoke_http(
        self,
        name: str,
        *,
        method: str = "GET",
        url: str,
        headers: Mapping[str, str] | None = None,
        route_params: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> HttpAnswer:
        """Call an HTTP function and wait for its answer.

        Raises:
            InvocationFailed: the function raised; the host answers 500 with an empty body.
        """
        request = Datum(
            {
                "method": Datum(method, "string"),
                "url": Datum(url, "string"),
                "headers": _strings(headers),
                "params": _strings(route_params),
                "query": _strings(query),
                "body": Datum(body, "bytes"),
            },
            "http",
        )
        answer = self._invoke(name, request)
        if answer is None:
            return HttpAnswer(204)
        if answer.type == "string":
            return HttpAnswer(200, {"content-type": "text/plain; charset=utf-8"}, _bytes(answer))
        return HttpAnswer(
            int(answer.value["status_code"].value),
            {key: value.value for key, value in answer.value["headers"].items()},
            _bytes(answer.value["body"]),
        )

    def invoke_timer(self, name: str, *, past_due: bool = False) -> None:
        """Fire a timer function and wait until it has returned.

        Raises:
            InvocationFailed: the function raised.
        """
        payload = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": None,
            "IsPastDue": past_due,
        }
        self._invoke(name, Datum(json.dumps(payload), "json"))

    def _load(self, function: Function) -> None:
        identifier = str(uuid.uuid4())
        directions = {"in": _BindingInfo.undefined, "out": _BindingInfo.out}
        metadata = _Message(
            name=function.name,
            directory=str(function.directory),
            script_file=str(function.script),
            entry_point=function.entry_point,
            bindings={
                binding.name: _BindingInfo(
                    type=binding.type, data_type=0, direction=directions[binding.direction]
                )
                for binding in function.bindings
            },
        )
        answer = self._call("function_load_request", function_id=identifier, metadata=metadata)
        if answer.result.status != _StatusResult.Success:
            exception = answer.result.exception
            raise LoadFailed(f"{function.name}: {exception.message}\n{exception.stack_trace}")
        self._ids[function.name] = identifier

    def _check_shared(self) -> None:
        if not (self._root / "shared").is_dir():
            return
        found = Path(importlib.import_module("shared").__file__ or "").resolve()
        if not found.is_relative_to(self._root):
            raise LoadFailed(f"shared was imported from {found}, not from the app")

    def _invoke(self, name: str, value: Any) -> Any:
        function = next(function for function in self.functions if function.name == name)
        coroutine = native_invocation.invocation_request_native(
            str(uuid.uuid4()), self._ids[name], [(function.trigger.name, value)], {}
        )
        succeeded, answer, _outputs, error, trace = self._wait(coroutine)
        if not succeeded:
            raise InvocationFailed(name, str(error), str(trace))
        return answer

    def _call(self, verb: str, **fields: Any) -> Any:
        message = _Message(
            properties={"protos": _Protos, "host": "127.0.0.1"},
            request=_Message(**{verb: _Message(**fields)}),
        )
        return self._wait(getattr(runtime, verb)(message))

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _strings(values: Mapping[str, str] | None) -> dict[str, Any]:
    return {key: Datum(value, "string") for key, value in (values or {}).items()}


def _bytes(datum: Any) -> bytes:
    value = datum.value or b""
    return value.encode() if isinstance(value, str) else bytes(value)
