"""What a server says in English, in Catalan and Spanish too: by sentences with places, each known by its English.

A server's programs, systemd, OpenSSL and the C library speak English, and no server is made to know languages: what
they say is looked up here, and for a service's own program in the ``said`` of its ``service.yml`` too. What no sentence
fits stays as it was said. The English is always the very text that was said.
"""

import functools
import re
from collections.abc import Sequence

from provision.health.result import MEASURED_LIMIT, Sentence
from provision.health.words.seen import SEEN
from provision.text import printable_line

#: A value may itself be something that is known: the reason in "no answer: timed out". So deep it is looked up.
_DEPTH = 3
_PLACE = re.compile(r"\{([a-z_]{1,30})\}")
_DECIMAL = re.compile(r"\d{1,9}\.\d{1,9}\Z")

#: What provision's own programs on a server say, and what the systems underneath say most.
HEARD: tuple[Sentence, ...] = (
    # Answers to the questions of a service.yml, which the record of a run keeps in English.
    *(
        sentence
        for key, sentence in SEEN.items()
        if key.startswith(("page/", "websocket/", "no-answer", "not-there", "host/"))
    ),
    # provision-probe.
    Sentence(
        ca="{program} no ha acabat en {seconds} s",
        es="{program} no ha terminado en {seconds} s",
        en="{program} did not end within {seconds} s",
    ),
    Sentence(ca="{program} diu massa coses", es="{program} dice demasiado", en="{program} says too much"),
    Sentence(ca="{program} no ho diu", es="{program} no lo dice", en="{program} does not tell it"),
    Sentence(
        ca="{program} no hi és, o no és només de root",
        es="{program} no está, o no es solo de root",
        en="{program} is not there, or not root's alone",
    ),
    Sentence(
        ca="{program}: estat {status}", es="{program}: estado {status}", en="{program}: status {status}"
    ),
    Sentence(ca="estat {status}", es="estado {status}", en="status {status}"),
    Sentence(
        ca="systemctl respon per altres unitats que les demanades",
        es="systemctl responde por otras unidades que las pedidas",
        en="systemctl answers for other units than it was asked for",
    ),
    Sentence(
        ca="apt no pot desempaquetar les seves llistes: {reason}",
        es="apt no puede desempaquetar sus listas: {reason}",
        en="apt cannot unpack its lists: {reason}",
    ),
    Sentence(
        ca="apt no ha llegit cap llista d'actualitzacions de seguretat",
        es="apt no ha leído ninguna lista de actualizaciones de seguridad",
        en="apt has read no list of a security archive",
    ),
    Sentence(ca="{file} està malmès", es="{file} está dañado", en="{file} is damaged"),
    Sentence(
        ca="{program} no està instal·lat", es="{program} no está instalado", en="{program} is not installed"
    ),
    Sentence(ca="no està instal·lat", es="no está instalado", en="it is not installed"),
    Sentence(ca="no hi és", es="no está", en="it is not there"),
    Sentence(ca="tancat", es="cerrado", en="closed"),
    Sentence(ca="no hi és", es="no está", en="missing"),
    Sentence(ca="no és un fitxer", es="no es un fichero", en="no file"),
    Sentence(ca="massa gran", es="demasiado grande", en="too large"),
    Sentence(ca="sense resposta a temps", es="sin respuesta a tiempo", en="no answer in time"),
    Sentence(
        ca="sense resposta en {seconds} s",
        es="sin respuesta en {seconds} s",
        en="no answer within {seconds} s",
    ),
    Sentence(ca="el seu sòcol no hi és", es="su socket no está", en="its socket is not there"),
    Sentence(ca="ja ningú no hi atén", es="ya nadie atiende", en="nobody takes calls any more"),
    Sentence(ca="no diu res", es="no dice nada", en="it says nothing"),
    Sentence(
        ca="no respon com PHP-FPM", es="no responde como PHP-FPM", en="it does not answer as PHP-FPM does"
    ),
    Sentence(ca="no parla HTTP", es="no habla HTTP", en="it does not speak HTTP"),
    Sentence(ca="no està permès", es="no está permitido", en="not allowed"),
    Sentence(ca="no està permès: {reason}", es="no está permitido: {reason}", en="not allowed: {reason}"),
    Sentence(
        ca="la resposta és massa llarga", es="la respuesta es demasiado larga", en="the answer is too long"
    ),
    Sentence(
        ca="en pregunten massa alhora: torneu-hi d'aquí a uns segons",
        es="preguntan demasiados a la vez: vuelva a hacerlo dentro de unos segundos",
        en="too many ask at the same time: ask again in a few seconds",
    ),
    # What services' own programs have in common.
    Sentence(
        ca="el mode de manteniment és activat",
        es="el modo de mantenimiento está activado",
        en="its maintenance mode is on",
    ),
    Sentence(
        ca="no s'ha pogut llegir la configuració: {reason}",
        es="no se ha podido leer su configuración: {reason}",
        en="its settings cannot be read: {reason}",
    ),
    Sentence(
        ca="no se li pot preguntar: {reason}",
        es="no se le puede preguntar: {reason}",
        en="it cannot be asked: {reason}",
    ),
    Sentence(
        ca="no s'ha provat: {place}: {reason}",
        es="no se ha probado: {place}: {reason}",
        en="not tried: {place}: {reason}",
    ),
    Sentence(
        ca="{call}: sense resposta en {seconds} s",
        es="{call}: sin respuesta en {seconds} s",
        en="{call}: no answer within {seconds} s",
    ),
    Sentence(ca="{call}: respon {status}", es="{call}: responde {status}", en="{call}: it answers {status}"),
    Sentence(ca="{call}: no parla HTTP", es="{call}: no habla HTTP", en="{call}: it does not speak HTTP"),
    Sentence(ca="{measured} (fa {span})", es="{measured} (hace {span})", en="{measured} ({span} ago)"),
    Sentence(ca="fa {span}", es="hace {span}", en="{span} ago"),
    Sentence(ca="mai", es="nunca", en="never"),
    Sentence(ca="{count} hores", es="{count} horas", en="{count} hours"),
    Sentence(ca="{count} dies", es="{count} días", en="{count} days"),
    Sentence(ca="res", es="nada", en="nothing"),
    Sentence(
        ca="encara no s'han fet; es fan cada {minutes} minuts",
        es="aún no se han hecho; se hacen cada {minutes} minutos",
        en="not made yet; they are made every {minutes} minutes",
    ),
    Sentence(
        ca="fetes per última vegada: {when}", es="hechas por última vez: {when}", en="they were made {when}"
    ),
    Sentence(
        ca="no s'han pogut fer: {reason}",
        es="no se han podido hacer: {reason}",
        en="they could not be made: {reason}",
    ),
    Sentence(
        ca="comprovacions amb problemes: {count} de {all}: {names}",
        es="comprobaciones con problemas: {count} de {all}: {names}",
        en="{count} of {all} find a fault: {names}",
    ),
    Sentence(
        ca="cap de les {all} comprovacions no troba res",
        es="ninguna de las {all} comprobaciones encuentra nada",
        en="none of {all} finds a fault",
    ),
    # systemd.
    Sentence(ca="en marxa ({state})", es="en marcha ({state})", en="active ({state})"),
    Sentence(ca="aturat ({state})", es="parado ({state})", en="inactive ({state})"),
    Sentence(ca="ha fallat", es="ha fallado", en="failed (failed)"),
    Sentence(ca="ha fallat ({state})", es="ha fallado ({state})", en="failed ({state})"),
    Sentence(ca="engegant-se ({state})", es="arrancando ({state})", en="activating ({state})"),
    Sentence(ca="aturant-se ({state})", es="parando ({state})", en="deactivating ({state})"),
    Sentence(
        ca="rellegint la configuració ({state})",
        es="releyendo la configuración ({state})",
        en="reloading ({state})",
    ),
    Sentence(ca="en marxa", es="en marcha", en="active"),
    Sentence(ca="aturat", es="parado", en="inactive"),
    Sentence(ca="ha fallat", es="ha fallado", en="failed"),
    Sentence(ca="ha anat bé", es="ha ido bien", en="success"),
    Sentence(ca="ha acabat amb un error", es="ha terminado con un error", en="exit-code"),
    Sentence(ca="ha trigat massa", es="ha tardado demasiado", en="timeout"),
    Sentence(ca="s'ha engegat massa cops", es="ha arrancado demasiadas veces", en="start-limit-hit"),
    Sentence(ca="s'ha quedat sense memòria", es="se ha quedado sin memoria", en="oom-kill"),
    # Outcomes of a run.
    Sentence(ca="ha anat bé", es="ha ido bien", en="ok"),
    Sentence(ca="només anunciada", es="solo anunciada", en="intended"),
    Sentence(ca="començada", es="empezada", en="started"),
    # The C library, Python, OpenSSL.
    Sentence(ca="{reason}", es="{reason}", en="[Errno {number}] {reason}"),
    Sentence(ca="connexió refusada", es="conexión rechazada", en="Connection refused"),
    Sentence(
        ca="connexió tallada per l'altra banda",
        es="conexión cortada por el otro lado",
        en="Connection reset by peer",
    ),
    Sentence(
        ca="tallat sense resposta",
        es="cortado sin respuesta",
        en="Remote end closed connection without response",
    ),
    Sentence(
        ca="no hi ha cap camí fins a la màquina", es="no hay camino hasta la máquina", en="No route to host"
    ),
    Sentence(ca="no s'arriba a la xarxa", es="no se llega a la red", en="Network is unreachable"),
    Sentence(ca="sense resposta a temps", es="sin respuesta a tiempo", en="timed out"),
    Sentence(ca="sense resposta a temps", es="sin respuesta a tiempo", en="Connection timed out"),
    Sentence(ca="sense resposta a temps", es="sin respuesta a tiempo", en="The read operation timed out"),
    Sentence(
        ca="sense resposta a temps",
        es="sin respuesta a tiempo",
        en="_ssl.c:{number}: The handshake operation timed out",
    ),
    Sentence(
        ca="no existeix el fitxer o la carpeta",
        es="no existe el fichero o la carpeta",
        en="No such file or directory",
    ),
    Sentence(ca="permís denegat", es="permiso denegado", en="Permission denied"),
    Sentence(ca="no queda lloc al disc", es="no queda sitio en el disco", en="No space left on device"),
    Sentence(ca="el disc només es pot llegir", es="el disco solo se puede leer", en="Read-only file system"),
    Sentence(ca="ningú no coneix aquest nom", es="nadie conoce este nombre", en="Name or service not known"),
    Sentence(ca="ningú no coneix aquest nom", es="nadie conoce este nombre", en="nobody knows this name"),
    Sentence(
        ca="ha acceptat la connexió i no ha dit res",
        es="ha aceptado la conexión y no ha dicho nada",
        en="it took the connection and said nothing",
    ),
    Sentence(
        ca="aquest nom no té cap adreça",
        es="este nombre no tiene dirección",
        en="No address associated with hostname",
    ),
    Sentence(
        ca="ara no es poden resoldre noms",
        es="ahora no se pueden resolver nombres",
        en="Temporary failure in name resolution",
    ),
    Sentence(ca="la pàgina no s'acaba mai", es="la página no se acaba nunca", en="the page does not end"),
    Sentence(ca="ha caducat", es="ha caducado", en="certificate has expired"),
    Sentence(ca="encara no és vàlid", es="aún no es válido", en="certificate is not yet valid"),
    Sentence(ca="signat per ell mateix", es="firmado por sí mismo", en="self-signed certificate"),
    Sentence(
        ca="signat per una autoritat que no es coneix",
        es="firmado por una autoridad que no se conoce",
        en="self-signed certificate in certificate chain",
    ),
    Sentence(
        ca="signat per una autoritat que no es coneix",
        es="firmado por una autoridad que no se conoce",
        en="unable to get local issuer certificate",
    ),
    Sentence(
        ca="no és per a {name}",
        es="no es para {name}",
        en="Hostname mismatch, certificate is not valid for '{name}'.",
    ),
    # Our own way to a server (engine/ssh.py).
    Sentence(
        ca="no es pot arribar a {host} ({address}, port {port}; escola {school}): {reason}",
        es="no se puede llegar a {host} ({address}, puerto {port}; escuela {school}): {reason}",
        en="{host} ({address}, port {port}) of {school} cannot be reached: {reason}",
    ),
    Sentence(
        ca="{address}, port {port}, no respon com un servidor SSH: {reason}",
        es="{address}, puerto {port}, no responde como un servidor SSH: {reason}",
        en="{address}, port {port}, does not answer as an SSH server: {reason}",
    ),
    Sentence(
        ca="{address} no deixa entrar {user} amb les claus de {place} ({tried})",
        es="{address} no deja entrar a {user} con las claves de {place} ({tried})",
        en="{address} does not let {user} in with the keys of {place} ({tried})",
    ),
    Sentence(ca="no en té cap", es="no tiene ninguna", en="it has none"),
    Sentence(
        ca="encara no es coneix la clau de servidor de {name} ({key})",
        es="aún no se conoce la clave de servidor de {name} ({key})",
        en="the host key of {name} is not known yet ({key})",
    ),
    Sentence(
        ca="LA CLAU DE SERVIDOR DE {name} HA CANVIAT. La coneguda: {former}. Ara: {now}.",
        es="LA CLAVE DE SERVIDOR DE {name} HA CAMBIADO. La conocida: {former}. Ahora: {now}.",
        en="THE HOST KEY OF {name} HAS CHANGED. Trusted: {former}. Now: {now}.",
    ),
    Sentence(
        ca="no es pot llegir la clau de SSH {file}: {reason}",
        es="no se puede leer la clave de SSH {file}: {reason}",
        en="the SSH key {file} cannot be read: {reason}",
    ),
    Sentence(
        ca="{user} no pot fer-se root a {address}: {reason}",
        es="{user} no puede hacerse root en {address}: {reason}",
        en="{user} cannot become root on {address}: {reason}",
    ),
    Sentence(
        ca="s'ha tallat la connexió amb {address}: {reason}",
        es="se ha cortado la conexión con {address}: {reason}",
        en="the connection to {address} broke: {reason}",
    ),
    # Where nothing else fits: what it is about, and a reason that may be known.
    Sentence(ca="{what}: {reason}", es="{what}: {reason}", en="{what}: {reason}"),
)


