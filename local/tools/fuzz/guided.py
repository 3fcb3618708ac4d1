"""One target under Atheris (libFuzzer), in a process of its own, which libFuzzer ends.

`python -m local.tools.fuzz.guided <target> <corpus> [<option of libFuzzer> …]`. Inputs that reach
new code are kept in the corpus. With a file instead of a corpus only that input is fed.
"""

import importlib
import sys

import atheris

_LIMIT_SECONDS = 3.0
"""CPU time for one input: more than without instrumentation."""


def main() -> None:
    """Fuzz until libFuzzer's limit or a fault ends the process."""
    name, *options = sys.argv[1:]
    # The program's own code and Pillow's file formats; imported here for the first time.
    with atheris.instrument_imports(include=["shared", "PIL"], enable_loader_override=False):
        targets = importlib.import_module("local.tools.fuzz.targets")
    from local.tools.fuzz.target import byte_feeder  # noqa: PLC0415 - after the instrumentation

    chosen = next(target for target in targets.TARGETS if target.name == name)
    atheris.Setup([sys.argv[0], *options], byte_feeder(chosen, _LIMIT_SECONDS))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
