"""What it means for the school when a question of a ``service.yml`` is not answered well, and what to do."""

from provision.health.result import Sentence

#: By cause of a ``ProbeResult``: meaning, then remedy. ``{service}`` is the service's title.
OUTSIDE: dict[str, tuple[Sentence, Sentence]] = {
    "silent": (
        Sentence(
            "Ningú no pot obrir {service}: el servidor no contesta.",
            "Nadie puede abrir {service}: el servidor no contesta.",
            "Nobody can open {service}: the server does not answer.",
        ),
        Sentence(
            "Mireu si el servidor és engegat i té xarxa; després: provision check {school}. Si no, truqueu a "
            "l'ajuntament.",
            "Mire si el servidor está encendido y tiene red; después: provision check {school}. Si no, llame al "
            "ayuntamiento.",
            "See whether the server is on and has its network; then: provision check {school}. Otherwise call "
            "the city.",
        ),
    ),
    "refused": (
        Sentence(
            "Ningú no pot obrir {service}: no hi ha connexió amb la seva adreça.",
            "Nadie puede abrir {service}: no hay conexión con su dirección.",
            "Nobody can open {service}: there is no connection to its address.",
        ),
        Sentence(
            "Mireu que el nom {hostname} porti al servidor i que sigui engegat; després: provision check {school}, o "
            "truqueu a l'ajuntament.",
            "Mire que el nombre {hostname} lleve al servidor y que esté encendido; después: provision check "
            "{school}, o "
            "llame al ayuntamiento.",
            "See that the name {hostname} leads to the server and that it is on; then: provision check "
            "{school}, or call "
            "the city.",
        ),
    ),
    "name": (
        Sentence(
            "Ningú no troba {service}: el nom {hostname} no porta enlloc (DNS).",
            "Nadie encuentra {service}: el nombre {hostname} no lleva a ninguna parte (DNS).",
            "Nobody finds {service}: the name {hostname} leads nowhere (DNS).",
        ),
        Sentence(
            "Si no hi ha altres pàgines que s'obrin, mireu primer la vostra pròpia connexió. Si no, feu que qui porta "
            "el domini hi posi l'adreça del servidor, {address}.",
            "Si tampoco se abren otras páginas, mire primero su propia conexión. Si no, haga que quien lleva el "
            "dominio le ponga la dirección del servidor, {address}.",
            "If other pages do not open either, look at your own connection first. Otherwise have whoever keeps the "
            "domain give it the server's address, {address}.",
        ),
    ),
    "certificate": (
        Sentence(
            "Els navegadors diuen que {service} no és segur, o no l'obren.",
            "Los navegadores dicen que {service} no es seguro, o no lo abren.",
            "Browsers say that {service} is not safe, or do not open it.",
        ),
        Sentence(
            "No accepteu l'avís del navegador. Executeu provision apply {school} --service {id}, o truqueu a "
            "l'ajuntament.",
            "No acepte el aviso del navegador. Ejecute provision apply {school} --service {id}, o llame al "
            "ayuntamiento.",
            "Do not click the browser's warning away. Run provision apply {school} --service {id}, or call the city.",
        ),
    ),
    "status": (
        Sentence(
            "Qui obre {service} hi troba un error, o no el que busca.",
            "Quien abre {service} encuentra un error, o no lo que busca.",
            "Who opens {service} finds an error, or not what they look for.",
        ),
        Sentence(
            "Executeu provision apply {school} --service {id}, o truqueu a l'ajuntament.",
            "Ejecute provision apply {school} --service {id}, o llame al ayuntamiento.",
            "Run provision apply {school} --service {id}, or call the city.",
        ),
    ),
    "exposed": (
        Sentence(
            "Des d'internet es veu una part de {service} que ha de ser tancada.",
            "Desde internet se ve una parte de {service} que debe estar cerrada.",
            "A part of {service} that must be closed can be seen from the internet.",
        ),
        Sentence(
            "És urgent: executeu provision apply {school} --service {id}, o truqueu a l'ajuntament avui mateix.",
            "Es urgente: ejecute provision apply {school} --service {id}, o llame al ayuntamiento hoy mismo.",
            "This is urgent: run provision apply {school} --service {id}, or call the city today.",
        ),
    ),
    "content": (
        Sentence(
            "{service} respon, però no com cal: potser només en funciona una part.",
            "{service} responde, pero no como debe: quizá solo funciona una parte.",
            "{service} answers, but not as it should: perhaps only a part of it works.",
        ),
        Sentence(
            "Executeu provision apply {school} --service {id}, o truqueu a l'ajuntament.",
            "Ejecute provision apply {school} --service {id}, o llame al ayuntamiento.",
            "Run provision apply {school} --service {id}, or call the city.",
        ),
    ),
    "down": (
        Sentence(
            "{service} no funciona, o no del tot: un dels seus programes és aturat.",
            "{service} no funciona, o no del todo: uno de sus programas está parado.",
            "{service} does not work, or not fully: one of its programs has stopped.",
        ),
        Sentence(
            "Executeu provision apply {school} --service {id}, que el torna a engegar, o truqueu a l'ajuntament.",
            "Ejecute provision apply {school} --service {id}, que lo vuelve a arrancar, o llame al ayuntamiento.",
            "Run provision apply {school} --service {id}, which starts it again, or call the city.",
        ),
    ),
    "late": (
        Sentence(
            "No se sap si {service} va bé: la resposta no ha arribat a temps, i la gent també hi espera.",
            "No se sabe si {service} va bien: la respuesta no ha llegado a tiempo, y la gente también espera.",
            "It is not known whether {service} is well: the answer did not come in time, and people wait as well.",
        ),
        Sentence(
            "Torneu-ho a provar d'aquí a uns minuts: provision health {school}. Si continua igual, truqueu a "
            "l'ajuntament.",
            "Pruebe otra vez dentro de unos minutos: provision health {school}. Si sigue igual, llame al "
            "ayuntamiento.",
            "Try again in a few minutes: provision health {school}. If it stays like that, call the city.",
        ),
    ),
}