def heard(text: str, said: tuple[Sentence, ...] = ()) -> Sentence:
    """What was said, in each language as far as it is known.

    Args:
        text: from a server: it is bounded and made printable.
        said: sentences of the service whose program said it; they come before those that all have in common.
    """
    return _heard(printable_line(text, MEASURED_LIMIT), said, _DEPTH)


@functools.lru_cache(maxsize=2048)
def _heard(text: str, said: tuple[Sentence, ...], depth: int) -> Sentence:
    if depth:
        for sentence, literals, names in _known(said):
            values = _values(text, literals)
            if values is None:
                continue
            known = {
                name: _value(name, value, said, depth - 1) for name, value in zip(names, values, strict=True)
            }
            told = sentence.filled(**known)
            return Sentence(told.ca, told.es, text)
    return Sentence.plain(text)


def _value(name: str, text: str, said: tuple[Sentence, ...], depth: int) -> Sentence:
    if name in ("seconds", "span") and _DECIMAL.match(text.removesuffix(" s")):
        local = text.replace(".", ",")
        return Sentence(local, local, text)
    return _heard(text, said, depth)


@functools.lru_cache(maxsize=64)
def _known(said: tuple[Sentence, ...]) -> tuple[tuple[Sentence, list[str], list[str]], ...]:
    """Sentences taken apart: those with the most words of their own first, a service's before the others."""
    found = []
    for own, sentences in ((True, said), (False, HEARD)):
        for sentence in sentences:
            parts = _PLACE.split(sentence.en)
            literals, names = parts[::2], parts[1::2]
            found.append((not own, -sum(map(len, literals)), (sentence, literals, names)))
    return tuple(entry for _, _, entry in sorted(found, key=lambda one: one[:2]))


def _values(text: str, literals: Sequence[str]) -> list[str] | None:
    """What stands between the words of a sentence; None where the text is another one.

    Each word is looked for once, from left to right: no text, however made, takes long.
    """
    first, last = literals[0], literals[-1]
    if not text.startswith(first):
        return None
    if len(literals) == 1:
        return [] if text == first else None
    values, place = [], len(first)
    for literal in literals[1:-1]:
        found = text.find(literal, place + 1)
        if found < 0:
            return None
        values.append(text[place:found])
        place = found + len(literal)
    end = len(text) - len(last)
    if not text.endswith(last) or end <= place:
        return None
    values.append(text[place:end])
    return values
