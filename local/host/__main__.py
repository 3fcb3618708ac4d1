"""`python -m local.host --port 7071` runs the app of this folder until Ctrl-C.

`LOCAL_FUNCTION_KEY` and `LOCAL_MASTER_KEY` set the keys; otherwise fresh ones are printed.
`LOCAL_SIGN_IN` and `LOCAL_SIGN_IN_MODE` put a sign-in layer in front: see `local.host.sign_in`.
"""

import argparse
import errno
import json
import logging
import os
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from local.host import storage_watch
from local.host.authorization import Keys
from local.host.function_json import AppError
from local.host.host_log import HostLog
from local.host.server import Host
from local.host.sign_in import from_environment
from local.host.worker import LoadFailed, Worker
from local.support.arguments import port

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_log = logging.getLogger("local.host")


def load_local_settings(root: Path) -> None:
    """Put `Values` of local.settings.json into the environment, which wins where both speak.

    Raises:
        ValueError: the file is no JSON object with texts under `Values`.
    """
    path = root / "local.settings.json"
    if not path.exists():
        return
    try:
        values = json.loads(path.read_text(encoding="utf-8")).get("Values", {})
        for name, value in values.items():
            os.environ.setdefault(name, value)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f'{path.name}: expected {{"Values": {{name: text}}}} ({error})') from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the host until Ctrl-C; returns the exit status when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--port", type=port, default=7071, help="0: any free one")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="folder with host.json")
    parser.add_argument("--schedule", action="store_true", help="fire timers when they are due")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input closes")
    options = parser.parse_args(arguments)
    log = _host_log()
    fresh = Keys.generate()
    # popped, so that the functions cannot see them, as they cannot in Azure
    function, master = (os.environ.pop(f"LOCAL_{name}_KEY", "") for name in ("FUNCTION", "MASTER"))
    keys = Keys(function or fresh.function, master or fresh.master)
    try:
        load_local_settings(options.root)
        worker = Worker(options.root, log=log).start()
        layer = from_environment(os.environ)
        host = Host(
            worker,
            options.root,
            os.environ,
            keys=keys,
            port=options.port,
            in_front=layer.handle if layer else None,
        )
        # The name under which the platform's front end knows the app.
        os.environ["WEBSITE_HOSTNAME"] = host.url.removeprefix("http://")
        host.start()
    except (AppError, LoadFailed, OSError, ValueError) as error:
        print(f"The functions host cannot start: {_reason(error, options.port)}", file=sys.stderr)
        return 1
    print(f"Functions host on {host.url}", flush=True)
    if not function:
        print(f"  function key  {keys.function}", flush=True)
    if not master:
        print(f"  master key    {keys.master}", flush=True)
    if options.schedule:
        host.follow_schedules()
    threading.Thread(target=_end_without_storage, daemon=True).start()
    try:
        if options.until_eof:
            sys.stdin.read()
        else:
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    _end(0)
    return 0


def _host_log() -> HostLog:
    output = logging.StreamHandler()
    output.setFormatter(logging.Formatter(_FORMAT))
    # the worker in Azure sets the root logger to INFO too
    logging.getLogger().setLevel(logging.INFO)
    # The worker library's own log; Azure keeps it apart too, and failures are logged by the host.
    logging.getLogger("azure.functions").setLevel(logging.CRITICAL)
    return HostLog(output)


def _reason(error: Exception, taken: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {taken} is taken; end what uses it, or choose another one with --port"
    return str(error)


def _end_without_storage() -> None:
    url = storage_watch.storage_url(os.environ)
    if url is None:
        return
    storage_watch.watch(partial(storage_watch.accepts_connections, url))
    _log.critical("Storage at %s has refused for half a minute: the host ends, as in Azure", url)
    _end(1)


def _end(status: int) -> None:
    """As in Azure nobody waits for invocations or says goodbye to them."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
