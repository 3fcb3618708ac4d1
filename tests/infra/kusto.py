"""Queries as Microsoft's own language service for Kusto reads them.

The tables are those of Application Insights as alerts and workbooks of a component see them.
Source: Microsoft Learn, "Workspace-based resource changes: legacy and new table schemas".
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.infra.tools import ROOT, find, missing, run

_COMMON = (
    "timestamp: datetime, itemType: string, customDimensions: dynamic, "
    "customMeasurements: dynamic, operation_Name: string, operation_Id: string, "
    "operation_ParentId: string, operation_SyntheticSource: string, session_Id: string, "
    "user_Id: string, user_AuthenticatedId: string, user_AccountId: string, "
    "application_Version: string, client_Type: string, client_Model: string, client_OS: string, "
    "client_IP: string, client_City: string, client_StateOrProvince: string, "
    "client_CountryOrRegion: string, client_Browser: string, cloud_RoleName: string, "
    "cloud_RoleInstance: string, appId: string, appName: string, iKey: string, "
    "sdkVersion: string, itemId: string, itemCount: int"
)
TABLES = {
    "traces": f"({_COMMON}, message: string, severityLevel: int)",
    "requests": (
        f"({_COMMON}, id: string, source: string, name: string, url: string, success: string, "
        "resultCode: string, duration: real, performanceBucket: string)"
    ),
    "dependencies": (
        f"({_COMMON}, id: string, target: string, type: string, name: string, data: string, "
        "success: string, resultCode: string, duration: real, performanceBucket: string)"
    ),
    "exceptions": (
        f"({_COMMON}, problemId: string, handledAt: string, type: string, message: string, "
        "assembly: string, method: string, outerType: string, outerMessage: string, "
        "outerAssembly: string, outerMethod: string, innermostType: string, "
        "innermostMessage: string, innermostAssembly: string, innermostMethod: string, "
        "severityLevel: int, details: dynamic)"
    ),
}


def problems(queries: Mapping[str, str], logged: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong with each query: syntax, unknown tables, columns and logged fields.

    Args:
        queries: by name.
        logged: an example of what a run logs, which is what the queries parse.
    """
    node = find("node", "NODE")
    if not (ROOT / "node_modules" / "@kusto" / "language-service-next").is_dir():
        missing("@kusto/language-service-next is missing: npm install")
    request = {"tables": TABLES, "logged": logged, "queries": queries}
    done = run([node, Path(__file__).with_name("kusto.cjs")], text=json.dumps(request))
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return answer
