"""What the program has to say, said in the thread that the Functions host listens to.

The host drops log records of threads that it did not start (observed with host 4.1037: a record
without a known invocation is lost). So no worker thread logs: it adds a message here, and the
thread of the invocation writes all of them.
"""

import logging
import threading
import traceback

_log = logging.getLogger("photo_sync")


class InvocationLog:
    """Messages of one invocation; any thread adds, the thread that made the log writes.

    A message that the owner adds is written at once, together with all that waited.
    """

    def __init__(self) -> None:
        self._owner = threading.get_ident()
        self._waiting: list[tuple[int, str]] = []
        self._lock = threading.Lock()

    def add(self, level: int, message: str, *, error: BaseException | None = None) -> None:
        """Say something.

        Args:
            level: of the module `logging`.
            message: complete text, without secrets.
            error: its traceback follows the message.
        """
        if error is not None:
            message += "\n" + "".join(traceback.format_exception(error)).rstrip()
        with self._lock:
            self._waiting.append((level, message))
        if threading.get_ident() == self._owner:
            self.write()

    def write(self) -> None:
        """Write what waits; in any other thread than the owner's this does nothing."""
        if threading.get_ident() != self._owner:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for level, message in waiting:
            _log.log(level, "%s", message)
