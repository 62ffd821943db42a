"""What was measured, in Catalan, Spanish and English: sentences, and the quantities in them."""

from collections.abc import Mapping, Sequence

from provision.health.result import Sentence
from provision.text import printable_line

_DAY = 86400.0

#: What was seen, by the kind of the question and what was found.
SEEN: Mapping[str, Sentence] = {
    # Of anything.
    "none": Sentence(ca="cap", es="ninguno", en="none"),
    "nothing": Sentence(ca="res", es="nada", en="nothing"),
    "no-answer": Sentence(ca="no hi ha resposta", es="no hay respuesta", en="no answer"),
    "no-answer-for": Sentence(
        ca="no hi ha resposta: {reason}", es="no hay respuesta: {reason}", en="no answer: {reason}"
    ),
    "not-there": Sentence(ca="no hi és", es="no está", en="not there"),
    "not-set-up": Sentence(ca="no està configurat", es="no está configurado", en="not set up"),
    "unasked": Sentence(
        ca="no s'ha preguntat: {reason}", es="no se ha preguntado: {reason}", en="not asked: {reason}"
    ),
    "unknown": Sentence(
        ca="no s'ha pogut preguntar: {reason}",
        es="no se ha podido preguntar: {reason}",
        en="could not be asked: {reason}",
    ),
    "late": Sentence(
        ca="sense resposta quan s'han acabat els {seconds} s d'aquesta escola",
        es="sin respuesta cuando se han acabado los {seconds} s de esta escuela",
        en="not answered when the {seconds} s for this school were over",
    ),
    "not-told": Sentence(
        ca="el servidor no ho ha dit", es="el servidor no lo ha dicho", en="the server did not tell it"
    ),
    "not-listed": Sentence(
        ca="el servidor no ho té a la llista",
        es="el servidor no lo tiene en la lista",
        en="the server does not list it",
    ),
    "no-sense": Sentence(
        ca="la resposta del servidor no s'entén",
        es="la respuesta del servidor no se entiende",
        en="the server's answer makes no sense",
    ),
    "own-no-sense": Sentence(
        ca="la seva resposta no s'entén", es="su respuesta no se entiende", en="its answer makes no sense"
    ),
    "nothing-told": Sentence(ca="no se'n diu res", es="no se dice nada de ello", en="nothing is told of it"),
    # Pages.
    "page/answers": Sentence(ca="respon {status}", es="responde {status}", en="answers {status}"),
    "page/answers-in": Sentence(
        ca="respon {status} en {seconds} s",
        es="responde {status} en {seconds} s",
        en="answers {status} in {seconds} s",
    ),
    "page/instead": Sentence(
        ca="respon {status} i no {wanted}",
        es="responde {status} y no {wanted}",
        en="answers {status} instead of {wanted}",
    ),
    "page/without": Sentence(
        ca="respon {status}, però hi falta: {wanted}",
        es="responde {status}, pero falta: {wanted}",
        en="answers {status}, but without: {wanted}",
    ),
    "page/without-it": Sentence(
        ca="respon {status}, però hi falta {wanted}",
        es="responde {status}, pero falta {wanted}",
        en="answers {status}, but without {wanted}",
    ),
    "page/shows": Sentence(
        ca="mostra {wanted}, que no s'ha de veure",
        es="muestra {wanted}, que no se debe ver",
        en="shows {wanted}, which must not be seen",
    ),
    "page/not-allowed": Sentence(
        ca="el servidor no ho deixa preguntar amb aquesta clau",
        es="el servidor no deja preguntarlo con esta clave",
        en="the server does not let this key ask for it",
    ),
    "page/certificate": Sentence(
        ca="certificat: {reason}", es="certificado: {reason}", en="certificate: {reason}"
    ),
    "page/no-authority": Sentence(
        ca="{file} no hi és: el fa «provision apply {school}»",
        es="{file} no está: lo crea «provision apply {school}»",
        en="{file} is not there: provision apply {school} makes it",
    ),
    "websocket/none": Sentence(
        ca="respon {status} i no obre cap WebSocket",
        es="responde {status} y no abre ningún WebSocket",
        en="answers {status} and opens no WebSocket",
    ),
    "websocket/opens": Sentence(ca="obre un WebSocket", es="abre un WebSocket", en="opens a WebSocket"),
    "websocket/strange": Sentence(
        ca="no respon com un WebSocket", es="no responde como un WebSocket", en="answers as no WebSocket does"
    ),
    # The way to a service.
    "dns/unknown": Sentence(
        ca="no porta enlloc: {reason}", es="no lleva a ninguna parte: {reason}", en="not known: {reason}"
    ),
    "dns/leads": Sentence(ca="porta a {addresses}", es="lleva a {addresses}", en="leads to {addresses}"),
    "tls": Sentence(
        ca="{version}, fet per {issuer}, {ends}, {milliseconds} ms",
        es="{version}, hecho por {issuer}, {ends}, {milliseconds} ms",
        en="{version}, by {issuer}, {ends}, {milliseconds} ms",
    ),
    "tls/old": Sentence(
        ca="{before}; encara accepta {version}",
        es="{before}; aún acepta {version}",
        en="{before}; still speaks {version}",
    ),
    "headers/missing": Sentence(ca="hi falta: {names}", es="falta: {names}", en="missing: {names}"),
    "headers/all": Sentence(
        ca="hi són totes ({count})", es="están todas ({count})", en="all {count} are there"
    ),
    "answer": Sentence(
        ca="{status} al cap de {seconds} s",
        es="{status} al cabo de {seconds} s",
        en="{status} after {seconds} s",
    ),
    # How the server answered.
    "probe": Sentence(
        ca="ha respost en {seconds} s, amb {cpu} s de processador",
        es="ha respondido en {seconds} s, con {cpu} s de procesador",
        en="answered in {seconds} s, with {cpu} s of processor time",
    ),
    "probe/missing-parts": Sentence(
        ca="{before}; no ha pogut dir: {parts}",
        es="{before}; no ha podido decir: {parts}",
        en="{before}; could not tell: {parts}",
    ),
    "probe/missing": Sentence(
        ca="provision-probe no hi és", es="provision-probe no está", en="provision-probe is not there"
    ),
    "probe/status": Sentence(
        ca="estat {status}: {said}", es="estado {status}: {said}", en="status {status}: {said}"
    ),
    "probe/long": Sentence(
        ca="la resposta és massa llarga", es="la respuesta es demasiado larga", en="the answer is too long"
    ),
    "probe/none": Sentence(
        ca="no és cap resposta de provision-probe: {said}",
        es="no es ninguna respuesta de provision-probe: {said}",
        en="no answer of provision-probe: {said}",
    ),
    "host/no-answer": Sentence(
        ca="{host} no respon: {reason}",
        es="{host} no responde: {reason}",
        en="{host} gives no answer: {reason}",
    ),
    # The server itself.
    "free": Sentence(
        ca="{free} lliures de {all} ({percent} %)",
        es="{free} libres de {all} ({percent} %)",
        en="{free} of {all} free ({percent}%)",
    ),
    "disk/grows": Sentence(ca="creix {size} al dia", es="crece {size} al día", en="grows by {size} a day"),
    "disk/shrinks": Sentence(
        ca="disminueix {size} al dia", es="disminuye {size} al día", en="shrinks by {size} a day"
    ),
    "disk/full-in": Sentence(ca="ple d'aquí a {span}", es="lleno dentro de {span}", en="full in {span}"),
    "disk/read-only": Sentence(ca="només lectura", es="solo lectura", en="read only"),
    "inodes": Sentence(
        ca="encara n'hi caben {count} ({percent} %)",
        es="aún caben {count} ({percent} %)",
        en="room for {count} more files ({percent}%)",
    ),
    "memory/swapped": Sentence(
        ca="{size} a la memòria d'intercanvi",
        es="{size} en la memoria de intercambio",
        en="{size} swapped out",
    ),
    "load": Sentence(ca="{load} amb {cpus}", es="{load} con {cpus}", en="{load} on {cpus}"),
    "load/shared": Sentence(
        ca="comptant-hi els veïns (és un contenidor)",
        es="contando a los vecinos (es un contenedor)",
        en="with its neighbours' (a container)",
    ),
    "load/up": Sentence(ca="engegat des de fa {span}", es="encendido desde hace {span}", en="up for {span}"),
    "clock/within": Sentence(
        ca="com a molt a {seconds} s del nostre",
        es="como mucho a {seconds} s del nuestro",
        en="within {seconds} s of ours",
    ),
    "clock/off": Sentence(
        ca="es porta {span} amb el nostre", es="se lleva {span} con el nuestro", en="{span} off ours"
    ),
    "clock/servers": Sentence(
        ca="a {seconds} s dels seus servidors d'hora",
        es="a {seconds} s de sus servidores de hora",
        en="{seconds} s off its time servers",
    ),
    "clock/alone": Sentence(
        ca="no segueix cap altre rellotge", es="no sigue ningún otro reloj", en="follows no other clock"
    ),
    "updates/none": Sentence(ca="no n'hi ha cap de pendent", es="no hay ninguna pendiente", en="none waits"),
    "updates/waiting": Sentence(ca="pendents: {count}", es="pendientes: {count}", en="{count} wait"),
    "updates/named": Sentence(
        ca="pendents: {count} ({names})", es="pendientes: {count} ({names})", en="{count} wait: {names}"
    ),
    "updates/looked": Sentence(
        ca="{before}; mirat: {ago}", es="{before}; mirado: {ago}", en="{before}; looked {ago}"
    ),
    "reboot/needed": Sentence(ca="cal", es="hace falta", en="needed"),
    "reboot/for": Sentence(ca="cal, per {names}", es="hace falta, por {names}", en="needed, for {names}"),
    "reboot/not-needed": Sentence(
        ca="no cal, Linux {kernel}", es="no hace falta, Linux {kernel}", en="not needed, Linux {kernel}"
    ),
    "firewall/gone": Sentence(
        ca="les seves regles no hi són", es="sus reglas no están", en="its rules are not there"
    ),
    "firewall/open": Sentence(
        ca="deixa passar el que no està prohibit",
        es="deja pasar lo que no está prohibido",
        en="lets in what is not forbidden",
    ),
    "firewall/changed": Sentence(
        ca="les regles no són les que va carregar provision",
        es="las reglas no son las que cargó provision",
        en="other rules than provision loaded",
    ),
    "firewall/well": Sentence(
        ca="actiu, tancat si no es diu el contrari",
        es="activo, cerrado si no se dice lo contrario",
        en="active, shut by default",
    ),
    "journal": Sentence(ca="{errors} {causes}", es="{errors} {causes}", en="{errors} {causes}"),
    "journal/least": Sentence(
        ca="com a mínim {errors} {causes}", es="al menos {errors} {causes}", en="at least {errors} {causes}"
    ),
    "journal/most": Sentence(
        ca="{before}; el més repetit ({count}), {unit}: {text}",
        es="{before}; el más repetido ({count}), {unit}: {text}",
        en="{before}; most often ({count}) {unit}: {text}",
    ),
    "files": Sentence(
        ca="canviats: {count} de {all}", es="cambiados: {count} de {all}", en="{count} of {all} changed"
    ),
    "files/named": Sentence(
        ca="canviats: {count} de {all}: {names}",
        es="cambiados: {count} de {all}: {names}",
        en="{count} of {all} changed: {names}",
    ),
    "files/closed": Sentence(
        ca="no s'han pogut mirar: {count}",
        es="no se han podido mirar: {count}",
        en="{count} could not be asked",
    ),
    "file": Sentence(ca="{path} ({difference})", es="{path} ({difference})", en="{path} ({difference})"),
    "file/content": Sentence(ca="contingut", es="contenido", en="content"),
    "file/owner": Sentence(
        ca="és de {owner}:{group}", es="es de {owner}:{group}", en="belongs to {owner}:{group}"
    ),
    "file/mode": Sentence(ca="permisos {mode}", es="permisos {mode}", en="mode {mode}"),
    "last-run/none": Sentence(ca="encara cap", es="aún ninguna", en="none yet"),
    "last-run": Sentence(
        ca="{run}, feta per {person}, {at}: {outcome}",
        es="{run}, hecha por {person}, {at}: {outcome}",
        en="{run} by {person} at {at}: {outcome}",
    ),
    "failed": Sentence(ca="han fallat: {units}", es="han fallado: {units}", en="failed: {units}"),
    # What services lean on.
    "unit/since": Sentence(
        ca="{state} des de fa {span}", es="{state} desde hace {span}", en="{state} since {span}"
    ),
    "unit/not-installed": Sentence(ca="no està instal·lat", es="no está instalado", en="not installed"),
    "unit/restarts": Sentence(ca="{count} en un dia", es="{count} en un día", en="{count} in a day"),
    "unit/memory": Sentence(
        ca="aturat {count} per la memòria",
        es="parado {count} por la memoria",
        en="ended {count} for its memory",
    ),
    "timer": Sentence(
        ca="{state}, última vegada: {ago}",
        es="{state}, última vez: {ago}",
        en="{state}, last started {ago}",
    ),
    "timer/at-work": Sentence(ca="hi treballa ara", es="ahora está en ello", en="at work"),
    "timer/no-result": Sentence(ca="sense resultat", es="sin resultado", en="no result"),
    "bound": Sentence(ca="escolta a {addresses}", es="escucha en {addresses}", en="listens on {addresses}"),
    "bound/nothing": Sentence(ca="no hi escolta res", es="no escucha nada ahí", en="nothing listens there"),
    "php/exhausted": Sentence(
        ca="no respon cap treballador ({reason}), {waits}",
        es="no responde ningún proceso ({reason}), {waits}",
        en="no worker answers ({reason}), {waits}",
    ),
    "php/busy": Sentence(
        ca="treballadors ocupats: {busy} de {all}, {waits}",
        es="procesos ocupados: {busy} de {all}, {waits}",
        en="{busy} of {all} workers busy, {waits}",
    ),
    "php/nobody-waits": Sentence(ca="no espera ningú", es="no espera nadie", en="nobody waits"),
    "redis/holds": Sentence(ca="respon, té {size}", es="responde, tiene {size}", en="answers, holds {size}"),
    "redis/holds-of": Sentence(
        ca="respon, té {size} de {most}",
        es="responde, tiene {size} de {most}",
        en="answers, holds {size} of {most}",
    ),
    "database": Sentence(
        ca="{size}, connexions: {taken} de {most}",
        es="{size}, conexiones: {taken} de {most}",
        en="{size}, {taken} of {most} connections",
    ),
    "database/read-only": Sentence(
        ca="{size}, només lectura", es="{size}, solo lectura", en="{size}, read only"
    ),
    "certificate/no-end": Sentence(
        ca="no diu quan caduca", es="no dice cuándo caduca", en="it has no time of its end"
    ),
    "certificate/ends": Sentence(
        ca="caduca d'aquí a {span}", es="caduca dentro de {span}", en="ends in {span}"
    ),
    "certificate/ended": Sentence(ca="va caducar fa {span}", es="caducó hace {span}", en="ended {span} ago"),
    "certificate/names": Sentence(
        ca="per a {names}; {ends}", es="para {names}; {ends}", en="for {names}; {ends}"
    ),
    "certificate/no-names": Sentence(
        ca="sense cap nom; {ends}", es="sin ningún nombre; {ends}", en="without a name; {ends}"
    ),
    "certificate/key": Sentence(ca="clau: {reason}", es="clave: {reason}", en="key: {reason}"),
    "certificate/key-other": Sentence(
        ca="la seva clau és d'un altre certificat",
        es="su clave es de otro certificado",
        en="its key belongs to another certificate",
    ),
    "certificate/early": Sentence(
        ca="no val fins d'aquí a {span}", es="no vale hasta dentro de {span}", en="valid only in {span}"
    ),
    "certificate/key-open": Sentence(
        ca="clau amb permisos {mode}", es="clave con permisos {mode}", en="key with mode {mode}"
    ),
    # Acceptance tests.
    "deep/passed": Sentence(ca="superada", es="superada", en="passed"),
    "deep/sudo": Sentence(
        ca="sudo demana una contrasenya en aquest servidor",
        es="sudo pide una contraseña en este servidor",
        en="sudo asks for a password on this server",
    ),
    "deep/late": Sentence(
        ca="no han acabat en {seconds} s",
        es="no han terminado en {seconds} s",
        en="not ended after {seconds} s",
    ),
    "deep/none": Sentence(
        ca="no s'ha fet cap prova", es="no se ha hecho ninguna prueba", en="no test was run"
    ),
    # Quantities.
    "many-days": Sentence(ca="molts dies", es="muchos días", en="many days"),
    "never": Sentence(ca="mai", es="nunca", en="never"),
    "ago": Sentence(ca="fa {span}", es="hace {span}", en="{span} ago"),
    "and-more": Sentence(
        ca="{texts} i {count} més", es="{texts} y {count} más", en="{texts} and {count} more"
    ),
}

