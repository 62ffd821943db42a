"""Single words and short phrases of the log, by language."""

import re
from typing import Literal

Language = Literal["ca", "es", "en"]
LANGUAGES: tuple[Language, ...] = ("ca", "es", "en")

#: How something came out. Texts of other programs and later versions are shown as they are.
OUTCOMES: dict[Language, dict[str, str]] = {
    "ca": {
        "done": "fet",
        "intended": "anunciat",
        "ok": "bé",
        "changed": "canviat",
        "failed": "ha fallat",
        "unreachable": "no s'hi arriba",
        "healthy": "sa",
        "unhealthy": "no funciona tot",
        "cancelled": "aturat",
        "refused": "refusat",
        "broken off": "interromput",
        "unexplained": "sense explicació",
        "skipped": "omès",
    },
    "es": {
        "done": "hecho",
        "intended": "anunciado",
        "ok": "bien",
        "changed": "cambiado",
        "failed": "ha fallado",
        "unreachable": "inaccesible",
        "healthy": "sano",
        "unhealthy": "no todo funciona",
        "cancelled": "detenido",
        "refused": "rechazado",
        "broken off": "interrumpido",
        "unexplained": "sin explicación",
        "skipped": "omitido",
    },
    "en": {
        "done": "done",
        "intended": "announced",
        "ok": "well",
        "changed": "changed",
        "failed": "failed",
        "unreachable": "unreachable",
        "healthy": "healthy",
        "unhealthy": "not all works",
        "cancelled": "stopped",
        "refused": "refused",
        "broken off": "broken off",
        "unexplained": "unexplained",
        "skipped": "skipped",
    },
}

#: Every outcome that is written.
KNOWN_OUTCOMES: tuple[str, ...] = tuple(OUTCOMES["en"])
#: Outcomes after which somebody should look.
BAD = frozenset({"failed", "unreachable", "unhealthy", "refused", "broken off", "unexplained"})

#: What a run is for: the verb of the command.
ACTIONS: dict[Language, dict[str, str]] = {
    "ca": {
        "apply": "aplicar-hi la configuració",
        "plan": "calcular els canvis",
        "backup": "fer una còpia de seguretat",
        "restore": "restaurar una còpia de seguretat",
        "upgrade": "passar a una versió nova",
        "remove": "retirar-ne un servei",
    },
    "es": {
        "apply": "aplicar la configuración",
        "plan": "calcular los cambios",
        "backup": "hacer una copia de seguridad",
        "restore": "restaurar una copia de seguridad",
        "upgrade": "pasar a una versión nueva",
        "remove": "retirar un servicio",
    },
    "en": {
        "apply": "apply the configuration",
        "plan": "work out the changes",
        "backup": "make a backup",
        "restore": "restore a backup",
        "upgrade": "move to a new version",
        "remove": "remove a service",
    },
}

#: The parts of a server that no service owns. Services have their titles in ``service.yml``.
PARTS: dict[Language, dict[str, str]] = {
    "ca": {
        "site": "Preparació",
        "base": "Base del servidor",
        "firewall": "Tallafoc",
        "tls": "Certificats",
        "nginx": "Servidor web",
        "postgresql": "Base de dades PostgreSQL",
        "php": "PHP",
        "redis": "Redis",
        "audit_trail": "Còpia del registre",
    },
    "es": {
        "site": "Preparación",
        "base": "Base del servidor",
        "firewall": "Cortafuegos",
        "tls": "Certificados",
        "nginx": "Servidor web",
        "postgresql": "Base de datos PostgreSQL",
        "php": "PHP",
        "redis": "Redis",
        "audit_trail": "Copia del registro",
    },
    "en": {
        "site": "Preparation",
        "base": "Ground of the server",
        "firewall": "Firewall",
        "tls": "Certificates",
        "nginx": "Web server",
        "postgresql": "PostgreSQL database",
        "php": "PHP",
        "redis": "Redis",
        "audit_trail": "Copy of the log",
    },
}

