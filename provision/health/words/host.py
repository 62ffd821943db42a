"""What is asked of a server itself, and what its faults mean: Catalan, Spanish, English."""

from collections.abc import Mapping

from provision.health.result import Sentence
from provision.health.words.faults import APPLY_ALL, Fault

#: The server itself, where a sentence about a unit or a timer has the name of a service.
SERVER = Sentence(ca="el servidor", es="el servidor", en="the server")

TITLES: Mapping[str, Sentence] = {
    "probe": Sentence(
        ca="El servidor diu com està",
        es="El servidor dice cómo está",
        en="The server tells how it is",
    ),
    "disk": Sentence(
        ca="Hi ha lloc al disc ({point})",
        es="Hay sitio en el disco ({point})",
        en="There is room on the disk ({point})",
    ),
    "inodes": Sentence(
        ca="Hi caben més fitxers ({point})",
        es="Caben más ficheros ({point})",
        en="There is room for more files ({point})",
    ),
    "memory": Sentence(ca="Hi ha memòria lliure", es="Hay memoria libre", en="There is free memory"),
    "load": Sentence(
        ca="El servidor dona l'abast", es="El servidor da abasto", en="The server keeps up with its work"
    ),
    "clock": Sentence(ca="El rellotge va a l'hora", es="El reloj va en hora", en="The clock is right"),
    "updates": Sentence(
        ca="Les actualitzacions de seguretat estan posades",
        es="Las actualizaciones de seguridad están puestas",
        en="Security updates are installed",
    ),
    "reboot": Sentence(
        ca="No cal reiniciar el servidor",
        es="No hace falta reiniciar el servidor",
        en="The server needs no restart",
    ),
    "units-failed": Sentence(
        ca="Cap programa del sistema ha fallat",
        es="Ningún programa del sistema ha fallado",
        en="No program of the system has failed",
    ),
    "journal": Sentence(
        ca="Errors del darrer dia al registre del servidor",
        es="Errores del último día en el registro del servidor",
        en="Errors of the last day in the server's journal",
    ),
    "firewall": Sentence(
        ca="El tallafoc funciona", es="El cortafuegos funciona", en="The firewall is active"
    ),
    "files": Sentence(
        ca="Ningú no ha canviat a mà els nostres fitxers",
        es="Nadie ha cambiado a mano nuestros ficheros",
        en="Nobody has changed our files by hand",
    ),
    "last-run": Sentence(
        ca="L'última execució de provision va acabar bé",
        es="La última ejecución de provision terminó bien",
        en="The last run of provision ended well",
    ),
}

