"""Run an emulated tenant: `python -m local.tenant --users 500`."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from local.tenant.latency import Latency
from local.tenant.quirks import Quotas
from local.tenant.tenant import ORIGINS, Tenant


def ports(text: str) -> dict[str, int]:
    """Parse `graph=7101,mysite=7102`.

    Raises:
        ValueError: no known origin, or no port number.
    """
    found = {}
    for part in text.split(","):
        origin, _, number = part.partition("=")
        if origin not in ORIGINS or not 0 <= int(number) <= 65535:  # noqa: PLR2004 - ports
            raise ValueError(part)
        found[origin] = int(number)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Start a tenant, print its settings, and serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m local.tenant", description=__doc__)
    parser.add_argument("--users", type=int, default=50, help="number of people (50)")
    parser.add_argument("--seed", type=int, default=1, help="of people and photos (1)")
    parser.add_argument("--plain", action="store_true", help="only ordinary people")
    parser.add_argument("--quotas", choices=("none", "small", "large", "real"), default="none")
    parser.add_argument("--latency", action="store_true", help="answers take times of real size")
    parser.add_argument("--ports", type=ports, default={}, metavar="graph=7101,mysite=7102,…")
    parser.add_argument("--print-settings", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    quotas = {
        "none": Quotas(),
        "small": Quotas.smallest_tenant(),
        "large": Quotas.largest_tenant(),
        "real": Quotas.for_licences(options.users),
    }[options.quotas]
    tenant = Tenant(
        users=options.users,
        seed=options.seed,
        plain=options.plain,
        quotas=quotas,
        ports=options.ports,
        latency=Latency.real() if options.latency else None,
    )
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: tenant.quit.set())
    with tenant:
        settings = tenant.settings() | {
            "CONTROL_URL": f"{tenant.url('identity')}/control",
            "LOGIN_CERTIFICATE": str(tenant.certificate),
        }
        text = json.dumps(settings, indent=1)
        if options.print_settings:
            # Renamed into place, so that nobody reads half of it.
            draft = options.print_settings.with_suffix(f".{os.getpid()}.tmp")
            draft.write_text(text)
            draft.replace(options.print_settings)
        print(text, flush=True)
        tenant.quit.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