#: Nouns that are counted: one, several.
COUNTED: dict[Language, dict[str, tuple[str, str]]] = {
    "ca": {
        "change": ("canvi", "canvis"),
        "check": ("comprovació", "comprovacions"),
        "step": ("pas", "passos"),
        "run": ("execució", "execucions"),
        "entry": ("entrada", "entrades"),
        "file": ("fitxer", "fitxers"),
        "package": ("paquet", "paquets"),
        "key": ("clau", "claus"),
        "failure": ("error", "errors"),
        "person": ("persona", "persones"),
        "access": ("accés", "accessos"),
        "day": ("dia", "dies"),
        "hour": ("hora", "hores"),
        "signature": ("cosignatura", "cosignatures"),
        "lesson": ("classe", "classes"),
        "participant": ("participant", "participants"),
    },
    "es": {
        "change": ("cambio", "cambios"),
        "check": ("comprobación", "comprobaciones"),
        "step": ("paso", "pasos"),
        "run": ("ejecución", "ejecuciones"),
        "entry": ("entrada", "entradas"),
        "file": ("fichero", "ficheros"),
        "package": ("paquete", "paquetes"),
        "key": ("clave", "claves"),
        "failure": ("error", "errores"),
        "person": ("persona", "personas"),
        "access": ("acceso", "accesos"),
        "day": ("día", "días"),
        "hour": ("hora", "horas"),
        "signature": ("cofirma", "cofirmas"),
        "lesson": ("clase", "clases"),
        "participant": ("participante", "participantes"),
    },
    "en": {
        "change": ("change", "changes"),
        "check": ("check", "checks"),
        "step": ("step", "steps"),
        "run": ("run", "runs"),
        "entry": ("entry", "entries"),
        "file": ("file", "files"),
        "package": ("package", "packages"),
        "key": ("key", "keys"),
        "failure": ("failure", "failures"),
        "person": ("person", "people"),
        "access": ("access", "accesses"),
        "day": ("day", "days"),
        "hour": ("hour", "hours"),
        "signature": ("cosignature", "cosignatures"),
        "lesson": ("lesson", "lessons"),
        "participant": ("participant", "participants"),
    },
}

QUOTES: dict[Language, tuple[str, str]] = {"ca": ("«", "»"), "es": ("«", "»"), "en": ("“", "”")}
AND: dict[Language, str] = {"ca": "i", "es": "y", "en": "and"}
MORE: dict[Language, str] = {"ca": "{count} més", "es": "{count} más", "en": "{count} more"}
THOUSANDS: dict[Language, str] = {"ca": ".", "es": ".", "en": ","}
NOBODY: dict[Language, str] = {
    "ca": "algú sense nom",
    "es": "alguien sin nombre",
    "en": "somebody without a name",
}


def quote(text: str, lang: Language) -> str:
    """The text in the language's quotation marks."""
    left, right = QUOTES[lang]
    return f"{left}{text}{right}"


def number(value: int, lang: Language) -> str:
    """A whole number with the language's separators: 12.345, or 12,345 in English."""
    return f"{value:,}".replace(",", THOUSANDS[lang])


def counted(value: int, noun: str, lang: Language) -> str:
    """A number with its noun: ``1 change``, ``12 changes``.

    Args:
        noun: a key of ``COUNTED``.
    """
    one, several = COUNTED[lang][noun]
    return f"{number(value, lang)} {one if value == 1 else several}"


def listed(items: list[str], lang: Language, most: int = 6) -> str:
    """``a, b and c``; what goes beyond ``most`` is counted."""
    if len(items) > most:
        items = [*items[:most], MORE[lang].format(count=number(len(items) - most, lang))]
    if len(items) < 2:
        return "".join(items)
    last = items[-1]
    joint = AND[lang]
    # Spanish says «e» before the sound i, but not before the diphthong of «hie» and «ia».
    if lang == "es" and re.match(r"h?i(?![aeou])", last, re.IGNORECASE):
        joint = "e"
    return f"{', '.join(items[:-1])} {joint} {last}"


def outcome(value: str, lang: Language) -> str:
    """The word for an outcome; one that is not known is quoted."""
    return OUTCOMES[lang].get(value) or (quote(value, lang) if value else "")


def action(value: str, lang: Language) -> str:
    """What a run is for; a verb that is not known is quoted."""
    return ACTIONS[lang].get(value) or quote(value, lang)


def part(value: str, lang: Language) -> str:
    """The name of a part of a server; that of a service is left as it is."""
    return PARTS[lang].get(value, value)
