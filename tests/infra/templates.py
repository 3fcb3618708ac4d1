"""Reads the Bicep files for the tests: parsed by pycep and by tree-sitter, both without Microsoft.

Neither is a compiler. What they cannot see (types, property names of resources) is compiled in
the CI workflow, where Microsoft's compiler is at hand.
"""

import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_bicep

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
FILES = {path.relative_to(INFRA).as_posix(): path for path in sorted(INFRA.rglob("*.bicep"))}
PARSE_TIMEOUT_SECONDS = 60  # pycep can hang on some input

_PARSE = """
import json, sys, pycep
files = json.loads(sys.argv[1])
parse = pycep.BicepParser().parse
parsed = {n: parse(text=open(p, encoding="utf-8").read()) for n, p in files.items()}
json.dump(parsed, sys.stdout, default=str)
"""


@functools.cache
def parsed() -> dict[str, dict[str, Any]]:
    """What pycep reads, by path below infra/; a syntax error fails the test."""
    files = json.dumps({name: str(path) for name, path in FILES.items()})
    done = subprocess.run(  # noqa: S603 - our own files
        [sys.executable, "-c", _PARSE, files],
        capture_output=True,
        text=True,
        timeout=PARSE_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return answer


@functools.cache
def tree(name: str) -> tree_sitter.Tree:
    """tree-sitter's reading; the line that names an extension is unknown to its grammar."""
    text = re.sub(r"^extension .*$", "", FILES[name].read_text("utf-8"), flags=re.MULTILINE)
    language = tree_sitter.Language(tree_sitter_bicep.language())
    return tree_sitter.Parser(language).parse(text.encode())


def nodes(name: str) -> Iterator[tree_sitter.Node]:
    """All syntax nodes of a file."""
    waiting = [tree(name).root_node]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        yield node


def text_of(node: tree_sitter.Node | None) -> str:
    """Source text of a node."""
    return "" if node is None or node.text is None else node.text.decode()


def resources() -> list[tuple[str, str, dict[str, Any]]]:
    """Every resource: file, symbol, pycep's record (type, api_version, existing, config)."""
    return [
        (name, symbol, resource)
        for name, file in parsed().items()
        for symbol, resource in file.get("resources", {}).items()
    ]


def the(resource_type: str) -> dict[str, Any]:
    """The configuration of the only resource of this type."""
    found = [r for _, _, r in resources() if r["type"] == resource_type and not r["existing"]]
    assert len(found) == 1, f"{resource_type}: {len(found)} resources"
    config: dict[str, Any] = found[0]["config"]
    return config