#: What is counted: one of it, and several.
COUNTS: Mapping[str, tuple[Sentence, Sentence]] = {
    "days": (
        Sentence(ca="{count} dia", es="{count} día", en="{count} day"),
        Sentence(ca="{count} dies", es="{count} días", en="{count} days"),
    ),
    "hours": (
        Sentence(ca="{count} hora", es="{count} hora", en="{count} hour"),
        Sentence(ca="{count} hores", es="{count} horas", en="{count} hours"),
    ),
    "minutes": (
        Sentence(ca="{count} minut", es="{count} minuto", en="{count} minute"),
        Sentence(ca="{count} minuts", es="{count} minutos", en="{count} minutes"),
    ),
    "seconds": (
        Sentence(ca="{count} segon", es="{count} segundo", en="{count} second"),
        Sentence(ca="{count} segons", es="{count} segundos", en="{count} seconds"),
    ),
    "updates": (
        Sentence(
            ca="{count} actualització de seguretat",
            es="{count} actualización de seguridad",
            en="{count} security update waits",
        ),
        Sentence(
            ca="{count} actualitzacions de seguretat",
            es="{count} actualizaciones de seguridad",
            en="{count} security updates wait",
        ),
    ),
    "requests-that-wait": (
        Sentence(
            ca="{count} petició que espera", es="{count} petición que espera", en="{count} request waits"
        ),
        Sentence(
            ca="{count} peticions que esperen",
            es="{count} peticiones que esperan",
            en="{count} requests wait",
        ),
    ),
    "processors": (
        Sentence(ca="{count} processador", es="{count} procesador", en="{count} processor"),
        Sentence(ca="{count} processadors", es="{count} procesadores", en="{count} processors"),
    ),
    "errors": (
        Sentence(ca="{count} error", es="{count} error", en="{count} error"),
        Sentence(ca="{count} errors", es="{count} errores", en="{count} errors"),
    ),
    "causes": (
        Sentence(ca="d'una causa", es="de una causa", en="of {count} cause"),
        Sentence(ca="de {count} causes", es="de {count} causas", en="of {count} causes"),
    ),
    "restarts": (
        Sentence(ca="{count} reinici", es="{count} reinicio", en="{count} restart"),
        Sentence(ca="{count} reinicis", es="{count} reinicios", en="{count} restarts"),
    ),
    "times": (
        Sentence(ca="{count} cop", es="{count} vez", en="{count} time"),
        Sentence(ca="{count} cops", es="{count} veces", en="{count} times"),
    ),
    "requests-wait": (
        Sentence(ca="{count} petició espera", es="{count} petición espera", en="{count} request waits"),
        Sentence(ca="{count} peticions esperen", es="{count} peticiones esperan", en="{count} requests wait"),
    ),
}


