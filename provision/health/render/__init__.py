"""What people and monitoring systems read: findings as a table, JSON, a page, Prometheus' metrics, a Nagios plugin."""

from provision.health.render.document import HISTORY_SCHEMA, SCHEMA, as_document, history_document
from provision.health.render.nagios import as_plugin, as_unknown
from provision.health.render.page import as_page
from provision.health.render.prometheus import as_metrics
from provision.health.render.table import show_history, show_table

__all__ = [
    "HISTORY_SCHEMA",
    "SCHEMA",
    "as_document",
    "as_metrics",
    "as_page",
    "as_plugin",
    "as_unknown",
    "history_document",
    "show_history",
    "show_table",
]
