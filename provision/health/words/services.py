"""What is asked of a service on its server, and what its faults mean: Catalan, Spanish, English."""

from collections.abc import Mapping

from provision.health.result import Sentence
from provision.health.words.faults import APPLY, Fault

TITLES: Mapping[str, Sentence] = {
    "unit": Sentence(
        ca="{unit} és en marxa",
        es="{unit} está en marcha",
        en="{unit} runs",
    ),
    "bound": Sentence(
        ca="Només el mateix servidor arriba al port {port}",
        es="Solo el propio servidor llega al puerto {port}",
        en="Only the server itself reaches port {port}",
    ),
    "php-fpm": Sentence(
        ca="PHP té treballadors lliures",
        es="PHP tiene procesos libres",
        en="PHP has workers to spare",
    ),
    "redis": Sentence(
        ca="La memòria ràpida {name} respon i té lloc",
        es="La memoria rápida {name} responde y tiene sitio",
        en="The fast store {name} answers and has room",
    ),
    "database": Sentence(
        ca="El servei arriba a la seva base de dades {name}",
        es="El servicio llega a su base de datos {name}",
        en="The service reaches its database {name}",
    ),
    "certificate-file": Sentence(
        ca="El certificat del servidor és bo per a {hostname}",
        es="El certificado del servidor es bueno para {hostname}",
        en="The certificate on the server is good for {hostname}",
    ),
    "deep": Sentence(
        ca="Prova d'acceptació: {rule}",
        es="Prueba de aceptación: {rule}",
        en="Acceptance test: {rule}",
    ),
    "timer": Sentence(
        ca="La tasca periòdica {unit} es fa",
        es="La tarea periódica {unit} se hace",
        en="The regular task {unit} is done",
    ),
}

