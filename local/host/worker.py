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
import logging
import os
import sys
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import azure_functions_runtime_v1 as runtime
from azure_functions_runtime_v1 import loader, native_invocation
from azure_functions_runtime_v1.bindings.datumdef import Datum

from local.host.function_json import Function, read_functions
from local.host.host_log import HostLog
from local.host.http_message import HttpAnswer

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
    """The app cannot be run here; the message says why."""


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


class Worker:
    """The functions of one app, loaded and ready to be invoked from any thread.

    One at a time in a process, because the library's state is global.

    Args:
        app_root: the folder with `host.json`.
        log: where log records of the functions go; one that only keeps them when omitted.

    Attributes:
        functions: the app's functions, as `function.json` describes them, by name.
        refused: for each function that the host leaves out, why.
        errors: for each function that the worker library could not load, its own words; every
            invocation of it fails.
        log: what the host heard and dropped of the log.

    Raises:
        local.host.function_json.AppError: there is no app of the v1 model.
    """

    def __init__(self, app_root: Path, *, log: HostLog | None = None) -> None:
        self._root = app_root.resolve()
        self.functions, self.refused = read_functions(self._root)
        self.errors: dict[str, str] = {}
        self.log = log or HostLog()
        self._ids: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._path_before: list[str] = []

    def start(self) -> Self:
        """Start the library and load every function.

        Raises:
            LoadFailed: another package called `shared` was imported instead of the app's.
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
        logging.getLogger().addHandler(self.log)
        try:
            _start_thread_pool()
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
        logging.getLogger().removeHandler(self.log)
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
            self.errors[function.name] = f"{exception.message}\n{exception.stack_trace}"
            return
        self._ids[function.name] = identifier

    def _check_shared(self) -> None:
        if not (self._root / "shared").is_dir():
            return
        found = Path(importlib.import_module("shared").__file__ or "").resolve()
        if not found.is_relative_to(self._root):
            raise LoadFailed(f"shared was imported from {found}, not from the app")

    def _invoke(self, name: str, value: Any) -> Any:
        if name in self.errors:
            raise InvocationFailed(name, "the worker could not load it", self.errors[name])
        function = next(function for function in self.functions if function.name == name)
        invocation = str(uuid.uuid4())
        arguments: tuple[Any, ...] = (
            invocation,
            self._ids[name],
            [(function.trigger.name, value)],
            {},
        )
        with self.log.invocation(invocation, name):
            try:
                known, succeeded, answer, _outputs, error, trace = (
                    native_invocation.run_invocation_sync(*arguments)
                )
                if not known:  # an `async def`
                    succeeded, answer, _outputs, error, trace = self._wait(
                        native_invocation.invocation_request_native(*arguments)
                    )
            except SystemExit as error_:  # ends the worker process in Azure
                raise InvocationFailed(name, repr(error_), "") from error_
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


def _start_thread_pool() -> None:
    """Start the library's threads: 1,000, as the host sets it where no setting does."""
    name = "PYTHON_THREADPOOL_THREAD_COUNT"
    given = os.environ.get(name)
    os.environ.setdefault(name, "1000")
    try:
        runtime.start_threadpool_executor()
    finally:
        if given is None:
            del os.environ[name]


def _strings(values: Mapping[str, str] | None) -> dict[str, Any]:
    return {key: Datum(value, "string") for key, value in (values or {}).items()}


def _bytes(datum: Any) -> bytes:
    value = datum.value or b""
    return value.encode() if isinstance(value, str) else bytes(value)
