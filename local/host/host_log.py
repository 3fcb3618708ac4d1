"""The log of the functions as the Functions host keeps it.

The worker sends every record with the id of its invocation; the host drops a record whose
invocation it does not know. So what another thread logs is lost, unless that thread runs in a copy
of the invocation's context or sets the thread-local id (observed with host 4.1037, read in the
worker's source for Python 3.13).
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from azure_functions_runtime_v1.bindings.context import _invocation_id_local
from azure_functions_runtime_v1.utils.executor import invocation_id_cv

_KEPT_RECORDS = 1000
_HOST = ("local.host", "azure.functions", "azure_functions_runtime")


class HostLog(logging.Handler):
    """Takes records of all loggers; passes on those that an operator would see.

    Args:
        output: gets them; the logger's name becomes the host's category.

    Attributes:
        heard: the last records of running invocations.
        dropped: the last records that the host loses.
    """

    def __init__(self, output: logging.Handler | None = None) -> None:
        super().__init__()
        self.heard: deque[logging.LogRecord] = deque(maxlen=_KEPT_RECORDS)
        self.dropped: deque[logging.LogRecord] = deque(maxlen=_KEPT_RECORDS)
        self._output = output
        self._running: dict[str, str] = {}
        self._guard = threading.Lock()

    @contextmanager
    def invocation(self, invocation: str, function: str) -> Iterator[None]:
        """While this lasts, records of the invocation are known."""
        with self._guard:
            self._running[invocation] = function
        try:
            yield
        finally:
            with self._guard:
                del self._running[invocation]

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a record, or drop it."""
        if record.name.startswith(_HOST):
            self._pass_on(record)
            return
        invocation = invocation_id_cv.get() or getattr(_invocation_id_local, "invocation_id", None)
        with self._guard:
            function = self._running.get(invocation or "")
        if function is None:
            self.dropped.append(record)
            return
        self.heard.append(record)
        told = logging.makeLogRecord(record.__dict__)
        told.name = f"Function.{function}.User"
        self._pass_on(told)

    def _pass_on(self, record: logging.LogRecord) -> None:
        if self._output is not None:
            self._output.handle(record)