FAULTS: Mapping[str, Fault] = {
    "deep/failed": Fault(
        Sentence(
            ca="Una regla que {title} ha de complir en cada escola no es compleix en aquest servidor.",
            es="Una regla que {title} debe cumplir en cada escuela no se cumple en este servidor.",
            en="A rule that {title} has to keep in every school is not kept on this server.",
        ),
        APPLY,
    ),
    "deep/impossible": Fault(
        Sentence(
            ca="Les proves d'acceptació de {title} no s'han pogut fer del tot: no es sap si compleix les regles.",
            es="Las pruebas de aceptación de {title} no se han podido hacer del todo: no se sabe si cumple las "
            "reglas.",
            en="The acceptance tests of {title} could not be run to their end: whether it keeps the rules is not "
            "known.",
        ),
        Sentence(
            ca="Mireu «provision health {school}» sense --deep, i torneu-ho a provar.",
            es="Mire «provision health {school}» sin --deep, y vuelva a probarlo.",
            en="See “provision health {school}” without --deep, and try again.",
        ),
    ),
    "unit/missing": Fault(
        Sentence(
            ca="{unit} no està instal·lat al servidor: {title} no pot funcionar.",
            es="{unit} no está instalado en el servidor: {title} no puede funcionar.",
            en="{unit} is not installed on the server: {title} cannot work.",
        ),
        APPLY,
    ),
    "unit/stopped": Fault(
        Sentence(
            ca="{unit} està aturat: {title} no funciona, o no del tot.",
            es="{unit} está parado: {title} no funciona, o no del todo.",
            en="{unit} is stopped: {title} does not work, or not all of it.",
        ),
        APPLY,
    ),
    "unit/failed": Fault(
        Sentence(
            ca="{unit} ha fallat i no torna a arrencar sol: {title} no funciona, o no del tot.",
            es="{unit} ha fallado y no vuelve a arrancar solo: {title} no funciona, o no del todo.",
            en="{unit} has failed and does not start again by itself: {title} does not work, or not all of "
            "it.",
        ),
        APPLY,
    ),
    "unit/looping": Fault(
        Sentence(
            ca="{unit} s'atura cada cop que arrenca: {title} no funciona, o només a estones.",
            es="{unit} se para cada vez que arranca: {title} no funciona, o solo a ratos.",
            en="{unit} stops each time that it starts: {title} does not work, or only now and then.",
        ),
        APPLY,
    ),
    "unit/starting": Fault(
        Sentence(
            ca="{unit} està arrencant: {title} encara no funciona.",
            es="{unit} está arrancando: {title} todavía no funciona.",
            en="{unit} is starting: {title} does not work yet.",
        ),
        Sentence(
            ca="Espereu un minut i torneu-ho a mirar: «provision health {school}».",
            es="Espere un minuto y vuelva a mirarlo: «provision health {school}».",
            en="Wait a minute and look again: “provision health {school}”.",
        ),
    ),
    "unit/restarts": Fault(
        Sentence(
            ca="{unit} s'ha aturat {times} en un dia i ha tornat a arrencar: qui treballava amb {title} "
            "ho ha notat.",
            es="{unit} se ha parado {times} en un día y ha vuelto a arrancar: quien trabajaba con "
            "{title} lo ha notado.",
            en="{unit} stopped {times} in a day and started again: those who worked with {title} noticed.",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament i digueu-los les hores; els errors del servidor són en aquesta "
            "mateixa taula.",
            es="Llame al ayuntamiento y dígales las horas; los errores del servidor están en esta misma "
            "tabla.",
            en="Call the city and tell them the times; the errors of the server stand in this same table.",
        ),
    ),
    "unit/memory": Fault(
        Sentence(
            ca="El servidor ha acabat {unit} perquè feia servir massa memòria ({times} en un dia).",
            es="El servidor ha terminado {unit} porque usaba demasiada memoria ({times} en un día).",
            en="The server ended {unit} because it took too much memory ({times} in a day).",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament: el servidor necessita més memòria, o un servei en fa servir massa.",
            es="Llame al ayuntamiento: el servidor necesita más memoria, o un servicio usa demasiada.",
            en="Call the city: the server needs more memory, or a service takes too much.",
        ),
    ),
    "unit/disabled": Fault(
        Sentence(
            ca="{unit} funciona, però no tornarà a arrencar quan es reiniciï el servidor.",
            es="{unit} funciona, pero no volverá a arrancar cuando se reinicie el servidor.",
            en="{unit} runs, but will not come back when the server restarts.",
        ),
        APPLY,
    ),
    "loopback/silent": Fault(
        Sentence(
            ca="{title} no respon ni al mateix servidor: el programa és aturat, penjat o escolta en un altre "
            "lloc.",
            es="{title} no responde ni al propio servidor: el programa está parado, colgado o escucha en "
            "otro sitio.",
            en="{title} does not even answer the server itself: its program is stopped, hangs, or listens "
            "elsewhere.",
        ),
        APPLY,
    ),
    "loopback/other": Fault(
        Sentence(
            ca="{title} respon, però no com cal: potser està a mig actualitzar o en manteniment.",
            es="{title} responde, pero no como debe: quizá está a medio actualizar o en mantenimiento.",
            en="{title} answers, but not as it should: it may be half upgraded or in maintenance.",
        ),
        APPLY,
    ),
    "bound/open": Fault(
        Sentence(
            ca="{title} escolta al port {port} cap a la xarxa: només el tallafoc impedeix entrar-hi sense "
            "passar pel web.",
            es="{title} escucha en el puerto {port} hacia la red: solo el cortafuegos impide entrar sin "
            "pasar por la web.",
            en="{title} listens on port {port} towards the network: only the firewall keeps others from "
            "going around "
            "the web server.",
        ),
        APPLY,
    ),
    "php-fpm/missing": Fault(
        Sentence(
            ca="El PHP de {title} no està preparat al servidor: les pàgines no es poden obrir.",
            es="El PHP de {title} no está preparado en el servidor: las páginas no se pueden abrir.",
            en="The PHP of {title} is not set up on the server: its pages cannot open.",
        ),
        APPLY,
    ),
    "php-fpm/gone": Fault(
        Sentence(
            ca="El PHP de {title} no respon: les pàgines donen un error.",
            es="El PHP de {title} no responde: las páginas dan un error.",
            en="The PHP of {title} does not answer: its pages show an error.",
        ),
        APPLY,
    ),
    "php-fpm/exhausted": Fault(
        Sentence(
            ca="Tots els treballadors de PHP de {title} estan ocupats: les pàgines triguen molt o no "
            "s'obren.",
            es="Todos los procesos de PHP de {title} están ocupados: las páginas tardan mucho o no se abren.",
            en="All PHP workers of {title} are busy: pages take long or do not open.",
        ),
        Sentence(
            ca="Espereu uns minuts; si no passa, truqueu a l'ajuntament: alguna cosa bloqueja {title}, o el "
            "servidor és petit.",
            es="Espere unos minutos; si no se pasa, llame al ayuntamiento: algo bloquea {title}, o el "
            "servidor es pequeño.",
            en="Wait some minutes; if it stays so, call the city: something blocks {title}, or the server is "
            "too small.",
        ),
    ),
    "php-fpm/queue": Fault(
        Sentence(
            ca="Hi ha {requests} un treballador de PHP: {title} va lent.",
            es="Hay {requests} un proceso de PHP: {title} va lento.",
            en="{requests} for a PHP worker: {title} is slow.",
        ),
        Sentence(
            ca="Torneu-ho a mirar d'aquí a uns minuts; si és així cada dia, digueu-ho a l'ajuntament.",
            es="Vuelva a mirarlo en unos minutos; si es así cada día, dígaselo al ayuntamiento.",
            en="Look again in some minutes; if it is so every day, tell the city.",
        ),
    ),
    "redis/missing": Fault(
        Sentence(
            ca="La memòria ràpida {name} de {title} no està preparada al servidor.",
            es="La memoria rápida {name} de {title} no está preparada en el servidor.",
            en="The fast store {name} of {title} is not set up on the server.",
        ),
        APPLY,
    ),
    "redis/gone": Fault(
        Sentence(
            ca="La memòria ràpida {name} no respon: a {title} la gent no pot entrar, o tot va molt lent.",
            es="La memoria rápida {name} no responde: en {title} la gente no puede entrar, o todo va muy "
            "lento.",
            en="The fast store {name} does not answer: people cannot log in to {title}, or all is very slow.",
        ),
        APPLY,
    ),
    "redis/full": Fault(
        Sentence(
            ca="La memòria ràpida {name} és plena: {title} pot fer fora la gent o donar errors.",
            es="La memoria rápida {name} está llena: {title} puede echar a la gente o dar errores.",
            en="The fast store {name} is full: {title} may log people out or show errors.",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament: {name} necessita més memòria.",
            es="Llame al ayuntamiento: {name} necesita más memoria.",
            en="Call the city: {name} needs more memory.",
        ),
    ),
    "database/down": Fault(
        Sentence(
            ca="El servidor de bases de dades no respon: {title} no funciona.",
            es="El servidor de bases de datos no responde: {title} no funciona.",
            en="The database server does not answer: {title} does not work.",
        ),
        APPLY,
    ),
    "database/missing": Fault(
        Sentence(
            ca="La base de dades {name} no hi és: {title} no funciona. Si hi havia dades, cal la còpia de "
            "seguretat.",
            es="La base de datos {name} no está: {title} no funciona. Si había datos, hace falta la copia de "
            "seguridad.",
            en="The database {name} is not there: {title} does not work. If there were data, the backup is "
            "needed.",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament abans de fer res: «provision apply» en crearia una de buida.",
            es="Llame al ayuntamiento antes de hacer nada: «provision apply» crearía una vacía.",
            en="Call the city before you do anything: “provision apply” would create an empty one.",
        ),
    ),
    "database/refused": Fault(
        Sentence(
            ca="La base de dades {name} no deixa entrar el seu servei: {title} no funciona.",
            es="La base de datos {name} no deja entrar a su servicio: {title} no funciona.",
            en="The database {name} does not let its service in: {title} does not work.",
        ),
        APPLY,
    ),
    "database/read-only": Fault(
        Sentence(
            ca="La base de dades només es pot llegir: a {title} no es pot desar res.",
            es="La base de datos solo se puede leer: en {title} no se puede guardar nada.",
            en="The database can only be read: nothing can be saved in {title}.",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament: algú ha de tornar-la a obrir per escriure-hi.",
            es="Llame al ayuntamiento: alguien tiene que volver a abrirla para escribir.",
            en="Call the city: somebody must open it for writing again.",
        ),
    ),
    "database/crowded": Fault(
        Sentence(
            ca="Gairebé totes les connexions de la base de dades estan ocupades: {title} pot donar errors "
            "aviat.",
            es="Casi todas las conexiones de la base de datos están ocupadas: {title} puede dar errores "
            "pronto.",
            en="Nearly all connections of the database are taken: {title} may show errors soon.",
        ),
        Sentence(
            ca="Torneu-ho a mirar d'aquí a uns minuts; si no baixa, truqueu a l'ajuntament.",
            es="Vuelva a mirarlo en unos minutos; si no baja, llame al ayuntamiento.",
            en="Look again in some minutes; if it does not go down, call the city.",
        ),
    ),
    "certificate-file/missing": Fault(
        Sentence(
            ca="El certificat de {hostname} no hi és: els navegadors no obriran {title} quan el servidor web "
            "es reiniciï.",
            es="El certificado de {hostname} no está: los navegadores no abrirán {title} cuando se reinicie "
            "el servidor web.",
            en="The certificate of {hostname} is not there: browsers will not open {title} once the web "
            "server restarts.",
        ),
        APPLY,
    ),
    "certificate-file/damaged": Fault(
        Sentence(
            ca="El certificat de {hostname} no es pot llegir: {title} no s'obrirà quan el servidor web es "
            "reiniciï.",
            es="El certificado de {hostname} no se puede leer: {title} no se abrirá cuando se reinicie el "
            "servidor web.",
            en="The certificate of {hostname} cannot be read: {title} will not open once the web server "
            "restarts.",
        ),
        APPLY,
    ),
    "certificate-file/key": Fault(
        Sentence(
            ca="La clau del certificat de {hostname} falta o no es pot llegir: el servidor web no podrà "
            "tornar a arrencar.",
            es="La clave del certificado de {hostname} falta o no se puede leer: el servidor web no podrá "
            "volver a arrancar.",
            en="The key of the certificate of {hostname} is missing or cannot be read: the web server cannot "
            "start again.",
        ),
        APPLY,
    ),
    "certificate-file/key-other": Fault(
        Sentence(
            ca="La clau no és la del certificat de {hostname}: el servidor web no podrà tornar a arrencar.",
            es="La clave no es la del certificado de {hostname}: el servidor web no podrá volver a arrancar.",
            en="The key is not that of the certificate of {hostname}: the web server cannot start again.",
        ),
        APPLY,
    ),
    "certificate-file/key-open": Fault(
        Sentence(
            ca="Altres usuaris del servidor poden llegir la clau del certificat de {hostname}.",
            es="Otros usuarios del servidor pueden leer la clave del certificado de {hostname}.",
            en="Other users of the server can read the key of the certificate of {hostname}.",
        ),
        APPLY,
    ),
    "certificate-file/name": Fault(
        Sentence(
            ca="El certificat no és per a {hostname}: els navegadors adverteixen i no obren {title}.",
            es="El certificado no es para {hostname}: los navegadores avisan y no abren {title}.",
            en="The certificate is not for {hostname}: browsers warn and do not open {title}.",
        ),
        APPLY,
    ),
    "certificate-file/early": Fault(
        Sentence(
            ca="El certificat de {hostname} encara no val: el rellotge del servidor o el certificat estan "
            "equivocats.",
            es="El certificado de {hostname} aún no vale: el reloj del servidor o el certificado están "
            "equivocados.",
            en="The certificate of {hostname} is not valid yet: the clock of the server or the certificate "
            "is wrong.",
        ),
        APPLY,
    ),
    "certificate-file/expired": Fault(
        Sentence(
            ca="El certificat de {hostname} ha caducat: els navegadors adverteixen i no obren {title}.",
            es="El certificado de {hostname} ha caducado: los navegadores avisan y no abren {title}.",
            en="The certificate of {hostname} has ended: browsers warn and do not open {title}.",
        ),
        APPLY,
    ),
    "certificate-file/ending": Fault(
        Sentence(
            ca="El certificat de {hostname} caduca d'aquí a {days} i ja s'hauria d'haver renovat.",
            es="El certificado de {hostname} caduca dentro de {days} y ya se debería haber renovado.",
            en="The certificate of {hostname} ends in {days} and should have been renewed by now.",
        ),
        APPLY,
    ),
    "timer/stopped": Fault(
        Sentence(
            ca="La tasca periòdica {unit} està aturada: el que fa per a {title} ja no es fa.",
            es="La tarea periódica {unit} está parada: lo que hace para {title} ya no se hace.",
            en="The regular task {unit} is stopped: what it does for {title} is done no more.",
        ),
        APPLY,
    ),
    "timer/failed": Fault(
        Sentence(
            ca="La tasca periòdica {unit} es fa, però l'últim cop ha fallat: {title} pot quedar endarrerit.",
            es="La tarea periódica {unit} se hace, pero la última vez ha fallado: {title} puede quedar "
            "atrasado.",
            en="The regular task {unit} is started, but failed the last time: {title} may fall behind.",
        ),
        APPLY,
    ),
    "timer/late": Fault(
        Sentence(
            ca="La tasca periòdica {unit} no s'ha fet des de fa massa temps: {title} pot quedar endarrerit.",
            es="La tarea periódica {unit} no se ha hecho desde hace demasiado tiempo: {title} puede quedar "
            "atrasado.",
            en="The regular task {unit} was not done for too long: {title} may fall behind.",
        ),
        APPLY,
    ),
}
