"""`make start`: tenant, storage and functions on port 7071, for `curl`, until Ctrl-C."""

import argparse
import sys
from collections.abc import Sequence
from urllib.parse import quote

from local.support.arguments import port, positive
from local.support.azurite import AzuriteFailed
from local.support.stack import Stack, StackFailed, end_on_sigterm
from local.support.terminal import bold

_PORT = 7071


def main(arguments: Sequence[str] | None = None) -> int:
    """Start everything, say how to call it, and wait until it ends; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.start", description=__doc__)
    parser.add_argument("--users", type=positive, default=500, help="people in the tenant (500)")
    parser.add_argument("--seed", type=int, default=1, help="of people and photos (1)")
    parser.add_argument("--port", type=port, default=_PORT, help=f"of the functions ({_PORT})")
    options = parser.parse_args(arguments)
    end_on_sigterm()
    settings = {"RUN_INTERVAL_HOURS": "0"}
    print("Starting the tenant, Azurite and the functions: about 10 seconds ...", flush=True)
    try:
        with Stack(
            users=options.users, seed=options.seed, port=options.port, settings=settings
        ) as stack:
            print(_help(stack), flush=True)
            stack.wait()
    except (AzuriteFailed, StackFailed, OSError) as error:
        print(f"make start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; nothing is kept.")
    return 0


def _help(stack: Stack) -> str:
    upn = next(iter(stack.tenant.directory.people.values())).upn
    function = f"-H 'x-functions-key: {stack.keys.function}'"
    master = f"-H 'x-functions-key: {stack.keys.master}' -H 'content-type: application/json'"
    people = len(stack.tenant.directory.people)
    return f"""
{bold("Photo Sync runs on " + stack.url)}, with an emulated tenant of {people} people.

The nightly sync, now:
  curl -X POST {master} -d '{{"input":""}}' {stack.url}/admin/functions/SyncTimer

How far it is, or the report of the last one:
  curl {function} {stack.url}/api/sync

One person, at once:
  curl -X POST {function} {stack.url}/api/sync/{quote(upn)}

The two pages, in a browser, as whoever you choose to be:
  {stack.url}/api/portal
  {stack.url}/api/portal/helpdesk

Ctrl-C ends it.
"""


if __name__ == "__main__":
    sys.exit(main())
