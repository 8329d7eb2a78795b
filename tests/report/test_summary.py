from pathlib import Path

import pytest

from debias.flows.summary import where
from debias.report.markdown import code

PAGE = Path("/runs/demo/report.html")
RUN = "http://127.0.0.1:5000/#/experiments/1/runs/0a1b2c"


def test_links_lead_to_a_server_and_never_to_a_file():
    assert where(PAGE, RUN) == [
        f"Report: [report.html]({RUN}/artifacts/report.html), `/runs/demo/report.html`",
        "",
        f"MLflow: [recorded run]({RUN})",
    ]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (None, "MLflow: not recorded"),
        ("/runs/mlflow.db", "MLflow: `/runs/mlflow.db`"),
        ("http://host/#/experiments/1/runs?a=b", "(http://host/#/experiments/1/runs?a=b)"),
    ],
)
def test_without_a_page_of_the_run_the_report_is_a_path_to_copy(address, said):
    report, _, mlflow = where(PAGE, address)
    assert report == "Report: `/runs/demo/report.html`"
    assert said in mlflow


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a\n\u202eb", "`a b`"), ("<b>", "`<b>`")],
)
def test_a_path_stays_text_whatever_it_holds(text, shown):
    assert code(text) == shown
