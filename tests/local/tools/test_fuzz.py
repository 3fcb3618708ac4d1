"""Any bytes lead to a typed error or a value within a second; `make fuzz` goes on for longer."""

import json

import pytest
from hypothesis import strategies as st

from local.tools import fuzz
from local.tools.fuzz_targets import TARGETS, Target
from shared.errors import BrokenState


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_any_bytes_lead_to_a_typed_error_or_a_value(target: Target) -> None:
    """Promises 8 and 12, input side: no parser crashes, hangs, or takes noise for knowledge."""
    fuzz.one_round(target, 60, 0)


def _strict(data: bytes) -> None:
    if b"\x00" in data:
        raise BrokenState("refused, as promised")
    json.loads(data)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Target:
    """A parser that promises BrokenState and lets a ValueError out."""
    target = Target("made-up", st.binary(max_size=5), _strict, (BrokenState,))
    monkeypatch.setattr(fuzz, "TARGETS", (target,))
    return target


def test_a_fault_ends_the_fuzzing_and_can_be_had_again(
    made_up: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that is not promised: exit status 1, the input, and the command that repeats it."""
    assert fuzz.main(["--seed", "5", "--minutes", "0.1"]) == 1
    told = capsys.readouterr()
    assert "seed 5:" in told.out
    assert "JSONDecodeError" in told.err
    assert "data=b''" in told.err
    assert f"--target {made_up.name} --seed 5" in told.err


def test_an_input_that_keeps_the_program_busy_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a second of CPU time is as bad as an error."""
    seconds = iter((10.0, 11.5))
    monkeypatch.setattr(fuzz, "thread_time", lambda: next(seconds))
    with pytest.raises(fuzz.TooSlow, match=r"slow: 1\.5 s"):
        fuzz.feed(Target("slow", st.none(), lambda _: None, ()), None)


def test_time_that_is_up_without_a_fault_is_a_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 0 and how much was fed."""
    target = Target("easy", st.integers(), lambda _: None, ())
    monkeypatch.setattr(fuzz, "TARGETS", (target,))
    assert fuzz.main(["--minutes", "0"]) == 0
    assert "No fault in 300 inputs." in capsys.readouterr().out
