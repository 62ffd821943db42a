"""Verification of a school's audit log: offline, without trust in whoever hands it over.

What it proves. Every entry is, byte for byte and in its order, under the checkpoint that the log's key signed;
every checkpoint that somebody kept fits the same history; those whom the policy names cosigned it, up to which
entry and when; keys changed only where the former key vouched for the next; runs were announced, approved where
that is needed, and ended; the detail is what the entries commit to, and what was erased is named by an entry.

What it cannot prove:

- **That something happened which was never logged.** A city that changes a server without this tool, or before
  the log was opened, leaves no entry, and no log can show that one is missing. What narrows it: the intent
  stands in the log (in strict mode with the school's cosignature) before anything changes; each server names
  its last run, and a run that the log does not know becomes a ``drift.found`` entry; heartbeats make silence
  visible with ``max_age``.
- **Anything about the entries after the last cosignature.** The city, and whoever has its key, can still
  rewrite those. The verdict says how many they are and since when. A checkpoint that somebody else holds
  (``against``) narrows it.
- **That the entries are true.** A person can state a wrong reason or a wrong name. What is proved is that it
  was stated then, and not changed since.
- **When exactly something happened.** A cosignature or a time stamp shows that an entry existed by then;
  nothing shows that it did not exist earlier. Times before the first of them are the city's word.
- **Anything at all about who the keys belong to**, when no policy is given from elsewhere: a directory that was
  made up as a whole, keys and policy included, fits together too.
- **That city and school did not agree to deceive.** Only a third holder, another witness or a time stamp,
  stands against both.
"""

from provision.audit.verify.check import verify
from provision.audit.verify.findings import Cosigned, Erasure, Finding, Severity, Verdict

__all__ = ["Cosigned", "Erasure", "Finding", "Severity", "Verdict", "verify"]
