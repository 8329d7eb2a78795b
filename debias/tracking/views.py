"""What a reader sees in the MLflow UI: addresses of pages, saved views. Imports no mlflow."""

import base64
import json
import time
import zlib
from collections.abc import Mapping, Sequence

NOTE = "mlflow.note.content"
# What a reader should see after the groups.
COMPARED = (
    "accuracy/worst_group",
    "accuracy/gap",
    "fairness/equalized_odds_difference",
    "accuracy/overall",
)
ABOUT = ("debias.method", "debias.group_labels", "debias.verdict")
METHODS = ("accuracy/overall", "accuracy/worst_group", "accuracy/gap", "time/relative_to_plain")
WIDE = {"tags.`debias.verdict`": 300}
BY_GROUP = "accuracy by group"
LIMITS = ("_low", "_high")
# Stages that end in a page, and what its link is called.
OPENED = {
    "comparison": ("report", "report.html"),
    "audit": ("audit", "audit.html"),
    "study": ("study", "study.html"),
}


def run_page(experiment_id: str, run_id: str) -> str:
    return f"#/experiments/{experiment_id}/runs/{run_id}"


def links(
    base_url: str, experiment_id: str, latest: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, str]:
    """Addresses of the pages worth opening, by what they show; those of one recipe come first.

    ``latest``: of each stage in :data:`OPENED`, name of a recipe -> id of the run to open.
    """
    base, links = base_url.rstrip("/"), {}
    for stage, runs in (latest or {}).items():
        title, file = OPENED[stage]
        for name, run_id in runs.items():
            page = f"{base}/{run_page(experiment_id, run_id)}"
            links[f"{name}, {title}"] = f"{page}/artifacts/{file}"
            if stage == "comparison":
                links[f"{name}, for whom"] = f"{page}/artifacts/for_whom.html"
    runs_page = f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    return links | {
        "methods": f"{runs_page}&viewStateShareKey=methods",
        "by arm": f"{runs_page}&viewStateShareKey=classifier-bias-by-arm&compareRunsMode=CHART",
        "each training": f"{runs_page}&viewStateShareKey=classifier-bias",
        "everything": runs_page,
    }


def saved_views(
    measured: Mapping[str, float] | None = None, comparison: str | None = None
) -> dict[str, str]:
    """Values of the experiment tags under which MLflow keeps saved views, by key.

    ``measured`` are metrics of a classifier of plain training. The view that averages over seeds is
    limited to ``comparison``: runs of different settings have no common mean.
    """
    classifiers = {"debias.stage": "classifier"}
    latest = {"debias.comparison": comparison} if comparison else {}
    by_arm = {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": "debias.arm_title"}],
    }
    charts, those = _charts(measured or {}), having(classifiers | latest)
    methods = having({"debias.stage": "method"} | latest)
    return {
        "classifier-bias": _view("classifier bias, all runs", having(classifiers), None, charts),
        "classifier-bias-by-arm": _view("classifier bias by arm", those, by_arm, charts),
        "methods": _view("methods", methods, None, _charts({}), METHODS, ABOUT),
    }


def _view(
    name: str,
    condition: str,
    group_by: object,
    charts: Mapping[str, object],
    compared: Sequence[str] = COMPARED,
    tags: Sequence[str] = ("debias.arm_title", "debias.seed"),
) -> str:
    metrics = [f"metrics.`{metric}`" for metric in compared]
    arms = [f"tags.`{tag}`" for tag in tags]
    line = {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""}
    state = {
        "searchFilter": condition, "orderByAsc": False,
        "orderByKey": "metrics.`accuracy/worst_group`",
        "startTime": "ALL", "lifecycleFilter": "Active", "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*metrics, *arms], "columnOrder": [*metrics, *arms],
        "columnWidths": dict.fromkeys(metrics, 150) | dict.fromkeys(arms, 130) | WIDE,
        "runsHiddenMode": "FIRST_20_RUNS", "viewMaximized": False, "runListHidden": False,
        "useGroupedValuesInCharts": True, "hideEmptyCharts": True,
        "groupBy": group_by, "groupsExpanded": {}, "globalLineChartConfig": line, **charts,
    }  # fmt: skip
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    return json.dumps(view)


def _charts(measured: Mapping[str, float]) -> dict[str, object]:
    """For whom, the worst group first, then the summary; MLflow adds sections for all others."""
    groups = [name for name in measured if name.startswith(f"{BY_GROUP}/")]
    limits = [n for n in groups if n.endswith(LIMITS) and n.rpartition("_")[0] in measured]
    groups = sorted(set(groups) - set(limits), key=lambda name: (measured[name], name))
    bars = [
        *(_bar(name, BY_GROUP) for name in groups),
        *(_bar(name, BY_GROUP) | {"deleted": True} for name in limits),
        *(_bar(name, "classifier bias") for name in COMPARED),
    ]
    sections = [*([_section(BY_GROUP, 1, 240)] * bool(groups)), _section("classifier bias", 2, 260)]
    return {
        "compareRunCharts": bars, "compareRunSections": sections, "isAccordionReordered": True
    }  # fmt: skip


def _bar(metric: str, section: str) -> dict[str, object]:
    return {
        "uuid": f"{section}-{metric}", "type": "BAR", "metricKey": metric,
        "metricSectionId": section, "runsCountToCompare": 20, "isGenerated": False,
        "deleted": False,
    }  # fmt: skip


def _section(name: str, columns: int, height: int) -> dict[str, object]:
    # Marked as arranged by hand, or the sections are sorted by name.
    return {
        "uuid": name, "name": name, "display": True, "isReordered": True, "columns": columns,
        "cardHeight": height,
    }  # fmt: skip


def having(tags: Mapping[str, str]) -> str:
    """Search condition: all these tags have these values."""
    if any("'" in value or "\\" in value for value in tags.values()):
        raise ValueError(f"tags to search for must not contain quotes or backslashes: {tags}")
    return " AND ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
