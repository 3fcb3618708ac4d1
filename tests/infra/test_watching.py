"""Alerts and workbook read what the program logs, and nothing else."""

import json
import re

import pytest

from shared.checkpoint.runs import COMPLETED, INTERRUPTED, STOPPED, SYNC, Run
from shared.model import Outcome
from shared.sync.report import SUMMARY_FIELDS, SUMMARY_PREFIX, summary
from tests.infra.compiler import INFRA, Compiler, Resource
from tests.infra.kusto import problems
from tests.infra.tools import ROOT
from tests.support.sampling import sample

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


def rules(compiler: Compiler) -> dict[str, Resource]:
    """The alert rules as they are deployed, by the name of their query."""
    found = compiler.deployment("default").all("Microsoft.Insights/scheduledQueryRules")
    return {next(n for n in QUERIES if r["name"].endswith(f"-{n}")): r["properties"] for r in found}


ALL = {**QUERIES, **{f"workbook: {title}": query for title, query in charts().items()}}
MISSPELLED = {
    "table": (r"^(traces|requests)$", r"\1s"),
    "column": (r"\bwhere (message|timestamp|operation_Name)\b", r"where \1s"),
    "field": (r"\bsummary\.(\w+)", r"summary.\1s"),
    "nested field": (r"\bsummary\.(outcomes|requests)\.(\w+)", r"summary.\1.\2s"),
    "operator": (r"^\| (\w+)", r"| \1s"),
    "bracket": (r"\)$", ""),
}


def misspelled() -> dict[str, str]:
    """Every query with one mistake of each kind that it has a place for; a sample of them."""
    found = {
        f"{name}, {kind}": broken
        for name, query in ALL.items()
        for kind, (pattern, replacement) in MISSPELLED.items()
        if (broken := re.sub(pattern, replacement, query, count=1, flags=re.MULTILINE)) != query
    }
    return dict(sample(found.items(), every=4))


@pytest.fixture(scope="session")
def found() -> dict[str, list[str]]:
    """What the language service says about every query, and about the misspelled ones."""
    logged = json.loads(json.dumps(summary(RUN)))
    assert set(logged) == SUMMARY_FIELDS
    return problems({**ALL, **misspelled()}, logged)


@pytest.mark.parametrize("name", ALL)
def test_queries_read_what_exists(found: dict[str, list[str]], name: str) -> None:
    """No query has a mistake: each table and column exists, each field is logged by every run."""
    assert found[name] == []


@pytest.mark.parametrize("name", misspelled())
def test_a_mistake_in_a_query_is_found(found: dict[str, list[str]], name: str) -> None:
    """The check finds a misspelled table, column, field, or operator."""
    assert found[name] != []


def test_every_kind_of_mistake_was_tried() -> None:
    """Every kind of mistake is tried in at least one query."""
    assert {name.rpartition(", ")[2] for name in misspelled()} == set(MISSPELLED)


@pytest.mark.parametrize("name", ALL)
def test_queries_find_the_line_by_its_prefix(name: str) -> None:
    """Queries and program use the same prefix; otherwise no alert would ever fire."""
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
def test_each_query_is_a_rule_with_a_remedy(compiler: Compiler, name: str) -> None:
    """Every query is deployed as a rule, and the manual has a chapter for every rule."""
    rule = rules(compiler)[name]
    assert rule["criteria"]["allOf"][0]["query"] == QUERIES[name]
    assert rule["displayName"].startswith("Photo Sync: ")
    assert rule["description"] == f'What to do: docs/operate.md, "{name}".'
    manual = (ROOT / "docs" / "operate.md").read_text("utf-8")
    chapter = manual.partition(f"### {name}\n")[2].partition("\n### ")[0]
    assert "**What it means.**" in chapter
    assert "**What to do.**" in chapter


def test_the_rules_look_back_far_enough(compiler: Compiler) -> None:
    """The window of a rule covers the span that its query asks for."""
    for name, rule in rules(compiler).items():
        assert rule["windowSize"] == "P2D"
        assert rule["evaluationFrequency"] == "PT1H"
        spans = [int(hours) for hours in re.findall(r"ago\((\d+)h\)", QUERIES[name])]
        assert spans, name
        assert max(spans) <= 48


def test_a_rule_fires_on_rows_and_never_on_their_absence(compiler: Compiler) -> None:
    """Every rule fires on a row, also the rule for a missing night."""
    for rule in rules(compiler).values():
        (criterion,) = rule["criteria"]["allOf"]
        assert (criterion["timeAggregation"], criterion["operator"], criterion["threshold"]) == (
            "Count",
            "GreaterThan",
            0,
        )
    assert "| summarize completed = count()\n| where completed == 0" in QUERIES["night-missing"]


def test_every_way_a_night_goes_wrong_is_watched(compiler: Compiler) -> None:
    """No successful night, interrupted past the window, many failures, held-back removals."""
    assert set(rules(compiler)) == {
        "night-missing",
        "run-stopped",
        "run-unfinished",
        "many-failures",
        "removals-held-back",
        "source-fault",
    }


def test_the_workbook_shows_the_nights() -> None:
    """The workbook has the expected charts, and all use the same time range."""
    titles = " ".join(charts()).lower()
    for word in ("users", "outcomes", "requests", "throttled", "duration", "runs"):
        assert word in titles
    for item in WORKBOOK["items"]:
        if item["type"] == 3:
            assert item["content"]["timeContextFromParameter"] == "TimeRange"


def test_the_workbook_is_tied_to_the_component(compiler: Compiler) -> None:
    """The placeholder in the file is replaced by the component of this deployment."""
    deployment = compiler.deployment("default")
    component = deployment.the("Microsoft.Insights/components")["id"]
    properties = deployment.the("Microsoft.Insights/workbooks")["properties"]
    assert json.loads(properties["serializedData"])["fallbackResourceIds"] == [component]
    assert properties["sourceId"] == component
