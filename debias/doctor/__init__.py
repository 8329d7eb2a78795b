"""Examines the machine and a folder of runs or stores: one file an area, put together last."""

from debias.doctor.examination import examine
from debias.doctor.finding import Finding, exit_code

__all__ = ["Finding", "examine", "exit_code"]