#: The host did not let us ask what is inside.
HOST_SILENT: tuple[Sentence, Sentence] = (
    Sentence(
        "Des d'aquí no es pot mirar dins del servidor; les pàgines poden funcionar igualment.",
        "Desde aquí no se puede mirar dentro del servidor; las páginas pueden funcionar igualmente.",
        "We cannot look inside the server from here; the pages may work all the same.",
    ),
    Sentence(
        "Executeu provision check {school}, que en diu la causa, o truqueu a l'ajuntament.",
        "Ejecute provision check {school}, que dice la causa, o llame al ayuntamiento.",
        "Run provision check {school}, which tells the cause, or call the city.",
    ),
)

#: A question that was not put, since something before it went wrong.
UNASKED: tuple[Sentence, Sentence] = (
    Sentence(
        "No se sap si això va bé: no s'ha pogut preguntar.",
        "No se sabe si esto va bien: no se ha podido preguntar.",
        "It is not known whether this is well: it could not be asked.",
    ),
    Sentence(
        "Resoleu-ne primer el motiu: {reason}",
        "Resuelva primero el motivo: {reason}",
        "Mend the reason first: {reason}",
    ),
)

#: The school could not be asked at all: something on this side is missing.
NOT_ASKED_TITLE = Sentence(
    "Es pot preguntar a l'escola",
    "Se puede preguntar a la escuela",
    "The school can be asked",
)
NOT_ASKED: tuple[Sentence, Sentence] = (
    Sentence(
        "No se sap res de l'escola: no s'hi ha pogut preguntar.",
        "No se sabe nada de la escuela: no se le ha podido preguntar.",
        "Nothing is known of the school: it could not be asked.",
    ),
    Sentence(
        "Qui administra les escoles ha de fer: {remedy}. Truqueu a l'ajuntament si no sou vosaltres.",
        "Quien administra las escuelas debe hacer: {remedy}. Llame al ayuntamiento si no es usted.",
        "Who administers the schools has to do: {remedy}. Call the city if that is not you.",
    ),
)

#: What is asked of the way to a service.
DOOR_TITLES: dict[str, Sentence] = {
    "dns": Sentence(
        "El nom {hostname} porta al servidor",
        "El nombre {hostname} lleva al servidor",
        "The name {hostname} leads to the server",
    ),
    "tls": Sentence("La connexió és segura", "La conexión es segura", "The connection is safe"),
    "headers": Sentence(
        "La pàgina protegeix el navegador", "La página protege el navegador", "The page protects the browser"
    ),
    "answer": Sentence(
        "La resposta arriba de seguida", "La respuesta llega enseguida", "The answer comes at once"
    ),
}

#: What is not well with it, besides what pages have as well: meaning, then remedy.
DOOR: dict[str, tuple[Sentence, Sentence]] = {
    "ending": (
        Sentence(
            "El certificat de {hostname} caduca d'aquí a {days}: després els navegadors no obriran {service}.",
            "El certificado de {hostname} caduca dentro de {days}: después los navegadores no abrirán {service}.",
            "The certificate of {hostname} ends in {days}: then browsers will not open {service}.",
        ),
        Sentence(
            "Executeu provision apply {school} --service {id}, o truqueu a l'ajuntament.",
            "Ejecute provision apply {school} --service {id}, o llame al ayuntamiento.",
            "Run provision apply {school} --service {id}, or call the city.",
        ),
    ),
    "old": (
        Sentence(
            "El servidor encara accepta {version}, que es pot escoltar: algú n'ha canviat la configuració.",
            "El servidor todavía acepta {version}, que se puede escuchar: alguien ha cambiado su configuración.",
            "The server still accepts {version}, which can be listened to: somebody has changed its settings.",
        ),
        Sentence(
            "Executeu provision apply {school}, o truqueu a l'ajuntament.",
            "Ejecute provision apply {school}, o llame al ayuntamiento.",
            "Run provision apply {school}, or call the city.",
        ),
    ),
    "headers": (
        Sentence(
            "{service} funciona, però sense les proteccions que donem als navegadors.",
            "{service} funciona, pero sin las protecciones que damos a los navegadores.",
            "{service} works, but without the protections that we give to browsers.",
        ),
        Sentence(
            "Executeu provision apply {school} --service {id}, o truqueu a l'ajuntament.",
            "Ejecute provision apply {school} --service {id}, o llame al ayuntamiento.",
            "Run provision apply {school} --service {id}, or call the city.",
        ),
    ),
    "slow": (
        Sentence(
            "{service} va lent: la gent espera {seconds} cada pàgina.",
            "{service} va lento: la gente espera {seconds} cada página.",
            "{service} is slow: people wait {seconds} for each page.",
        ),
        Sentence(
            "Mireu en aquesta mateixa taula la memòria, la càrrega i els treballadors de PHP del servidor; si no hi "
            "veieu res, mireu la vostra connexió, o truqueu a l'ajuntament.",
            "Mire en esta misma tabla la memoria, la carga y los procesos de PHP del servidor; si no ve nada, mire "
            "su conexión, o llame al ayuntamiento.",
            "See in this same table the server's memory, load and PHP workers; if they are well, look at your own "
            "connection, or call the city.",
        ),
    ),
}
