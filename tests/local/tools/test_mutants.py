"""How the results of mutation testing are read and judged."""

import json
from pathlib import Path

import pytest

from local.tools import mutants


def record(work: Path, module: str, **statuses: int | None) -> None:
    """What mutmut leaves of one module."""
    meta = work / (module.replace(".", "/") + ".py.meta")
    meta.parent.mkdir(parents=True, exist_ok=True)
    meta.write_text(json.dumps({"exit_code_by_key": statuses}))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(mutants, "_WORK", tmp_path)
    return tmp_path


def test_a_change_is_noticed_when_a_test_fails_or_never_ends(work: Path) -> None:
    """A change that no test reaches survives; one that was not run says nothing."""
    record(work, "shared.sync.plan", a=1, b=0, c=36, d=33, e=None, f=3)
    (module,) = mutants.read(work)
    assert module.name == "shared.sync.plan"
    assert (module.noticed, module.judged, module.survivors) == (3, 5, ["b", "d"])


def test_modules_that_were_not_run_are_left_out(work: Path) -> None:
    """After a run of some changes only."""
    record(work, "shared.sync.plan", a=None)
    assert list(mutants.read(work)) == []


@pytest.mark.parametrize(("survivors", "status"), [(1, 0), (2, 1)])
def test_nine_of_ten_must_be_noticed(
    work: Path, capsys: pytest.CaptureFixture[str], survivors: int, status: int
) -> None:
    """Less makes the target fail; each survivor is named."""
    changes = {f"x{number}": int(number >= survivors) for number in range(10)}
    record(work, "shared.sync.plan", **changes)
    assert mutants.main(["--report"]) == status
    said = capsys.readouterr().out
    assert "survived: x0" in said
    assert f"Tests notice {10 - survivors} of 10 changes" in said


def test_nothing_at_all_is_no_success(work: Path) -> None:
    """A run that judged nothing must not look good."""
    assert list(work.iterdir()) == []
    assert mutants.main(["--report"]) == 1
