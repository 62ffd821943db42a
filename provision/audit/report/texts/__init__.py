"""The report's own words, by language; every language has the same keys."""

from provision.audit.report.texts import ca, en, es
from provision.audit.words.terms import Language

TEXTS: dict[Language, dict[str, str]] = {"ca": ca.TEXTS, "es": es.TEXTS, "en": en.TEXTS}

__all__ = ["TEXTS"]
