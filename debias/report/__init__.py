"""One HTML file that a person without programming wants to look at, and its charts."""

from debias.report.charts import figures
from debias.report.page import write_report
from debias.report.pictures import Pictures

__all__ = ["Pictures", "figures", "write_report"]
