"""The report on a school's log for people: one HTML file that needs nothing else."""

from provision.audit.report.ens import CATEGORIES, Category
from provision.audit.report.page import VerdictLike, render_report
from provision.audit.report.surroundings import ServiceView, Surroundings, of_log, of_workspace

__all__ = [
    "CATEGORIES",
    "Category",
    "ServiceView",
    "Surroundings",
    "VerdictLike",
    "of_log",
    "of_workspace",
    "render_report",
]
