"""Times and durations for people, by language."""

from datetime import UTC, datetime, tzinfo

from provision.audit.words.terms import Language, number

_MONTHS: dict[Language, tuple[str, ...]] = {
    "ca": (
        "de gener", "de febrer", "de març", "d'abril", "de maig", "de juny", "de juliol", "d'agost", "de setembre",
        "d'octubre", "de novembre", "de desembre",
    ),
    "es": (
        "de enero", "de febrero", "de marzo", "de abril", "de mayo", "de junio", "de julio", "de agosto",
        "de septiembre", "de octubre", "de noviembre", "de diciembre",
    ),
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ),
}  # fmt: skip


def read_time(text: str) -> datetime | None:
    """The moment of an entry's ``time``; None when it is no such text."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment(text: str, zone: tzinfo, *, seconds: bool = True) -> str:
    """An entry's time for a table: ``2026-11-23 11:15:03`` in a zone; the text itself when it is no time."""
    when = read_time(text)
    if when is None:
        return text
    return in_zone(when, zone).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def in_zone(when: datetime, zone: tzinfo) -> datetime:
    """The moment in a zone; the very first and last of the calendar stay in UTC."""
    try:
        return when.astimezone(zone)
    except OverflowError:
        return when


def long_date(when: datetime, zone: tzinfo, lang: Language) -> str:
    """A day as it is written out: ``23 de novembre de 2026``."""
    local = in_zone(when, zone)
    month = _MONTHS[lang][local.month - 1]
    return f"{local.day} {month} {local.year}" if lang == "en" else f"{local.day} {month} de {local.year}"


def long_time(when: datetime, zone: tzinfo, lang: Language) -> str:
    """A moment as it is written out: ``23 de novembre de 2026, 11:15``."""
    return f"{long_date(when, zone, lang)}, {in_zone(when, zone):%H:%M}"


def span(seconds: float, lang: Language) -> str:
    """A duration in the two largest units that fit: ``2 min 5 s``, ``3 h 10 min``, ``4 d 2 h``."""
    whole = max(0, round(seconds))
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[tuple[int, str]] = []
    for name, size in units:
        count, whole = divmod(whole, size)
        if count or parts:
            parts.append((count, name))
        if len(parts) == 2:
            break
    shown = [f"{number(count, lang)}\N{NO-BREAK SPACE}{name}" for count, name in parts if count]
    return " ".join(shown) or "0\N{NO-BREAK SPACE}s"
