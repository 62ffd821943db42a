"""What a person reads before cosigning: Catalan, Spanish, English."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo

from provision.audit.entries import Entry
from provision.audit.tlog import VerifierKey
from provision.audit.witness.visit import Visit
from provision.audit.words import Language, moment, number, sentence, type_name

TEXTS: dict[Language, dict[str, str]] = {
    "ca": {
        "log": "Registre {origin}",
        "first": "És la primera vegada que el veieu: té {new} entrades.",
        "grown": "Vau veure {old} entrades; ara en té {new}: {more} de noves.",
        "same": "Té les mateixes {new} entrades que ja vau veure; la signatura dirà que avui continua així.",
        "whole": "Tot el que ja havíeu vist hi és sense cap canvi, i la ciutat ho ha signat.",
        "whole-first": "Les entrades donen exactament l'estat que la ciutat ha signat.",
        "counts": "Entrades noves per tipus",
        "unknown": "d'una forma desconeguda",
        "lines": "Què ha passat (hora de {zone})",
        "hidden": "i {count} més; les veieu totes amb: provision audit log {directory}",
        "rules": "Claus i regles (hora de {zone})",
        "loose": "Des de l'entrada {entry} les execucions no esperen la vostra signatura",
        "pending": "Una execució espera la vostra signatura per començar",
        "renewed": "La ciutat ha canviat de clau, i la clau anterior ho confirma. Clau nova",
        "first-key": (
            "Encara no sabeu quina clau té la ciutat. Aquesta és la que diu el registre mateix: compareu-la per "
            "telèfon amb la ciutat, signe per signe"
        ),
        "key-question": "És la mateixa clau?",
        "question": "Voleu signar que heu vist aquest estat?",
        "passphrase": "Frase de pas de la clau de l'escola",
        "done": "Signat: {new} entrades, {time}.",
        "send": "Feu arribar aquest fitxer a la ciutat (correu, llapis de memòria, o l'inbox del servidor)",
        "kept": "La vostra còpia del registre és a {directory}. Feu-ne còpia de seguretat, amb la clau.",
    },
    "es": {
        "log": "Registro {origin}",
        "first": "Es la primera vez que lo veis: tiene {new} entradas.",
        "grown": "Visteis {old} entradas; ahora tiene {new}: {more} nuevas.",
        "same": "Tiene las mismas {new} entradas que ya visteis; la firma dirá que hoy sigue así.",
        "whole": "Todo lo que ya habíais visto está sin ningún cambio, y la ciudad lo ha firmado.",
        "whole-first": "Las entradas dan exactamente el estado que la ciudad ha firmado.",
        "counts": "Entradas nuevas por tipo",
        "unknown": "de una forma desconocida",
        "lines": "Qué ha pasado (hora de {zone})",
        "hidden": "y {count} más; las veis todas con: provision audit log {directory}",
        "rules": "Claves y reglas (hora de {zone})",
        "loose": "Desde la entrada {entry} las ejecuciones no esperan vuestra firma",
        "pending": "Una ejecución espera vuestra firma para empezar",
        "renewed": "La ciudad ha cambiado de clave, y la clave anterior lo confirma. Clave nueva",
        "first-key": (
            "Todavía no sabéis qué clave tiene la ciudad. Esta es la que dice el propio registro: comparadla por "
            "teléfono con la ciudad, signo por signo"
        ),
        "key-question": "¿Es la misma clave?",
        "question": "¿Queréis firmar que habéis visto este estado?",
        "passphrase": "Frase de paso de la clave de la escuela",
        "done": "Firmado: {new} entradas, {time}.",
        "send": "Haced llegar este fichero a la ciudad (correo, memoria USB, o el inbox del servidor)",
        "kept": "Vuestra copia del registro está en {directory}. Haced copia de seguridad de ella, con la clave.",
    },
    "en": {
        "log": "Log {origin}",
        "first": "This is the first time that you see it: it has {new} entries.",
        "grown": "You had seen {old} entries; now it has {new}: {more} are new.",
        "same": "It has the same {new} entries that you have seen; the signature will say that it is still so today.",
        "whole": "All that you had seen is there unchanged, and the city signed it.",
        "whole-first": "The entries give exactly the state that the city signed.",
        "counts": "New entries by type",
        "unknown": "of an unknown form",
        "lines": "What happened ({zone} time)",
        "hidden": "and {count} more; see them all with: provision audit log {directory}",
        "rules": "Keys and rules ({zone} time)",
        "loose": "From entry {entry} on runs do not wait for your signature",
        "pending": "A run waits for your signature to begin",
        "renewed": "The city has a new key, and its former key vouches for it. New key",
        "first-key": (
            "You do not know the city's key yet. This is the one that the log itself names: compare it with the city "
            "by telephone, sign by sign"
        ),
        "key-question": "Is it the same key?",
        "question": "Do you want to sign that you have seen this state?",
        "passphrase": "Passphrase of the school's key",
        "done": "Signed: {new} entries, {time}.",
        "send": "Bring this file to the city (mail, USB stick, or the inbox on the server)",
        "kept": "Your copy of the log is in {directory}. Make a backup of it, with the key.",
    },
}


def told(
    visit: Visit,
    lang: Language,
    zone: tzinfo = UTC,
    zone_name: str = "UTC",
    waiting: Mapping[str, Entry] | None = None,
) -> Iterator[tuple[str, str]]:
    """What is new, line by line, each safe on a terminal.

    Args:
        waiting: runs that wait for the signature; those that are new when left out.

    Yields:
        kind of the line (``head``, ``text``, ``title``, ``item``, ``warn``) and its words.
    """
    texts, news = TEXTS[lang], visit.news
    yield "head", texts["log"].format(origin=visit.new.origin)
    numbers = {
        "old": number(visit.old.size, lang),
        "new": number(visit.new.size, lang),
        "more": number(visit.new.size - visit.old.size, lang),
    }
    first = visit.old.size == 0
    which = "first" if first else "same" if visit.new.size == visit.old.size else "grown"
    yield "text", texts[which].format_map(numbers)
    yield "text", texts["whole-first" if first else "whole"]
    if news.counts:
        yield "title", texts["counts"]
        for kind, count in news.counts.most_common(40):
            name = texts["unknown"] if kind == "?" else type_name(kind, lang)
            yield "item", f"{number(count, lang):>7}  {name}"
    if news.rules:
        yield "title", texts["rules"].format(zone=zone_name)
        for entry in news.rules:
            yield "item", f"{moment(entry.time, zone, seconds=False)}  {sentence(entry, lang)}"
        if news.hidden_rules:
            more = number(news.hidden_rules, lang)
            yield "warn", texts["hidden"].format(count=more, directory=visit.store.directory)
    if news.shown:
        yield "title", texts["lines"].format(zone=zone_name)
        for entry in news.shown:
            yield "item", f"{moment(entry.time, zone, seconds=False)}  {sentence(entry, lang)}"
        if news.hidden:
            yield (
                "item",
                texts["hidden"].format(count=number(news.hidden, lang), directory=visit.store.directory),
            )
    for index in visit.loosened:
        yield "warn", texts["loose"].format(entry=index)
    for entry in (news.pending if waiting is None else waiting).values():
        yield "warn", f"{texts['pending']}: {sentence(entry, lang)}"
    for key in visit.renewed:
        yield "warn", f"{texts['renewed']}: {key.vkey}"


def key_lines(keys: tuple[VerifierKey, ...]) -> list[str]:
    """Keys for a comparison by ear: name and id, then the whole of it."""
    return [line for key in keys for line in (f"{key.name}  {key.key_id.hex()}", key.vkey)]


def when(seconds: int) -> str:
    """A time in seconds since 1970, for people."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return str(seconds)
