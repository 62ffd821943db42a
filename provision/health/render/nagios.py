"""Findings for Nagios, Icinga, Naemon, Checkmk and whatever else runs Monitoring Plugins.

https://www.monitoring-plugins.org/doc/guidelines.html is the source: one line with the state and what matters most,
then ``|`` and performance data ``'label'=value[UOM];[warn];[crit];[min];[max]``, then more lines; exit codes 0 OK,
1 WARNING, 2 CRITICAL, 3 UNKNOWN. Nagios keeps 8 KiB of it (``MAX_PLUGIN_OUTPUT_LENGTH``): all fits into less.
"""

from collections.abc import Sequence

from provision.health.ask import Answers
from provision.health.render.common import bad_ones, line, part_name, title
from provision.health.render.words import TEXTS, state_word
from provision.health.result import Figure, State
from provision.model.municipality import Language

#: Bytes of the whole output, and of its first line's text.
LIMIT, FIRST = 8000, 400
_ROOM_FOR_DATA = 3000
_CODES: dict[State, int] = {"ok": 0, "warning": 1, "problem": 2, "unreachable": 2, "unknown": 3}
_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
#: From well to worst, as the plugins' own ``max_state`` has it.
_RANK = (0, 3, 1, 2)
# ``|`` ends the text. The others are what Nagios itself takes out of macros, since they steer shells and pages
# (``illegal_macro_output_chars``).
_SIGNS = str.maketrans({"|": "¦", "<": "‹", ">": "›", "`": "´", "$": "＄", "&": "＆", '"': "”", "~": "∼"})


def as_plugin(schools: Sequence[Answers], lang: Language = "en") -> tuple[str, int]:
    """What a plugin prints, and its exit code."""
    codes = [_CODES[finding.state] for answers in schools for finding in answers.findings]
    code = max(codes, key=_RANK.index, default=3)
    many = len(schools) != 1
    bad = [
        (answers, finding)
        for answers in sorted(schools, key=lambda one: -_RANK.index(_CODES[one.state]))
        for finding in bad_ones(answers.findings)
    ]
    name = TEXTS[lang]["schools"].format(count=len(schools)) if many else _safe(schools[0].school, 80)
    shown: dict[tuple[str, str], str] = {}
    for answers, finding in bad:
        # Of several schools one thing each; of one school each thing once.
        measured = finding.measured.in_(lang)
        which = (answers.school, "" if many else measured)
        of = f"{answers.school}/" if many else ""
        part = part_name(answers, finding.service, lang)
        shown.setdefault(which, f"{of}{part}: {line(measured, 100)}")
    count = sum(len(answers.findings) for answers in schools)
    key = "nothing" if not count else "not_well" if bad else "all_well"
    first = " ".join(
        [
            TEXTS[lang][key].format(bad=len(bad), count=count),
            *([" · ".join(list(shown.values())[:3])] if shown else []),
        ]
    )
    head = f"{name} {_WORDS[code]} - {_cut(_safe(first, FIRST), FIRST)}"
    data = _data(schools, many)
    out = head + (f" | {data}" if data else "") + "\n"
    room = LIMIT - len(out.encode())
    told = set()
    for answers, finding in bad:
        of = f"{answers.school}/" if many else ""
        texts = [
            f"{state_word(finding.state, lang).upper()} {of}{part_name(answers, finding.service, lang)}: "
            f"{title(finding, lang)}: {finding.measured.in_(lang)}",
        ]
        for sentence in (finding.meaning, finding.remedy):
            # Said once, where it holds for several.
            if sentence and (answers.school, sentence) not in told:
                told.add((answers.school, sentence))
                texts.append(sentence.in_(lang))
        more = _safe(" · ".join(texts), 900) + "\n"
        room -= len(more.encode())
        if room < 0:
            break
        out += more
    return out, code


def as_unknown(message: str) -> tuple[str, int]:
    """What a plugin prints when it cannot ask at all."""
    return f"HEALTH UNKNOWN - {_cut(_safe(message, FIRST), FIRST)}\n", 3


def _data(schools: Sequence[Answers], many: bool) -> str:
    """Performance data: how long it took, how many are not well, and each figure, as far as there is room."""
    parts = []
    for answers in schools:
        of = f"{answers.school}/" if many else ""
        bad = sum(finding.state != "ok" for finding in answers.findings)
        parts.append(f"{_label(of + 'time')}={_number(answers.seconds)}s;;;0")
        parts.append(f"{_label(of + 'not_well')}={bad};;;0;{len(answers.findings)}")
    seen = set()
    for answers in schools:
        for finding in answers.findings:
            for figure in finding.figures:
                path = [answers.school] if many else []
                path += [
                    finding.host,
                    finding.service if finding.service != "host" else "",
                    figure.name,
                    figure.label,
                ]
                label = _label("/".join(part.strip("/") for part in path if part.strip("/")))
                if label not in seen:
                    seen.add(label)
                    parts.append(label + _value(figure))
    out, size = [], 0
    for part in parts:
        size += len(part.encode()) + 1
        if size > _ROOM_FOR_DATA:
            break
        out.append(part)
    return " ".join(out)


def _value(figure: Figure) -> str:
    ends = [_threshold(limit, figure) for limit in (figure.warning, figure.critical)]
    least, most = "0" if figure.value >= 0 else "", "100" if figure.unit == "%" else ""
    return f"={_number(figure.value)}{figure.unit};{';'.join(ends)};{least};{most}".rstrip(";")


def _threshold(limit: float | None, figure: Figure) -> str:
    """A range outside of which an alert is raised; ``10:`` where less is worse."""
    if limit is None:
        return ""
    warning, critical = figure.warning, figure.critical
    falling = critical < warning if warning is not None and critical is not None else _is_rest(figure.name)
    return f"{_number(limit)}:" if falling else _number(limit)


def _is_rest(name: str) -> bool:
    """Whether a figure is of what is left, by its name."""
    return any(word in name.split("_") for word in ("free", "left", "available", "remaining"))


def _label(text: str) -> str:
    """In single quotes, without what ends a label."""
    return "'" + _safe(text, 120).replace("=", "_").replace("'", "_") + "'"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else f"{value:.6g}"


def _safe(text: str, limit: int) -> str:
    return line(text, limit).translate(_SIGNS)


def _cut(text: str, size: int) -> str:
    """At most so many bytes, whole characters."""
    return text.encode()[:size].decode("utf-8", "ignore")
