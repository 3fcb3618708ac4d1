"""Any bytes lead to a typed error or a value within a second; `make fuzz` goes on for longer."""

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import strategies as st

from local.tools.fuzz import __main__ as fuzz
from local.tools.fuzz import target as feeding
from local.tools.fuzz.target import Target, TooSlow, byte_feeder, feed, one_round
from local.tools.fuzz.targets import TARGETS
from shared.errors import BrokenState
from tests.support.sampling import THOROUGH

NAMES = [target.name for target in TARGETS]
with_atheris = pytest.mark.skipif(find_spec("atheris") is None, reason="needs Atheris")


@pytest.mark.parametrize("target", TARGETS, ids=NAMES)
def test_any_bytes_lead_to_a_typed_error_or_a_value(target: Target) -> None:
    """Promises 8 and 12, input side: no parser crashes, hangs, or takes noise for knowledge."""
    one_round(target, 60 if THOROUGH else 20, 0)


@pytest.mark.parametrize("target", TARGETS, ids=NAMES)
def test_seeds_and_noise_are_inputs_of_a_guided_fuzzer(target: Target) -> None:
    """What coverage-guided fuzzing begins with keeps the promise too."""
    steer = byte_feeder(target, 10.0)
    for data in (*target.seeds, b"", b"\0" * 40, bytes(range(256))):
        steer(data)


def _strict(data: bytes) -> None:
    if b"\x00" in data:
        raise BrokenState("refused, as promised")
    raise ValueError("not promised")


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Target:
    """A parser that promises BrokenState and lets a ValueError out."""
    target = Target("made-up", st.binary(max_size=5), _strict, (BrokenState,))
    monkeypatch.setattr(fuzz, "TARGETS", (target,))
    monkeypatch.setattr(fuzz, "_FOLDER", tmp_path)
    return target


def test_a_fault_ends_the_fuzzing_and_can_be_had_again(
    made_up: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that is not promised: exit status 1, the input, and the command that repeats it."""
    assert fuzz.main(["--random", "--seed", "5", "--minutes", "0"]) == 1
    told = capsys.readouterr()
    assert "seed 5" in told.out
    assert "ValueError: not promised" in told.err
    assert "data=" in told.err  # its value, unless another plugin of pytest prints it
    assert f"--target {made_up.name} --seed 5" in told.err


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, made_up: Target) -> Callable[[str, int], None]:
    """Replaces libFuzzer by a program that prints such a text and ends with such a status."""

    def script(text: str, status: int) -> None:
        code = f"import sys; sys.stderr.write({text!r}); sys.exit({status})"

        class Popen(fuzz.subprocess.Popen):  # type: ignore[name-defined,misc]
            def __init__(self, command: list[str], **options: object) -> None:
                assert made_up.name in command
                super().__init__([command[0], "-c", code], **options)

        monkeypatch.setattr(fuzz.subprocess, "Popen", Popen)  # type: ignore[attr-defined]
        monkeypatch.setattr(fuzz, "find_spec", lambda _: True)

    return script


def test_guided_fuzzing_tells_executions_a_second_and_new_paths(
    scripted: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """One row for each target, and the sum."""
    scripted("#512 NEW cov: 9 ft: 9 corp: 1/1b exec/s: 512\nDone 1234 runs in 1 second(s)\n", 0)
    assert fuzz.main(["--minutes", "0"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"made-up +1,234 +[\d,]+ +0 +0\n", told)
    assert "No fault in 1,234 inputs." in told


def test_guided_fault_names_the_input_that_repeats_it(
    scripted: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The traceback, without libFuzzer's noise, and the command."""
    scripted("INFO: noise\n=== Uncaught Python exception: ===\nKeyError: 3\n"
             "Test unit written to /x/crash-1\n", 77)  # fmt: skip
    assert fuzz.main(["--minutes", "0"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("=== Uncaught Python exception: ===\nKeyError: 3")
    assert "python -m local.tools.fuzz --target made-up --input /x/crash-1" in told


@with_atheris
@pytest.mark.skipif(not THOROUGH, reason="eight seconds; `make thorough` runs it")
def test_coverage_leads_to_new_paths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Atheris itself, over the parser of state, for a second."""
    monkeypatch.setattr(fuzz, "_FOLDER", tmp_path)
    monkeypatch.setattr(fuzz, "_LIBFUZZER", ("-runs=300", "-seed=1"))
    assert fuzz.main(["--target", "shard", "--minutes", "10"]) == 0
    row = next(line.split() for line in capsys.readouterr().out.splitlines() if " shard " in line)
    executions, _, paths, new = (int(figure.replace(",", "")) for figure in row[1:])
    assert executions >= 300
    assert paths > new > 0


def test_an_input_that_keeps_the_program_busy_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a second of CPU time is as bad as an error."""
    seconds = iter((10.0, 11.5))
    monkeypatch.setattr(feeding, "thread_time", lambda: next(seconds))
    with pytest.raises(TooSlow, match=r"slow: 1\.5 s"):
        feed(Target("slow", st.none(), lambda _: None, ()), None)


def test_time_that_is_up_without_a_fault_is_a_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 0 and how much was fed."""
    target = Target("easy", st.integers(), lambda _: None, ())
    monkeypatch.setattr(fuzz, "TARGETS", (target,))
    assert fuzz.main(["--random", "--minutes", "0"]) == 0
    assert "No fault in 300 inputs." in capsys.readouterr().out
