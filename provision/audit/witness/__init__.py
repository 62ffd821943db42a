"""The school's side of the audit log: a copy of its own, a key of its own, and a memory that nobody can change."""

from provision.audit.witness.errors import RefusedLogError, SourceError, WitnessError
from provision.audit.witness.evidence import Evidence, EvidenceError, list_evidence
from provision.audit.witness.keyfile import KEY_FILE, PUBLIC_FILE, KeyFile, make_key
from provision.audit.witness.news import News
from provision.audit.witness.sources import DirectorySource, HttpsSource, Source
from provision.audit.witness.store import Trust, WitnessStore
from provision.audit.witness.visit import Visit, file_name, visiting

__all__ = [
    "KEY_FILE",
    "PUBLIC_FILE",
    "DirectorySource",
    "Evidence",
    "EvidenceError",
    "HttpsSource",
    "KeyFile",
    "News",
    "RefusedLogError",
    "Source",
    "SourceError",
    "Trust",
    "Visit",
    "WitnessError",
    "WitnessStore",
    "file_name",
    "list_evidence",
    "make_key",
    "visiting",
]