FAULTS: Mapping[str, Fault] = {
    "unknown": Fault(
        Sentence(
            ca="Això no s'ha pogut preguntar: pot estar bé o no.",
            es="Esto no se ha podido preguntar: puede estar bien o no.",
            en="This could not be asked: it may be well or not.",
        ),
        Sentence(
            ca="Torneu-ho a provar: «provision health {school}». Si continua, truqueu a l'ajuntament.",
            es="Vuelva a probarlo: «provision health {school}». Si sigue así, llame al ayuntamiento.",
            en="Try again: “provision health {school}”. If it stays so, call the city.",
        ),
    ),
    "probe/unreachable": Fault(
        Sentence(
            ca="No es pot entrar al servidor {host}: pot estar apagat, sense xarxa, o no deixar-nos passar.",
            es="No se puede entrar en el servidor {host}: puede estar apagado, sin red, o no dejarnos pasar.",
            en="The server {host} cannot be entered: it may be off, off the network, or not let us in.",
        ),
        Sentence(
            ca="Mireu si el servidor és engegat i té xarxa; després executeu «provision check {school}».",
            es="Mire si el servidor está encendido y tiene red; después ejecute «provision check {school}».",
            en="See whether the server is on and has network; then run “provision check {school}”.",
        ),
    ),
    "probe/key": Fault(
        Sentence(
            ca="El servidor {host} hi és, però no deixa entrar la clau amb què es pregunta: per dins no se'n sap res.",
            es="El servidor {host} está, pero no deja entrar la clave con que se pregunta: por dentro no se sabe nada.",
            en="The server {host} is there, but does not let in the key that asks: nothing is known of its inside.",
        ),
        Sentence(
            ca="Demaneu a l'ajuntament que la deixi entrar: «provision health grant {school} --key FITXER». Si és la "
            "seva, mireu quina clau diu el fitxer de l'escola.",
            es="Pida al ayuntamiento que la deje entrar: «provision health grant {school} --key FICHERO». Si es la "
            "suya, mire qué clave dice el fichero de la escuela.",
            en="Ask the city to let it in: “provision health grant {school} --key FILE”. If it is the city's own, see "
            "which key the school's file names.",
        ),
    ),
    "probe/host-key": Fault(
        Sentence(
            ca="Qui respon com a {host} no té la clau de servidor que es coneix: pot ser un altre, o algú que escolta. "
            "No se li ha enviat res.",
            es="Quien responde como {host} no tiene la clave de servidor que se conoce: puede ser otro, o alguien que "
            "escucha. No se le ha enviado nada.",
            en="What answers as {host} does not have the host key that is known: it may be another server, or somebody "
            "who listens in. Nothing was sent to it.",
        ),
        Sentence(
            ca="Aviseu l'ajuntament. Si el servidor és nou, que compari la clau a la seva consola; després: "
            "«provision school trust {school} --replace».",
            es="Avise al ayuntamiento. Si el servidor es nuevo, que compare la clave en su consola; después: "
            "«provision school trust {school} --replace».",
            en="Tell the city. If the server is new, they compare the key at its console; then: "
            "“provision school trust {school} --replace”.",
        ),
    ),
    "probe/missing": Fault(
        Sentence(
            ca="Al servidor {host} no hi ha el programa que diu com està: per dins se'n sap poca cosa.",
            es="En el servidor {host} no está el programa que dice cómo está: por dentro se sabe poco.",
            en="The server {host} lacks the program that tells how it is: little is known of its inside.",
        ),
        APPLY_ALL,
    ),
    "probe/strange": Fault(
        Sentence(
            ca="El servidor {host} respon una cosa que no s'entén: pot estar malmès, o algú l'ha manipulat.",
            es="El servidor {host} responde algo que no se entiende: puede estar dañado, o alguien lo ha "
            "manipulado.",
            en="The server {host} answers something that makes no sense: it may be damaged, or tampered "
            "with.",
        ),
        Sentence(
            ca="Executeu «provision apply {school}»; si continua, truqueu a l'ajuntament i no us refieu del "
            "servidor.",
            es="Ejecute «provision apply {school}»; si sigue así, llame al ayuntamiento y no se fíe del "
            "servidor.",
            en="Run “provision apply {school}”; if it stays so, call the city and do not trust the server.",
        ),
    ),
    "disk/full": Fault(
        Sentence(
            ca="El disc ({point}) és ple: aviat no es podrà desar res, i els serveis s'aturen.",
            es="El disco ({point}) está lleno: pronto no se podrá guardar nada, y los servicios se paran.",
            en="The disk ({point}) is full: soon nothing can be saved, and services stop.",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament avui: cal fer lloc o posar-hi un disc més gran.",
            es="Llame al ayuntamiento hoy: hay que hacer sitio o poner un disco mayor.",
            en="Call the city today: space must be made, or a larger disk put in.",
        ),
    ),
    "disk/filling": Fault(
        Sentence(
            ca="El disc ({point}) s'omple: tal com creix ara, serà ple d'aquí a {days}.",
            es="El disco ({point}) se llena: tal como crece ahora, estará lleno dentro de {days}.",
            en="The disk ({point}) is filling up: as it grows now, it is full in {days}.",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament aquesta setmana: cal fer lloc o posar-hi un disc més gran.",
            es="Llame al ayuntamiento esta semana: hay que hacer sitio o poner un disco mayor.",
            en="Call the city this week: space must be made, or a larger disk put in.",
        ),
    ),
    "disk/low": Fault(
        Sentence(
            ca="Queda poc lloc al disc ({point}).",
            es="Queda poco sitio en el disco ({point}).",
            en="Little room is left on the disk ({point}).",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament aquesta setmana: cal fer lloc o posar-hi un disc més gran.",
            es="Llame al ayuntamiento esta semana: hay que hacer sitio o poner un disco mayor.",
            en="Call the city this week: space must be made, or a larger disk put in.",
        ),
    ),
    "disk/read-only": Fault(
        Sentence(
            ca="El disc ({point}) només es pot llegir: no es pot desar res. Sovint és un disc que falla.",
            es="El disco ({point}) solo se puede leer: no se puede guardar nada. A menudo es un disco que "
            "falla.",
            en="The disk ({point}) can only be read: nothing can be saved. Often the disk itself is failing.",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament ara mateix, i no reinicieu el servidor.",
            es="Llame al ayuntamiento ahora mismo, y no reinicie el servidor.",
            en="Call the city right now, and do not restart the server.",
        ),
    ),
    "inodes/full": Fault(
        Sentence(
            ca="Al disc ({point}) no hi caben més fitxers, encara que hi hagi lloc: no es pot desar res de "
            "nou.",
            es="En el disco ({point}) no caben más ficheros, aunque haya sitio: no se puede guardar nada "
            "nuevo.",
            en="The disk ({point}) takes no more files, although there may be room: nothing new can be "
            "saved.",
        ),
        Sentence(
            ca="Truqueu a l'ajuntament avui: cal esborrar els molts fitxers petits que algun programa hi "
            "deixa.",
            es="Llame al ayuntamiento hoy: hay que borrar los muchos ficheros pequeños que deja algún "
            "programa.",
            en="Call the city today: the many small files that some program leaves there must go.",
        ),
    ),
    "memory/low": Fault(
        Sentence(
            ca="Gairebé no queda memòria: tot va lent, i el servidor pot aturar programes.",
            es="Casi no queda memoria: todo va lento, y el servidor puede parar programas.",
            en="Hardly any memory is left: all is slow, and the server may end programs.",
        ),
        Sentence(
            ca="Si continua una hora, truqueu a l'ajuntament: el servidor necessita més memòria, o un servei "
            "en fa servir massa.",
            es="Si sigue así una hora, llame al ayuntamiento: el servidor necesita más memoria, o un "
            "servicio usa demasiada.",
            en="If it stays so for an hour, call the city: the server needs more memory, or a service takes "
            "too much.",
        ),
    ),
    "load/high": Fault(
        Sentence(
            ca="El servidor té més feina de la que pot fer: tot va lent.",
            es="El servidor tiene más trabajo del que puede hacer: todo va lento.",
            en="The server has more work than it can do: all is slow.",
        ),
        Sentence(
            ca="Torneu-ho a mirar d'aquí a un quart; si és així cada dia, digueu-ho a l'ajuntament.",
            es="Vuelva a mirarlo dentro de un cuarto de hora; si es así cada día, dígaselo al ayuntamiento.",
            en="Look again in a quarter of an hour; if it is so every day, tell the city.",
        ),
    ),
    "clock/off": Fault(
        Sentence(
            ca="El rellotge del servidor va {seconds} malament: la gent pot no poder entrar, i les "
            "hores no són certes.",
            es="El reloj del servidor va {seconds} mal: puede que la gente no pueda entrar, y las "
            "horas no son ciertas.",
            en="The clock of the server is {seconds} off: people may be unable to log in, and times "
            "are wrong.",
        ),
        APPLY_ALL,
    ),
    "clock/alone": Fault(
        Sentence(
            ca="El rellotge del servidor no s'ajusta amb cap altre: a poc a poc anirà malament.",
            es="El reloj del servidor no se ajusta con ningún otro: poco a poco irá mal.",
            en="The clock of the server follows no other clock: it will slowly go wrong.",
        ),
        Sentence(
            ca="Si ho diu també demà, digueu a l'ajuntament que el servidor no arriba als servidors d'hora.",
            es="Si lo dice también mañana, diga al ayuntamiento que el servidor no llega a los servidores de "
            "hora.",
            en="If it says so tomorrow as well, tell the city that the server does not reach its time "
            "servers.",
        ),
    ),
    "updates/waiting": Fault(
        Sentence(
            ca="Hi ha {updates} per posar. Normalment es posen soles cada dia.",
            es="Hay {updates} por poner. Normalmente se ponen solas cada día.",
            en="{updates}. They usually install themselves every day.",
        ),
        Sentence(
            ca="Si demà encara hi són, truqueu a l'ajuntament.",
            es="Si mañana siguen ahí, llame al ayuntamiento.",
            en="If they are still there tomorrow, call the city.",
        ),
    ),
    "updates/old": Fault(
        Sentence(
            ca="Fa {days} que el servidor no mira si hi ha actualitzacions de seguretat: en pot faltar "
            "alguna.",
            es="Hace {days} que el servidor no mira si hay actualizaciones de seguridad: puede faltar "
            "alguna.",
            en="The server has not looked for security updates for {days}: some may be missing.",
        ),
        APPLY_ALL,
    ),
    "reboot/needed": Fault(
        Sentence(
            ca="Una actualització de seguretat només fa efecte després de reiniciar el servidor.",
            es="Una actualización de seguridad solo tiene efecto después de reiniciar el servidor.",
            en="A security update takes effect only after a restart of the server.",
        ),
        Sentence(
            ca="Demaneu a l'ajuntament que reiniciï el servidor fora de l'horari de classe.",
            es="Pida al ayuntamiento que reinicie el servidor fuera del horario de clase.",
            en="Ask the city to restart the server outside of lessons.",
        ),
    ),
    "units-failed/some": Fault(
        Sentence(
            ca="Han fallat programes del sistema ({units}): els serveis poden funcionar igualment, però cal "
            "mirar-ho.",
            es="Han fallado programas del sistema ({units}): los servicios pueden funcionar igual, pero hay "
            "que mirarlo.",
            en="Programs of the system have failed ({units}): services may work all the same, but somebody "
            "should look.",
        ),
        APPLY_ALL,
    ),
    "journal/many": Fault(
        Sentence(
            ca="{unit} escriu el mateix error un cop i un altre ({times} en un dia).",
            es="{unit} escribe el mismo error una y otra vez ({times} en un día).",
            en="{unit} writes the same error again and again ({times} in a day).",
        ),
        Sentence(
            ca="Si algú nota que una cosa no va, llegiu aquest error a l'ajuntament.",
            es="Si alguien nota que algo no va, lea este error al ayuntamiento.",
            en="If anybody notices that something does not work, read this error to the city.",
        ),
    ),
    "firewall/gone": Fault(
        Sentence(
            ca="El tallafoc està apagat: la xarxa arriba a tot el que escolta al servidor.",
            es="El cortafuegos está apagado: la red llega a todo lo que escucha en el servidor.",
            en="The firewall is off: the network reaches everything that listens on the server.",
        ),
        APPLY_ALL,
    ),
    "firewall/open": Fault(
        Sentence(
            ca="El tallafoc deixa passar tot el que no està prohibit: ha de ser al revés.",
            es="El cortafuegos deja pasar todo lo que no está prohibido: debe ser al revés.",
            en="The firewall lets in whatever is not forbidden: it must be the other way round.",
        ),
        APPLY_ALL,
    ),
    "firewall/changed": Fault(
        Sentence(
            ca="Algú ha canviat a mà les regles del tallafoc: pot deixar passar massa o massa poc.",
            es="Alguien ha cambiado a mano las reglas del cortafuegos: puede dejar pasar demasiado o "
            "demasiado poco.",
            en="Somebody has changed the rules of the firewall by hand: it may let in too much or too "
            "little.",
        ),
        APPLY_ALL,
    ),
    "files/changed": Fault(
        Sentence(
            ca="Algú ha canviat a mà fitxers que provision posa ({files}): el pròxim «apply» ho desfarà.",
            es="Alguien ha cambiado a mano ficheros que provision pone ({files}): el próximo «apply» lo "
            "deshará.",
            en="Somebody has changed files by hand that provision writes ({files}): the next “apply” undoes "
            "it.",
        ),
        Sentence(
            ca="Pregunteu qui ho ha fet i per què; «provision plan {school}» mostra què canviaria.",
            es="Pregunte quién lo ha hecho y por qué; «provision plan {school}» muestra qué cambiaría.",
            en="Ask who did it and why; “provision plan {school}” shows what would be changed back.",
        ),
    ),
    "last-run/none": Fault(
        Sentence(
            ca="provision encara no ha acabat cap execució en aquest servidor.",
            es="provision aún no ha terminado ninguna ejecución en este servidor.",
            en="provision has not finished any run on this server yet.",
        ),
        APPLY_ALL,
    ),
    "last-run/failed": Fault(
        Sentence(
            ca="L'última execució de provision no va acabar bé: alguna cosa pot estar a mitges.",
            es="La última ejecución de provision no terminó bien: algo puede estar a medias.",
            en="The last run of provision did not end well: something may be half done.",
        ),
        APPLY_ALL,
    ),
    "last-run/open": Fault(
        Sentence(
            ca="Una execució de provision ha començat i no ha dit com acabava: encara treballa, o es va tallar.",
            es="Una ejecución de provision ha empezado y no ha dicho cómo acababa: aún trabaja, o se cortó.",
            en="A run of provision began and did not say how it ended: it is still at work, or was cut off.",
        ),
        Sentence(
            ca="Si ara no hi treballa ningú, executeu «provision apply {school}», o truqueu a l'ajuntament.",
            es="Si ahora no trabaja nadie en él, ejecute «provision apply {school}», o llame al ayuntamiento.",
            en="If nobody works on it now, run “provision apply {school}”, or call the city.",
        ),
    ),
    "last-run/unknown": Fault(
        Sentence(
            ca="El registre no sap res de l'última execució en aquest servidor: algú hi ha treballat des "
            "d'un altre lloc, o "
            "algú ha tocat el registre.",
            es="El registro no sabe nada de la última ejecución en este servidor: alguien ha trabajado desde "
            "otro sitio, o "
            "alguien ha tocado el registro.",
            en="The log knows nothing of the last run on this server: somebody worked on it from elsewhere, "
            "or touched "
            "the log.",
        ),
        Sentence(
            ca="Digueu-ho a l'ajuntament; «provision audit verify {school}» comprova el registre.",
            es="Dígaselo al ayuntamiento; «provision audit verify {school}» comprueba el registro.",
            en="Tell the city; “provision audit verify {school}” checks the log.",
        ),
    ),
}