def seen(key: str, **values: object) -> Sentence:
    """A sentence of ``SEEN`` with its values."""
    return SEEN[key].filled(**values) if values else SEEN[key]


def counted(number: int, what: str) -> Sentence:
    """A number of things, such as ``3 restarts`` or ``1 restart``.

    Args:
        what: a key of ``COUNTS``.
    """
    return COUNTS[what][number != 1].filled(count=number)


def decimal(number: float, digits: int) -> Sentence:
    """A number with so many digits behind the point, or the comma."""
    english = f"{number:.{digits}f}"
    local = english.replace(".", ",")
    return Sentence(local, local, english)


def size(number: float) -> Sentence:
    """Bytes for people, such as ``12.3 GiB``."""
    number = abs(number)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            break
        number /= 1024
    return Sentence.joined(
        (decimal(number, 0 if unit == "B" or number >= 100 else 1), Sentence.plain(unit)), " "
    )


def span(seconds: float) -> Sentence:
    """A time for people, such as ``3 days`` or ``5 hours``."""
    seconds = abs(seconds)
    for length, name in ((_DAY, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * length:
            return counted(round(seconds / length), name)
    return Sentence.plain(f"{seconds:.0f} s")


def ago(seconds: float | None) -> Sentence:
    """How long ago something was; ``never`` for None."""
    return SEEN["never"] if seconds is None else seen("ago", span=span(max(0.0, seconds)))


def cut(texts: Sequence[str | Sentence], most: int = 5) -> Sentence:
    """The first of several texts, and how many there are more.

    Args:
        texts: those that come from a server are made printable, each on a line of 60 characters.
    """
    shown = Sentence.joined(
        [
            text if isinstance(text, Sentence) else Sentence.plain(printable_line(text, 60))
            for text in texts[:most]
        ]
    )
    return shown if len(texts) <= most else seen("and-more", texts=shown, count=len(texts) - most)
