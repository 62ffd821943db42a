"""The README of a pack: how to verify it with this tool, with others, and by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import jinja2

from provision import paths
from provision.audit.log import SchoolLog
from provision.audit.tlog import Kind, Policy, VerifierKey
from provision.audit.words import Language, long_time

#: What the README is called, so that whoever unpacks sees it.
NAMES: Final[Mapping[Language, str]] = {"ca": "LLEGIU-ME.md", "es": "LEEME.md", "en": "README.md"}


@dataclass(frozen=True, slots=True)
class Example:
    """The entry that the README verifies step by step.

    Args:
        index: its number. name: of its proof in the pack, without an ending; empty where none is in it.
        leaf: hash of its leaf, hexadecimal.
        tile: the tile that has this hash. offset: its place there, counted in hashes.
    """

    index: int
    name: str
    leaf: str
    tile: str
    offset: int


def readme(
    lang: Language,
    log: SchoolLog,
    policy: Policy,
    example: Example,
    *,
    cosigned: int | None,
    anchors: Sequence[int],
    detail: bool,
    report: bool,
) -> str:
    """The README as Markdown.

    Args:
        policy: knows the log's key.
        cosigned: size of the newest checkpoint with the whole quorum.
        anchors: sizes of the checkpoints that have a time stamp.
        detail: whether the runs' steps are in the pack. report: whether the report is.
    """
    opinion = policy.open(log.note if cosigned is None else log.archived_at(cosigned) or log.note)
    newest, best = (_ed25519(one.logs) for one in (policy.open(log.note), opinion))
    witnesses = [
        (name, policy.witnesses[name].vkey, long_time(datetime.fromtimestamp(time, UTC), UTC, lang))
        for name, time in sorted(opinion.witnesses.items())
        if policy.witnesses[name].kind is Kind.COSIGNATURE_ED25519
    ]
    environment = jinja2.Environment(  # noqa: S701 - Markdown; what is filled in is checked by the formats
        loader=jinja2.FileSystemLoader(paths.TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"audit-pack-readme.{lang}.md.j2").render(
        origin=log.origin,
        size=log.size,
        root=log.root.hex(),
        # After a change of keys the two differ. No other program here knows keys of other kinds.
        log_key=newest,
        cosigned_key=best,
        proof_key=best if cosigned is None or example.index < cosigned else newest,
        ed25519=bool(newest and best),
        keys=[key.vkey for key in policy.logs if key.name == log.origin],
        witnesses=witnesses,
        cosigned=cosigned,
        checkpoint=f"log/checkpoints/{cosigned}" if cosigned is not None else "log/checkpoint",
        example=example,
        anchors=sorted(anchors),
        detail=detail,
        report=f"report.{lang}.html" if report else "",
    )


def _ed25519(keys: Sequence[VerifierKey]) -> str:
    return next((key.vkey for key in keys if key.kind is Kind.ED25519), "")
