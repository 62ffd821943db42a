"""What each sort of finding says, by ``kind/variant``, in Catalan, Spanish and English."""

from collections.abc import Mapping

Texts = Mapping[str, str]

WORDS: Mapping[str, Texts] = {
    "edited/entry": {
        "en": "its text is not the one that was logged",
        "es": "su texto no es el que se registró",
        "ca": "el text no és el que es va registrar",
    },
    "deleted/entry": {
        "en": "what was logged here is gone",
        "es": "lo que se registró aquí ya no está",
        "ca": "el que es va registrar aquí ja no hi és",
    },
    "inserted/entry": {
        "en": "in front of it stands something that was never logged ({count} entries)",
        "es": "delante hay algo que nunca se registró ({count} entradas)",
        "ca": "al davant hi ha una cosa que mai no es va registrar ({count} entrades)",
    },
    "reordered/entry": {
        "en": "it stands at another place than it was logged at",
        "es": "está en un lugar distinto de donde se registró",
        "ca": "és en un lloc diferent d’on es va registrar",
    },
    "truncated/end": {
        "en": "the end is missing: the checkpoint counts {size} entries, {found} are there",
        "es": "falta el final: el punto de control cuenta {size} entradas y hay {found}",
        "ca": "falta el final: el punt de control compta {size} entrades i n’hi ha {found}",
    },
    "damaged/bundle": {
        "en": "the file {file} is missing or cannot be read: {error}",
        "es": "el archivo {file} falta o no se puede leer: {error}",
        "ca": "el fitxer {file} falta o no es pot llegir: {error}",
    },
    "rewritten/root": {
        "en": "entries and tree do not give the root of the checkpoint: something here was changed, "
        "removed or put in",
        "es": "entradas y árbol no dan la raíz del punto de control: aquí se cambió, quitó o añadió algo",
        "ca": "entrades i arbre no donen l’arrel del punt de control: aquí s’ha canviat, tret o afegit "
        "alguna cosa",
    },
    "rewritten/cosigned": {
        "en": "{cosigner} cosigned {size} entries on {time}, and they were others: something here was "
        "changed, removed or put in afterwards ({source})",
        "es": "{cosigner} cofirmó {size} entradas el {time}, y eran otras: después se cambió, quitó o "
        "añadió algo ({source})",
        "ca": "{cosigner} va cosignar {size} entrades el {time}, i eren unes altres: després s’hi ha "
        "canviat, tret o afegit alguna cosa ({source})",
    },
    "forked/checkpoint": {
        "en": "the log’s key {key} also signed another history of {size} entries ({source})",
        "es": "la clave {key} del registro firmó también otra historia de {size} entradas ({source})",
        "ca": "la clau {key} del registre també va signar una altra història de {size} entrades ({source})",
    },
    "forked/proof": {
        "en": "the log’s key signed two histories of the first {size} entries; the proof is kept in {source}",
        "es": "la clave del registro firmó dos historias de las primeras {size} entradas; la prueba está en {source}",
        "ca": "la clau del registre va signar dues històries de les primeres {size} entrades; la prova és a {source}",
    },
    "forked/two": {
        "en": "two checkpoints of {size} entries contradict each other: {source} and {other}",
        "es": "dos puntos de control de {size} entradas se contradicen: {source} y {other}",
        "ca": "dos punts de control de {size} entrades es contradiuen: {source} i {other}",
    },
    "rolled-back/checkpoint": {
        "en": "{source} proves {size} entries, and the log has only {have} now",
        "es": "{source} prueba {size} entradas, y ahora el registro solo tiene {have}",
        "ca": "{source} prova {size} entrades, i ara el registre només en té {have}",
    },
    "tile/file": {
        "en": "{file} is not what the entries give, which are right themselves; proofs cannot be made "
        "from it",
        "es": "{file} no es lo que dan las entradas, que sí son correctas; con él no se pueden hacer pruebas",
        "ca": "{file} no és el que donen les entrades, que sí que són correctes; no se’n poden fer proves",
    },
    "damaged/note": {
        "en": "{file} is no checkpoint: {error}",
        "es": "{file} no es un punto de control: {error}",
        "ca": "{file} no és un punt de control: {error}",
    },
    "damaged/name": {
        "en": "{file} holds the checkpoint of {size} entries",
        "es": "{file} contiene el punto de control de {size} entradas",
        "ca": "{file} conté el punt de control de {size} entrades",
    },
    "foreign/checkpoint": {
        "en": "{file} is a checkpoint of another log: {origin}",
        "es": "{file} es un punto de control de otro registro: {origin}",
        "ca": "{file} és un punt de control d’un altre registre: {origin}",
    },
    "signature/bad": {
        "en": "the signature of {key} on {file} does not hold",
        "es": "la firma de {key} en {file} no es válida",
        "ca": "la signatura de {key} a {file} no és vàlida",
    },
    "signature/none": {
        "en": "no known key of the log signed {file}",
        "es": "ninguna clave conocida del registro firmó {file}",
        "ca": "cap clau coneguda del registre no va signar {file}",
    },
    "replayed/other": {
        "en": "the cosignature of {key} on {file} was made for {other} and put here",
        "es": "la cofirma de {key} en {file} se hizo para {other} y se puso aquí",
        "ca": "la cosignatura de {key} a {file} es va fer per a {other} i s’ha posat aquí",
    },
    "replayed/unknown": {
        "en": "the cosignature of {key} on {file} is not for this checkpoint: it was forged, or taken "
        "from another one",
        "es": "la cofirma de {key} en {file} no es de este punto de control: se falsificó o se tomó de otro",
        "ca": "la cosignatura de {key} a {file} no és d’aquest punt de control: s’ha falsificat o s’ha "
        "pres d’un altre",
    },
    "key-swapped/invalid": {
        "en": "{file} ({size} entries) is signed with {key}, which was not a key of this log at that time",
        "es": "{file} ({size} entradas) está firmado con {key}, que entonces no era una clave de este "
        "registro",
        "ca": "{file} ({size} entrades) està signat amb {key}, que aleshores no era una clau d’aquest "
        "registre",
    },
    "key-swapped/untrusted": {
        "en": "{file} is signed with {key} only, which nobody vouches for whom the policy trusts",
        "es": "{file} solo está firmado con {key}, de la que no responde nadie en quien confíe la política",
        "ca": "{file} només està signat amb {key}, de la qual no respon ningú en qui confiï la política",
    },
    "key-swapped/rotation": {
        "en": "the new key {key} is not vouched for by the old one: no kept checkpoint is signed with both",
        "es": "la clave antigua no responde de la nueva, {key}: ningún punto de control guardado lleva "
        "las dos firmas",
        "ca": "la clau antiga no respon de la nova, {key}: cap punt de control desat no porta les dues "
        "signatures",
    },
    "key-swapped/opening": {
        "en": "the log says that it was opened with other keys than the policy has, and no rotation leads "
        "from one to the other",
        "es": "el registro dice que se abrió con otras claves que las de la política, y ninguna rotación "
        "lleva de unas a otras",
        "ca": "el registre diu que es va obrir amb altres claus que les de la política, i cap rotació no "
        "porta de les unes a les altres",
    },
    "key-swapped/policy": {
        "en": "the directory’s policy names a log key that no entry announced: {key}",
        "es": "la política del directorio nombra una clave que ninguna entrada anunció: {key}",
        "ca": "la política del directori anomena una clau que cap entrada no va anunciar: {key}",
    },
    "policy/missing": {
        "en": "there is no policy: {error}",
        "es": "no hay política: {error}",
        "ca": "no hi ha política: {error}",
    },
    "policy/changed": {
        "en": "the file “policy” is not the policy that this entry set",
        "es": "el archivo «policy» no es la política que fijó esta entrada",
        "ca": "el fitxer «policy» no és la política que va fixar aquesta entrada",
    },
    "policy/unvouched": {
        "en": "the keys come from the directory that is to be checked; who could alter it could alter "
        "them too",
        "es": "las claves vienen del mismo directorio que se comprueba; quien pudo alterarlo pudo "
        "alterarlas también",
        "ca": "les claus venen del mateix directori que es comprova; qui el pot haver alterat també les "
        "pot haver alterat",
    },
    "policy/no-cosigner": {
        "en": "the policy asks for no cosigner: the city could have rewritten everything, and this check "
        "would not see it",
        "es": "la política no exige cofirma: el municipio podría haberlo reescrito todo sin que se viera "
        "aquí",
        "ca": "la política no exigeix cap cosignatura: el municipi ho podria haver reescrit tot sense que "
        "aquí es veiés",
    },
    "quorum/none": {
        "en": "no kept checkpoint has the cosignatures that the policy asks for ({quorum})",
        "es": "ningún punto de control guardado tiene las cofirmas que exige la política ({quorum})",
        "ca": "cap punt de control desat no té les cosignatures que exigeix la política ({quorum})",
    },
    "quorum/after": {
        "en": "nobody but the city has signed them so far ({count} entries since {since})",
        "es": "de momento solo las ha firmado el municipio ({count} entradas desde {since})",
        "ca": "de moment només les ha signades el municipi ({count} entrades des de {since})",
    },
    "stale/log": {
        "en": "the newest entry is of {time}, longer ago than the {span} that were allowed",
        "es": "la última entrada es de {time}, hace más de lo permitido ({span})",
        "ca": "l’última entrada és de {time}, fa més del permès ({span})",
    },
    "stale/cosigned": {
        "en": "the newest cosignature that counts is of {time}, longer ago than the {span} that were allowed",
        "es": "la última cofirma que cuenta es de {time}, hace más de lo permitido ({span})",
        "ca": "l’última cosignatura que compta és de {time}, fa més del permès ({span})",
    },
    "form/unreadable": {
        "en": "it cannot be read: {error}",
        "es": "no se puede leer: {error}",
        "ca": "no es pot llegir: {error}",
    },
    "form/canonical": {
        "en": "its bytes are not in the canonical form (RFC 8785)",
        "es": "sus bytes no están en la forma canónica (RFC 8785)",
        "ca": "els seus bytes no són en la forma canònica (RFC 8785)",
    },
    "form/time": {
        "en": "its time is not written as it must be: {time}",
        "es": "su fecha no está escrita como debe: {time}",
        "ca": "la data no està escrita com cal: {time}",
    },
    "form/data": {
        "en": "it does not say what an entry of type {type} must say ({field})",
        "es": "no dice lo que debe decir una entrada de tipo {type} ({field})",
        "ca": "no diu el que ha de dir una entrada de tipus {type} ({field})",
    },
    "form/opening": {
        "en": "the first entry of a log must open it, and this one is of type {type}",
        "es": "la primera entrada de un registro debe abrirlo, y esta es de tipo {type}",
        "ca": "la primera entrada d’un registre l’ha d’obrir, i aquesta és de tipus {type}",
    },
    "form/opened-again": {
        "en": "it opens the log a second time",
        "es": "abre el registro por segunda vez",
        "ca": "obre el registre per segona vegada",
    },
    "source/other": {
        "en": "it comes from another log: {source}",
        "es": "viene de otro registro: {source}",
        "ca": "ve d’un altre registre: {source}",
    },
    "time-order/back": {
        "en": "dated {time}, but an entry in front of it is of {before} already",
        "es": "lleva fecha {time}, pero una entrada anterior ya es de {before}",
        "ca": "porta data {time}, però una entrada anterior ja és de {before}",
    },
    "time-order/late": {
        "en": "dated {time}, and logged only after an entry of {before}; it had waited on an administrator’s machine",
        "es": "lleva fecha {time} y se registró después de una entrada de {before}; esperó en la máquina de un "
        "administrador",
        "ca": "porta data {time} i es va registrar després d’una entrada de {before}; va esperar a la màquina d’un "
        "administrador",
    },
    "time-order/left-over": {
        "en": "dated {time}, and logged only after an entry of {before}; the log says in front of it that something "
        "of its own had been left over, and not what",
        "es": "lleva fecha {time} y se registró después de una entrada de {before}; el registro dice justo antes "
        "que le había quedado algo atrás, y no qué",
        "ca": "porta data {time} i es va registrar després d’una entrada de {before}; el registre diu just abans "
        "que li havia quedat alguna cosa enrere, i no què",
    },
    "time-forged/cosigned": {
        "en": "dated {time}, but {cosigner} cosigned it on {limit} already ({source})",
        "es": "lleva fecha {time}, pero {cosigner} ya la cofirmó el {limit} ({source})",
        "ca": "porta data {time}, però {cosigner} ja la va cosignar el {limit} ({source})",
    },
    "time-forged/anchored": {
        "en": "dated {time}, but the time stamp of {cosigner} was put on it on {limit} already ({source})",
        "es": "lleva fecha {time}, pero el sello de tiempo de {cosigner} ya se le puso el {limit} ({source})",
        "ca": "porta data {time}, però el segell de temps de {cosigner} ja s’hi va posar el {limit} "
        "({source})",
    },
    "time-forged/future": {
        "en": "dated {time}, which is still to come",
        "es": "lleva fecha {time}, que aún no ha llegado",
        "ca": "porta data {time}, que encara no ha arribat",
    },
    "time-forged/signature": {
        "en": "{cosigner} cosigned {source} on {time}, which is still to come",
        "es": "{cosigner} cofirmó {source} el {time}, que aún no ha llegado",
        "ca": "{cosigner} va cosignar {source} el {time}, que encara no ha arribat",
    },
    "older-date/unseen": {
        "en": "dated {time}, and not yet among the {size} entries that {cosigner} cosigned on {limit}: it was given "
        "an older copy, they had not reached the server, or the date was put back",
        "es": "lleva fecha {time} y aún no estaba entre las {size} entradas que {cosigner} cofirmó el {limit}: le "
        "dieron una copia más antigua, no habían llegado al servidor, o se retrasó la fecha",
        "ca": "porta data {time} i encara no era entre les {size} entrades que {cosigner} va cosignar el {limit}: "
        "li van donar una còpia més antiga, no havien arribat al servidor, o s’ha endarrerit la data",
    },
    "older-date/waited": {
        "en": "dated {time}, and not yet among the {size} entries that {cosigner} cosigned on {limit}; it had "
        "waited on an administrator’s machine",
        "es": "lleva fecha {time} y aún no estaba entre las {size} entradas que {cosigner} cofirmó el {limit}; "
        "esperó en la máquina de un administrador",
        "ca": "porta data {time} i encara no era entre les {size} entrades que {cosigner} va cosignar el {limit}; "
        "va esperar a la màquina d’un administrador",
    },
    "gap/long": {
        "en": "nothing was logged for {span} in front of it, not even a sign of life",
        "es": "antes no se registró nada durante {span}, ni una señal de vida",
        "ca": "abans no es va registrar res durant {span}, ni tan sols un senyal de vida",
    },
    "no-end/run": {
        "en": "run {run} was announced, and how it ended was never logged",
        "es": "se anunció la ejecución {run}, y nunca se registró cómo acabó",
        "ca": "es va anunciar l’execució {run}, i mai no es va registrar com va acabar",
    },
    "no-end/under-way": {
        "en": "run {run} was announced and has not ended yet",
        "es": "se anunció la ejecución {run} y aún no ha acabado",
        "ca": "es va anunciar l’execució {run} i encara no ha acabat",
    },
    "no-intent/run": {
        "en": "run {run} was never announced",
        "es": "la ejecución {run} nunca se anunció",
        "ca": "l’execució {run} mai no es va anunciar",
    },
    "run-order/twice": {
        "en": "run {run} is said twice to do this ({type})",
        "es": "de la ejecución {run} se dice esto dos veces ({type})",
        "ca": "de l’execució {run} es diu això dues vegades ({type})",
    },
    "run-order/late": {
        "en": "run {run} had ended already",
        "es": "la ejecución {run} ya había acabado",
        "ca": "l’execució {run} ja havia acabat",
    },
    "run-order/early": {
        "en": "run {run} did something before it was announced",
        "es": "la ejecución {run} hizo algo antes de anunciarse",
        "ca": "l’execució {run} va fer alguna cosa abans d’anunciar-se",
    },
    "run-order/unstarted": {
        "en": "run {run} changed something without having been started",
        "es": "la ejecución {run} cambió algo sin haberse iniciado",
        "ca": "l’execució {run} va canviar alguna cosa sense haver-se iniciat",
    },
    "unapproved/missing": {
        "en": "run {run} started without the school’s approval, which it needed",
        "es": "la ejecución {run} empezó sin la aprobación del centro, que necesitaba",
        "ca": "l’execució {run} va començar sense l’aprovació del centre, que necessitava",
    },
    "unapproved/unproven": {
        "en": "run {run} is said to be approved by {cosigner}, and no kept cosignature of that time shows it",
        "es": "se dice que {cosigner} aprobó la ejecución {run}, y ninguna cofirma guardada de entonces "
        "lo muestra",
        "ca": "es diu que {cosigner} va aprovar l’execució {run}, i cap cosignatura desada d’aleshores no "
        "ho mostra",
    },
    "unapproved/stranger": {
        "en": "run {run} was approved by {cosigner}, which took the place of a witness that you trust; that one had "
        "not cosigned the change before the run began",
        "es": "la ejecución {run} la aprobó {cosigner}, que ocupó el lugar de un testigo en el que usted confía; "
        "este no había cofirmado el cambio antes de que empezara la ejecución",
        "ca": "l’execució {run} la va aprovar {cosigner}, que va ocupar el lloc d’un testimoni en què confieu; "
        "aquest no havia cosignat el canvi abans que comencés l’execució",
    },
    "former/witness": {
        "en": "run {run} was approved by {cosigner}, a witness of the school at that time ({count} runs); those "
        "that you trust cosigned it later",
        "es": "la ejecución {run} la aprobó {cosigner}, testigo del centro en aquel momento ({count} ejecuciones); "
        "los testigos en los que usted confía la cofirmaron después",
        "ca": "l’execució {run} la va aprovar {cosigner}, testimoni del centre en aquell moment ({count} "
        "execucions); els testimonis en què confieu la van cosignar després",
    },
    "former/unseen": {
        "en": "run {run} was approved by {cosigner} alone, as the city’s policy asked then ({count} runs); the "
        "policy of this check asks for others",
        "es": "la ejecución {run} solo la aprobó {cosigner}, como pedía entonces la política del municipio ({count} "
        "ejecuciones); la política de esta comprobación pide otros testigos",
        "ca": "l’execució {run} només la va aprovar {cosigner}, com demanava aleshores la política del municipi "
        "({count} execucions); la política d’aquesta comprovació demana altres testimonis",
    },
    "unapproved/late": {
        "en": "run {run} is said to be approved by {cosigner}; the cosignature that is kept was made after its "
        "start: a second one, or the run did not wait",
        "es": "se dice que {cosigner} aprobó la ejecución {run}; la cofirma guardada se hizo después del inicio: "
        "o es una segunda, o la ejecución no esperó",
        "ca": "es diu que {cosigner} va aprovar l’execució {run}; la cosignatura desada es va fer després de "
        "l’inici: o és una segona, o l’execució no va esperar",
    },
    "unapproved/not-strict": {
        "en": "run {run} did without the school’s approval, while the policy in force (entry {policy}) "
        "asks for it",
        "es": "la ejecución {run} prescindió de la aprobación del centro, que la política vigente "
        "(entrada {policy}) exige",
        "ca": "l’execució {run} va prescindir de l’aprovació del centre, que la política vigent (entrada "
        "{policy}) exigeix",
    },
    "strict/ended": {
        "en": "from here on runs did not wait for the school’s approval any more",
        "es": "desde aquí las ejecuciones ya no esperaron la aprobación del centro",
        "ca": "des d’aquí les execucions ja no van esperar l’aprovació del centre",
    },
    "strict/unasked": {
        "en": "from here on runs did not wait for the school’s approval any more, and {count} began before the "
        "school had cosigned this, run {run} first",
        "es": "desde aquí las ejecuciones ya no esperaron la aprobación del centro, y {count} empezaron antes de "
        "que el centro cofirmara esto, la primera {run}",
        "ca": "des d’aquí les execucions ja no van esperar l’aprovació del centre, i {count} van començar abans que "
        "el centre ho cosignés, la primera {run}",
    },
    "strict/unseen": {
        "en": "runs did not wait for the school’s approval from here to entry {again}, between two cosignatures of "
        "the school, and {count} began meanwhile, run {run} first",
        "es": "desde aquí hasta la entrada {again}, entre dos cofirmas del centro, las ejecuciones no esperaron su "
        "aprobación, y {count} empezaron mientras tanto, la primera {run}",
        "ca": "des d’aquí fins a l’entrada {again}, entre dues cosignatures del centre, les execucions no en van "
        "esperar l’aprovació, i {count} van començar mentrestant, la primera {run}",
    },
    "detail-altered/step": {
        "en": "step {number} of run {run} is not the one that was logged",
        "es": "el paso {number} de la ejecución {run} no es el que se registró",
        "ca": "el pas {number} de l’execució {run} no és el que es va registrar",
    },
    "detail-altered/line": {
        "en": "the detail of run {run} cannot be read: {error}",
        "es": "el detalle de la ejecución {run} no se puede leer: {error}",
        "ca": "el detall de l’execució {run} no es pot llegir: {error}",
    },
    "detail-altered/root": {
        "en": "the steps of run {run} together are not those that were logged: one was replaced, removed "
        "or moved",
        "es": "los pasos de la ejecución {run} juntos no son los que se registraron: alguno se cambió, "
        "quitó o movió",
        "ca": "els passos de l’execució {run} plegats no són els que es van registrar: algun s’ha "
        "canviat, tret o mogut",
    },
    "detail-missing/file": {
        "en": "the detail of run {run} is gone ({size} steps)",
        "es": "falta el detalle de la ejecución {run} ({size} pasos)",
        "ca": "falta el detall de l’execució {run} ({size} passos)",
    },
    "detail-missing/steps": {
        "en": "the detail of run {run} has {found} steps, and {size} were logged",
        "es": "el detalle de la ejecución {run} tiene {found} pasos, y se registraron {size}",
        "ca": "el detall de l’execució {run} té {found} passos, i se’n van registrar {size}",
    },
    "detail-missing/unbound": {
        "en": "run {run} was broken off and closed by a later one, which knew {size} of its steps; of the {found} here "
        "the others are bound by their own entries only",
        "es": "la ejecución {run} se interrumpió y la cerró otra posterior, que conocía {size} de sus pasos; de los "
        "{found} que hay, los demás solo los ligan sus propias entradas",
        "ca": "l’execució {run} es va interrompre i la va tancar una de posterior, que en coneixia {size} passos; dels "
        "{found} que hi ha, els altres només els lliguen les seves pròpies entrades",
    },
    "detail-missing/step": {
        "en": "step {number} of run {run} is gone",
        "es": "falta el paso {number} de la ejecución {run}",
        "ca": "falta el pas {number} de l’execució {run}",
    },
    "detail-missing/all": {
        "en": "this copy has no detail: the single steps of {runs} runs were not checked",
        "es": "esta copia no tiene detalle: los pasos de {runs} ejecuciones no se han comprobado",
        "ca": "aquesta còpia no té detall: els passos de {runs} execucions no s’han comprovat",
    },
    "erased/unexplained": {
        "en": "step {number} of run {run} was erased, and no entry says so ({count} such steps)",
        "es": "el paso {number} de la ejecución {run} se borró, y ninguna entrada lo dice ({count} pasos "
        "así)",
        "ca": "el pas {number} de l’execució {run} es va esborrar, i cap entrada no ho diu ({count} "
        "passos així)",
    },
    "erased/not-yet": {
        "en": "{count} steps of run {run} were to be erased, and this copy still has them",
        "es": "{count} pasos de la ejecución {run} debían borrarse, y esta copia aún los tiene",
        "ca": "{count} passos de l’execució {run} s’havien d’esborrar, i aquesta còpia encara els té",
    },
    "anchor/bad": {
        "en": "the time stamp on {size} entries does not hold: {error}",
        "es": "el sello de tiempo sobre {size} entradas no es válido: {error}",
        "ca": "el segell de temps sobre {size} entrades no és vàlid: {error}",
    },
    "evidence/kept": {
        "en": "{file} is kept as evidence; it does not contradict this log",
        "es": "{file} se guarda como prueba; no contradice este registro",
        "ca": "{file} es desa com a prova; no contradiu aquest registre",
    },
    "evidence/unreadable": {
        "en": "{file} is kept as evidence and could not be checked",
        "es": "{file} se guarda como prueba y no se ha podido comprobar",
        "ca": "{file} es desa com a prova i no s’ha pogut comprovar",
    },
}
