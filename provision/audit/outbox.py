"""Entries that wait for the log: what was done away from the school's server, such as renewing a secret.

The log grows only where administrators meet, on the server, so that it never forks. Until somebody is there, an entry
lies in ``outbox.jsonl`` as the bytes that it will have.
"""

import json
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from provision.audit import entries as e
from provision.audit.leftovers import LEFT_OVER
from provision.audit.log import LOCK_TIMEOUT, LogError, LogWriter, composed
from provision.files import locked, sync_directory, write_atomically, write_new

#: How far back a log is searched for entries that were sent in a run that was killed at that moment.
_BACK = 5_000


class Outbox:
    """The waiting entries of one log.

    Args:
        directory: the log's; made when it is not there.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / "outbox.jsonl"

    def add(self, origin: str, data: Sequence[e.Data]) -> None:
        """Leave entries for the next run; they are on the disk when this returns.

        Args:
            origin: the log's name.

        Raises:
            LogError: one cannot be an entry, the disk is full, ...; none is left.
        """
        self.keep(composed(origin, data))

    def keep(self, raw: Sequence[bytes]) -> None:
        """Leave entries by their bytes; they are on the disk when this returns.

        Raises:
            LogError: the disk is full, ...; none is left.
        """
        lines = b"".join(entry + b"\n" for entry in raw)
        with self._locked():
            try:
                descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "r+b", buffering=0) as stream:
                    # What a crash cut short was never acknowledged; joined to the next line it would spoil that one.
                    before = stream.readall().rfind(b"\n") + 1
                    stream.truncate(before)
                    stream.seek(before)
                    try:
                        view = memoryview(lines)
                        while view:
                            view = view[os.write(descriptor, view) :]
                        os.fsync(descriptor)
                    except OSError:
                        stream.truncate(before)
                        raise
                sync_directory(self._file.parent)
            except OSError as error:
                raise LogError(
                    f"{self._file} cannot be written: {error.strerror}", "make room, then try again"
                ) from error

    def waiting(self) -> list[bytes]:
        """The waiting entries. A line that a crash cut short is left out: it was never acknowledged.

        Raises:
            LogError: the outbox cannot be read.
        """
        return self._read()[0]

    def _read(self) -> tuple[list[bytes], list[bytes]]:
        """The waiting entries, and the lines that are none."""
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return [], []
        except OSError as error:
            raise LogError(f"{self._file} cannot be read: {error.strerror}") from error
        entries: list[bytes] = []
        others: list[bytes] = []
        for line in data.split(b"\n")[:-1]:
            try:
                e.parse(0, line)
            except e.EntryError:
                others.append(line)
            else:
                (entries if len(line) <= e.MAX_ENTRY else others).append(line)
        return entries, [line for line in others if line]

    def send(self, writer: LogWriter) -> int:
        """Move what waits into the log, each entry once.

        Lines that are no entry, such as a damaged disk leaves, are not thrown away: they go to a file of
        ``evidence/outbox-<time>-left-over``, of which the log tells like of other leftovers.

        Returns:
            the number of entries.

        Raises:
            LogError: the disk is full, ...; nothing is lost.
        """
        with self._locked():
            waiting, others = self._read()
            if not waiting and not others:
                return 0
            there = set()
            if writer.size:
                for number, entry in enumerate(writer.log.backwards()):
                    if number >= _BACK:
                        break
                    there.add(entry.event["id"])
            new = []
            for raw in waiting:
                if (identity := json.loads(raw)["id"]) not in there:
                    there.add(identity)
                    new.append(raw)
            writer.append_raw(new)
            try:
                if others:
                    self._put_aside(others)
                write_atomically(self._file, b"", mode=0o600)
            except OSError as error:
                raise LogError(f"{self._file} cannot be written: {error.strerror}", "make room") from error
            return len(new)

    def _put_aside(self, lines: Sequence[bytes]) -> None:
        name = f"outbox-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}{LEFT_OVER}"
        file = self._file.with_name("evidence") / name / self._file.name
        write_new(file, b"".join(line + b"\n" for line in lines), mode=0o600)
        sync_directory(file.parent)

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self._file.with_name(".outbox.lock"), self._file, LogError, wait=LOCK_TIMEOUT)
