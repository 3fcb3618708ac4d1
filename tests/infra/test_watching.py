"""Alerts and workbook read what the program logs, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.checkpoint.runs import COMPLETED, INTERRUPTED, STOPPED, SYNC, Run
from shared.model import Outcome
from shared.sync.report import SUMMARY_FIELDS, SUMMARY_PREFIX, summary
from tests.infra.templates import FILES, INFRA, ROOT, parsed, the

QUERIES = {path.stem: path.read_text("utf-8") for path in sorted((INFRA / "queries").glob("*.kql"))}
WORKBOOK = json.loads((INFRA / "workbook.json").read_text("utf-8"))
STATUSES = {COMPLETED, INTERRUPTED, STOPPED}
RUN = Run(
    id="1", version="1.0.0", trigger="timer", mode=SYNC, scope="x", started="2026-01-01T01:00:00Z"
)


def charts() -> dict[str, str]:
    """Queries of the workbook by the title of their chart."""
    found = [item["content"] for item in WORKBOOK["items"] if item["type"] == 3]
    return {chart["title"]: chart["query"] for chart in found}


def rules() -> list[dict[str, Any]]:
    """The alert rules as main.bicep deploys them."""
    variable = parsed()["modules/alerts.bicep"]["variables"]["rules"]
    value: list[dict[str, Any]] = variable["value"]
    return value


ALL = {**QUERIES, **{f"workbook: {title}": query for title, query in charts().items()}}


@pytest.mark.parametrize("name", ALL)
def test_every_field_that_a_query_reads_is_logged(name: str) -> None:
    """`summary.x` and `summary.x.y` exist in the line that every run logs."""
    logged = json.loads(json.dumps(summary(RUN)))
    for field, inner in re.findall(r"\bsummary\.(\w+)(?:\.(\w+))?", ALL[name]):
        assert field in SUMMARY_FIELDS
        assert field in logged
        if inner:
            assert inner in logged[field], f"summary.{field}.{inner}"


@pytest.mark.parametrize("name", ALL)
def test_queries_find_the_line_by_its_prefix(name: str) -> None:
    """A changed prefix would blind every alert, so both sides are compared."""
    query = ALL[name]
    if not query.lstrip("/ \n").startswith("requests"):
        prefixes = re.findall(r'(?:startswith|strlen\()\s*"([^"]*)"', query)
        assert prefixes == [SUMMARY_PREFIX, SUMMARY_PREFIX]


def test_statuses_and_outcomes_in_queries_exist() -> None:
    """A query that compares with a word which is never logged would stay silent for ever."""
    text = "\n".join(ALL.values())
    assert set(re.findall(r'summary\.status\) == "(\w+)"', text)) <= STATUSES
    for group in re.findall(r"outcome !in \(([^)]*)\)", text):
        assert set(re.findall(r'"(\w+)"', group)) <= {outcome.value for outcome in Outcome}


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_is_a_rule_with_a_remedy(name: str) -> None:
    """Each way a night goes wrong has a rule, and each rule a chapter for who is woken by it."""
    rule = next(rule for rule in rules() if rule["key"] == name)
    loaded = rule["query"]["function"]["parameters"]["file_path"]
    assert loaded == f"../queries/{name}.kql"
    assert rule["title"].startswith("Photo Sync: ")
    manual = (ROOT / "docs" / "operate.md").read_text("utf-8")
    chapter = manual.partition(f"### {name}\n")[2].partition("\n### ")[0]
    assert "**What it means.**" in chapter
    assert "**What to do.**" in chapter


def test_the_rules_look_back_far_enough() -> None:
    """The window of a rule covers the span that its query asks for."""
    rule = the("Microsoft.Insights/scheduledQueryRules")["config"]["properties"]
    assert rule["windowSize"] == "P2D"
    assert rule["evaluationFrequency"] == "PT1H"
    for name, query in QUERIES.items():
        spans = [int(hours) for hours in re.findall(r"ago\((\d+)h\)", query)]
        assert spans, name
        assert max(spans) <= 48


def test_a_rule_fires_on_rows_and_never_on_their_absence() -> None:
    """Also the missing night is a row, so no rule depends on how empty results are treated."""
    rule = the("Microsoft.Insights/scheduledQueryRules")["config"]["properties"]
    criterion = rule["criteria"]["allOf"][0]
    assert (criterion["timeAggregation"], criterion["operator"], criterion["threshold"]) == (
        "Count",
        "GreaterThan",
        0,
    )
    assert "| summarize completed = count()\n| where completed == 0" in QUERIES["night-missing"]


def test_what_the_issue_asks_for_is_watched() -> None:
    """No successful night, interrupted past the window, many failures, held-back removals."""
    assert {rule["key"] for rule in rules()} == {
        "night-missing",
        "run-stopped",
        "run-unfinished",
        "many-failures",
        "removals-held-back",
        "source-fault",
    }


def test_the_workbook_shows_the_nights() -> None:
    """Users, outcomes, requests, throttling, duration: a chart each, all of one time range."""
    titles = " ".join(charts()).lower()
    for word in ("users", "outcomes", "requests", "throttled", "duration", "runs"):
        assert word in titles
    for item in WORKBOOK["items"]:
        if item["type"] == 3:
            assert item["content"]["timeContextFromParameter"] == "TimeRange"


def test_the_workbook_is_tied_to_the_component() -> None:
    """The placeholder that the template replaces stands in the file."""
    template = FILES["modules/workbook.bicep"].read_text("utf-8")
    placeholder = re.search(r"'(<[^>]+>)'", template)
    assert placeholder
    assert WORKBOOK["fallbackResourceIds"] == [placeholder[1]]


@pytest.mark.parametrize("name", ALL)
def test_queries_are_well_formed(name: str) -> None:
    """Brackets and quotes close; each step is an operator of the Kusto language."""
    query = re.sub(r"//.*", "", ALL[name])
    bare = re.sub(r'"[^"\n]*"', "", query)
    assert '"' not in bare
    for opening, closing in ("()", "[]", "{}"):
        assert bare.count(opening) == bare.count(closing)
    steps = [line.split()[1] for line in query.splitlines() if line.startswith("|")]
    assert set(steps) <= {"where", "extend", "summarize", "project", "order", "mv-expand", "join"}


def test_queries_are_files_and_not_copies() -> None:
    """One place for each query: the rules load the files."""
    text = Path(FILES["modules/alerts.bicep"]).read_text("utf-8")
    assert text.count("loadTextContent(") == len(QUERIES)
