"""The log in plain words: Catalan, Spanish, English. Each module holds one theme's texts, side by side."""

from provision.audit.words.dates import in_zone, long_date, long_time, moment, read_time, span
from provision.audit.words.fields import Fields
from provision.audit.words.sentences import (
    failure,
    result,
    sentence,
    services,
    short_key,
    type_name,
    where,
    who,
)
from provision.audit.words.steps import Step, read_step, summary
from provision.audit.words.terms import (
    BAD,
    KNOWN_OUTCOMES,
    LANGUAGES,
    Language,
    action,
    counted,
    listed,
    number,
    outcome,
    part,
    quote,
)

__all__ = [
    "BAD", "KNOWN_OUTCOMES", "LANGUAGES", "Fields", "Language", "Step", "action", "counted", "failure", "in_zone",
    "listed", "long_date", "long_time", "moment", "number", "outcome", "part", "quote", "read_step", "read_time",
    "result", "sentence", "services", "short_key", "span", "summary", "type_name", "where", "who",
]  # fmt: skip
