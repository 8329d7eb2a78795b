"""What a reader sees in the MLflow UI: addresses of pages, saved views. Imports no mlflow."""

import base64
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from urllib.parse import quote

# What a reader should see first.
COMPARED = (
    "accuracy/worst_group",
    "accuracy/gap",
    "fairness/equalized_odds_difference",
    "accuracy/overall",
)


def links(
    base_url: str, experiment_id: str, run_ids: Sequence[str] = (), comparison: str | None = None
) -> dict[str, str]:
    """Addresses of the pages that compare the classifiers, by what they show.

    Args:
        base_url: Of the MLflow server, such as ``http://127.0.0.1:5000``.
        experiment_id: Experiment that holds the runs.
        run_ids: Runs of the comparison page; without any there is no such page.
        comparison: Shows only the classifiers of this comparison in charts and tables.
    """
    wanted = {"debias.stage": "classifier"} | (
        {"debias.comparison": comparison} if comparison else {}
    )
    page = f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs"
    runs = f"{page}?workflowType=machine_learning"
    by_arm = f"{runs}&viewStateShareKey=classifier-bias-by-arm"
    ours = f"{runs}&searchFilter={quote(having(wanted), safe='')}"
    links = {
        "runs": runs,
        "classifier bias": f"{by_arm}&compareRunsMode=CHART",
        "classifier bias, table": by_arm,
        "classifier bias, each run": f"{runs}&viewStateShareKey=classifier-bias",
        "charts": f"{ours}&compareRunsMode=CHART",
        "tables": f"{ours}&compareRunsMode=ARTIFACT",
    }
    if run_ids:
        links["comparison"] = _comparison(base_url, experiment_id, run_ids)
    return links


def saved_views(comparison: str | None = None) -> dict[str, str]:
    """Values of the experiment tags under which MLflow keeps saved views, by key.

    Args:
        comparison: The view that averages over seeds is limited to it; runs of different settings
            have no common mean.
    """
    classifiers = {"debias.stage": "classifier"}
    latest = classifiers | ({"debias.comparison": comparison} if comparison else {})
    by_arm = {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": "debias.arm"}],
    }
    return {
        "classifier-bias": _view("classifier bias, all runs", having(classifiers), None),
        "classifier-bias-by-arm": _view("classifier bias by arm", having(latest), by_arm),
    }


def _view(name: str, condition: str, group_by: Mapping[str, object] | None) -> str:
    metrics = [f"metrics.`{metric}`" for metric in COMPARED]
    arms = ["tags.`debias.arm`", "tags.`debias.seed`"]
    state = {
        "searchFilter": condition,
        "orderByKey": metrics[0],
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*metrics, *arms],
        "columnOrder": [*metrics, *arms],
        "columnWidths": dict.fromkeys(metrics, 150) | dict.fromkeys(arms, 100),
        "runsHiddenMode": "FIRST_20_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": group_by,
        "groupsExpanded": {},
        "globalLineChartConfig": {
            "xAxisKey": "step",
            "lineSmoothness": 0,
            "selectedXAxisMetricKey": "",
        },
        **_charts(),
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    return json.dumps(view)


def _charts() -> dict[str, object]:
    """The compared metrics in a section of their own; MLflow adds sections for all others."""
    section = "classifier-bias"
    charts = [
        {
            "uuid": f"{section}-{metric}",
            "type": "BAR",
            "metricKey": metric,
            "metricSectionId": section,
            "runsCountToCompare": 20,
            "isGenerated": False,
            "deleted": False,
        }
        for metric in COMPARED
    ]
    # Two columns of low cards: four charts without scrolling, titles in full.
    # Marked as arranged by hand, or the sections are sorted by name.
    shown = {
        "uuid": section,
        "name": "classifier bias",
        "display": True,
        "isReordered": True,
        "columns": 2,
        "cardHeight": 260,
    }
    return {
        "compareRunCharts": charts,
        "compareRunSections": [shown],
        "isAccordionReordered": True,
    }


def _comparison(base_url: str, experiment_id: str, run_ids: Sequence[str]) -> str:
    runs, experiments = json.dumps(list(run_ids)), json.dumps([experiment_id])
    query = f"runs={quote(runs, safe='')}&experiments={quote(experiments, safe='')}"
    return f"{base_url.rstrip('/')}/#/compare-runs?{query}"


def having(tags: Mapping[str, str]) -> str:
    """Search condition: all these tags have these values."""
    if any("'" in value or "\\" in value for value in tags.values()):
        raise ValueError(f"tags to search for must not contain quotes or backslashes: {tags}")
    return " AND ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
