"""One HTML file that a person without programming wants to look at, and its charts."""

from debias.report.comparison_page import write_comparison
from debias.report.fairness_charts import comparison_figures, fairness_figures
from debias.report.fairness_page import write_fairness
from debias.report.opening import opening
from debias.report.pictures import Pictures
from debias.report.run_charts import figures
from debias.report.run_page import write_report

__all__ = [
    "Pictures",
    "comparison_figures",
    "fairness_figures",
    "figures",
    "opening",
    "write_comparison",
    "write_fairness",
    "write_report",
]
