"""What a host tells of its inside, in every form that people and monitoring systems read."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from prometheus_client.parser import text_string_to_metric_families

from provision.cli.output import file_console
from provision.health import ask as ask_module
from provision.health.ask import Answers, ask_school
from provision.health.history import remember
from provision.health.inside import inside
from provision.health.probes import ProbeResult, RemoteRun
from provision.health.render import as_document, as_metrics, as_page, as_plugin, show_table
from provision.health.result import LANGUAGES
from provision.model import Workspace
from tests.unit.health.inside_sample import NOW, answered, healthy, school, service
from tests.unit.health.sample import bare
from tests.unit.health.test_nagios import data_of

WIKI = service()
SCHOOL = school(WIKI)


def well(_w: object, _s: object, asked: Any, probe: Any, **_: object) -> ProbeResult:
    return ProbeResult(asked.id, probe.id, probe.title.en, "ok", "answers 200", "", 0.1)


@pytest.fixture(params=["healthy", "broken", "no program"])
def gave(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """A school whose pages are well, and whose host answers in three ways."""
    monkeypatch.setattr(ask_module, "ask_outside", well)
    monkeypatch.setattr(ask_module, "trust_store", lambda *_: None)
    broken = {name: {"could not": "be asked"} for name in healthy()}
    said = {
        "healthy": (0, answered(healthy())),
        "broken": (0, answered(cast(Any, broken))),
        "no program": (127, ""),
    }

    @contextmanager
    def opened() -> Iterator[RemoteRun]:
        yield lambda *_: said[request.param]

    return ask_school(
        cast(Workspace, object()), SCHOOL, [WIKI], opened, inside=partial(inside, clock=lambda: NOW)
    )


def test_every_question_has_an_answer_and_no_two_have_the_same_key(gave: Answers, tmp_path: Path) -> None:
    asked = {probe.id for probe in WIKI.definition.probes}
    assert asked <= {one.probe for one in gave.findings}
    assert len(remember(tmp_path, gave)) == len(gave.findings)


def test_the_metrics_are_metrics(gave: Answers) -> None:
    text = as_metrics("vila", [gave])
    families = list(text_string_to_metric_families(text))
    assert len(families) >= 8
    promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if promtool:
        done = subprocess.run(
            [promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_plugin_the_table_the_page_and_the_document_have_it_in_each_language(gave: Answers) -> None:
    for lang in LANGUAGES:
        data_of(as_plugin([gave], lang)[0])
        table = StringIO()
        show_table(gave, file_console(table), lang, ZoneInfo("Europe/Madrid"))
        page = as_page("Vila", [gave], {}, lang=lang, zone=ZoneInfo("UTC"), zone_name="UTC", now=gave.asked)
        document = as_document([gave], lang)["schools"]["escola-mar"]
        assert bare(table.getvalue())
        for one in gave.findings:
            if one.state != "ok":
                assert one.remedy
                assert one.remedy.in_(lang) in table.getvalue()
        assert len(document) == len(gave.findings)
        assert page.count('<span class="what">') == len(gave.findings)
        assert not re.search(r"\{[a-z]+\}", table.getvalue() + page[page.index("<body>") :])
