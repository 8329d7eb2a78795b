"""Examines the machine and a folder of runs or stores: one file an area, put together last."""

from debias.commands.examination.examination import examine
from debias.commands.examination.finding import Finding, exit_code

__all__ = ["Finding", "examine", "exit_code"]
