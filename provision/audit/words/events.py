"""One sentence for each kind of entry, by language.

The keys are an entry's type, and after it what tells its kinds apart. Names stand where no article and no elision
is needed before them, so that any name fits.
"""

from provision.audit.words.terms import Language

SENTENCES: dict[Language, dict[str, str]] = {
    "ca": {
        "log.opened": "{who} ha obert el registre: escola {school}, municipi {municipality}",
        "key.added.log": "{who} ha afegit una clau que signa el registre: {key}",
        "key.added.witness": "{who} ha afegit una clau que cosigna el registre: {key}",
        "key.retired.log": "{who} ha retirat una clau que signava el registre: {key}",
        "key.retired.witness": "{who} ha retirat una clau que cosignava el registre: {key}",
        "policy.set.strict": "{who} ha fixat la política: cada execució espera la cosignatura de l'escola",
        "policy.set.free": "{who} ha fixat la política: les execucions no esperen la cosignatura de l'escola",
        "run.intent": "{who} ha anunciat l'execució {run} a {where}: {verb}{services}{force}",
        "run.approved": "{who} ha donat el vistiplau a l'execució {run} abans que comencés{cosigners}",
        "run.started": "{who} ha començat l'execució {run} a {where}",
        "task.result.changed": "{who} ha fet un canvi a {where} (pas {number}, execució {run})",
        "task.result.failed": "Un pas ha fallat a {where}, iniciat per {who} (pas {number}, execució {run})",
        "task.result.unreachable": (
            "No s'ha pogut arribar a {where} en un pas iniciat per {who} (pas {number}, execució {run})"
        ),
        "task.result.other": "{who} ha fet un pas a {where} (pas {number}, execució {run})",
        "lessons.cut.own": "{who} ha tallat classes que es feien a {where}, amb --force: {lost} (execució {run})",
        "lessons.cut.other": (
            "{who} ha tallat classes que es feien a {where}, amb --force: {lost} (execució {by_run}, escola {by})"
        ),
        "run.ended.ok": "L'execució {run}, iniciada per {who} a {where}, ha acabat bé: {result}",
        "run.ended.failed": "L'execució {run}, iniciada per {who} a {where}, ha fallat{failure}: {result}",
        "run.ended.unhealthy": (
            "L'execució {run}, iniciada per {who} a {where}, ha acabat, però no funciona tot: {result}"
        ),
        "run.ended.cancelled": "L'execució {run}, iniciada per {who} a {where}, s'ha aturat abans del final: {result}",
        "run.ended.refused": "L'execució {run}, iniciada per {who} a {where}, s'ha refusat sense cap canvi: {result}",
        "run.ended.broken off": (
            "L'execució {run}, iniciada per {who} a {where}, es va interrompre sense dir com acabava: {result}"
        ),
        "run.ended.other": "L'execució {run}, iniciada per {who} a {where}, ha acabat: {result}",
        "health.checked.good": "{who} ha comprovat els serveis a {where}: {checks}, totes bé",
        "health.checked.bad": "{who} ha comprovat els serveis a {where}: {bad} de {checks} no van bé ({names})",
        "secret.rotated": "{who} ha canviat secrets a {where}: {names}",
        "access.opened.ssh": "{who} ha entrat a {where} per SSH amb el compte {subject}",
        "access.opened.secret": "{who} ha vist el secret {subject} ({school})",
        "access.opened.grant": "{who} ha donat accés a {where}: {subject}",
        "access.opened.other": "{who} ha obert un accés a {where}: {subject}",
        "access.closed.ssh": "{who} ha sortit de {where}, compte {subject}",
        "access.closed.secret": "{who} ha deixat de veure el secret {subject} ({school})",
        "access.closed.grant": "{who} ha retirat l'accés a {where}: {subject}",
        "access.closed.other": "{who} ha tancat un accés a {where}: {subject}",
        "erasure.performed": "{who} ha esborrat dades personals del detall: {steps}, {runs}",
        "drift.found.unknown-run": "El servidor {where} anomena una execució que no és al registre: {found}",
        "drift.found.changed-copy": "La còpia del registre a {where} no és la que s'hi va deixar: {found}",
        "drift.found.missing-copy": "La còpia del registre a {where} no hi és: {found}",
        "drift.found.contradiction": (
            "S'ha trobat a {where} un estat signat del registre que contradiu aquest: {found}"
        ),
        "drift.found.other": "S'ha trobat a {where} una cosa que el registre no explica: {found}",
        "heartbeat": "Sense novetats: el registre és viu",
        "log.recovered.follows": (
            "{who} havia signat {count} entrades que mai no van arribar al servidor; segueixen aquesta, "
            "paraula per paraula"
        ),
        "log.recovered": "L'escriptura es va tallar; el que va quedar a mitges s'ha anotat i tret: {files}",
        "unknown": "{who} ha deixat una entrada que aquesta versió no coneix: {type}",
    },
    "es": {
        "log.opened": "{who} ha abierto el registro: escuela {school}, municipio {municipality}",
        "key.added.log": "{who} ha añadido una clave que firma el registro: {key}",
        "key.added.witness": "{who} ha añadido una clave que cofirma el registro: {key}",
        "key.retired.log": "{who} ha retirado una clave que firmaba el registro: {key}",
        "key.retired.witness": "{who} ha retirado una clave que cofirmaba el registro: {key}",
        "policy.set.strict": "{who} ha fijado la política: cada ejecución espera la cofirma de la escuela",
        "policy.set.free": "{who} ha fijado la política: las ejecuciones no esperan la cofirma de la escuela",
        "run.intent": "{who} ha anunciado la ejecución {run} en {where}: {verb}{services}{force}",
        "run.approved": "{who} ha dado el visto bueno a la ejecución {run} antes de que empezara{cosigners}",
        "run.started": "{who} ha empezado la ejecución {run} en {where}",
        "task.result.changed": "{who} ha hecho un cambio en {where} (paso {number}, ejecución {run})",
        "task.result.failed": "Un paso ha fallado en {where}, iniciado por {who} (paso {number}, ejecución {run})",
        "task.result.unreachable": (
            "No se ha podido llegar a {where} en un paso iniciado por {who} (paso {number}, ejecución {run})"
        ),
        "task.result.other": "{who} ha hecho un paso en {where} (paso {number}, ejecución {run})",
        "lessons.cut.own": "{who} ha cortado clases que se daban en {where}, con --force: {lost} (ejecución {run})",
        "lessons.cut.other": (
            "{who} ha cortado clases que se daban en {where}, con --force: {lost} (ejecución {by_run}, escuela {by})"
        ),
        "run.ended.ok": "La ejecución {run}, iniciada por {who} en {where}, ha terminado bien: {result}",
        "run.ended.failed": "La ejecución {run}, iniciada por {who} en {where}, ha fallado{failure}: {result}",
        "run.ended.unhealthy": (
            "La ejecución {run}, iniciada por {who} en {where}, ha terminado, pero no todo funciona: {result}"
        ),
        "run.ended.cancelled": (
            "La ejecución {run}, iniciada por {who} en {where}, se ha detenido antes del final: {result}"
        ),
        "run.ended.refused": (
            "La ejecución {run}, iniciada por {who} en {where}, se ha rechazado antes de cualquier cambio: {result}"
        ),
        "run.ended.broken off": (
            "La ejecución {run}, iniciada por {who} en {where}, se interrumpió sin decir cómo acababa: {result}"
        ),
        "run.ended.other": "La ejecución {run}, iniciada por {who} en {where}, ha terminado: {result}",
        "health.checked.good": "{who} ha comprobado los servicios en {where}: {checks}, todas bien",
        "health.checked.bad": "{who} ha comprobado los servicios en {where}: {bad} de {checks} no van bien ({names})",
        "secret.rotated": "{who} ha cambiado secretos en {where}: {names}",
        "access.opened.ssh": "{who} ha entrado en {where} por SSH con la cuenta {subject}",
        "access.opened.secret": "{who} ha visto el secreto {subject} ({school})",
        "access.opened.grant": "{who} ha dado acceso a {where}: {subject}",
        "access.opened.other": "{who} ha abierto un acceso a {where}: {subject}",
        "access.closed.ssh": "{who} ha salido de {where}, cuenta {subject}",
        "access.closed.secret": "{who} ha dejado de ver el secreto {subject} ({school})",
        "access.closed.grant": "{who} ha retirado el acceso a {where}: {subject}",
        "access.closed.other": "{who} ha cerrado un acceso a {where}: {subject}",
        "erasure.performed": "{who} ha borrado datos personales del detalle: {steps}, {runs}",
        "drift.found.unknown-run": "El servidor {where} nombra una ejecución que no está en el registro: {found}",
        "drift.found.changed-copy": "La copia del registro en {where} no es la que se dejó allí: {found}",
        "drift.found.missing-copy": "La copia del registro en {where} no está: {found}",
        "drift.found.contradiction": (
            "Se ha encontrado en {where} un estado firmado del registro que contradice a este: {found}"
        ),
        "drift.found.other": "Se ha encontrado en {where} algo que el registro no explica: {found}",
        "heartbeat": "Sin novedades: el registro está vivo",
        "log.recovered.follows": (
            "{who} había firmado {count} entradas que nunca llegaron al servidor; siguen a esta, palabra por "
            "palabra"
        ),
        "log.recovered": "La escritura se cortó; lo que quedó a medias se ha anotado y retirado: {files}",
        "unknown": "{who} ha dejado una entrada que esta versión no conoce: {type}",
    },
    "en": {
        "log.opened": "{who} opened the log: school {school}, municipality {municipality}",
        "key.added.log": "{who} added a key that signs the log: {key}",
        "key.added.witness": "{who} added a key that cosigns the log: {key}",
        "key.retired.log": "{who} retired a key that signed the log: {key}",
        "key.retired.witness": "{who} retired a key that cosigned the log: {key}",
        "policy.set.strict": "{who} set the policy: each run waits for the school's cosignature",
        "policy.set.free": "{who} set the policy: runs do not wait for the school's cosignature",
        "run.intent": "{who} announced the run {run} at {where}: {verb}{services}{force}",
        "run.approved": "{who} agreed to the run {run} before it began{cosigners}",
        "run.started": "{who} started the run {run} at {where}",
        "task.result.changed": "{who} made a change at {where} (step {number}, run {run})",
        "task.result.failed": "A step failed at {where}, started by {who} (step {number}, run {run})",
        "task.result.unreachable": (
            "{where} could not be reached in a step started by {who} (step {number}, run {run})"
        ),
        "task.result.other": "{who} took a step at {where} (step {number}, run {run})",
        "lessons.cut.own": "{who} cut lessons that went on at {where}, with --force: {lost} (run {run})",
        "lessons.cut.other": (
            "{who} cut lessons that went on at {where}, with --force: {lost} (run {by_run} of the school {by})"
        ),
        "run.ended.ok": "The run {run}, started by {who} at {where}, ended well: {result}",
        "run.ended.failed": "The run {run}, started by {who} at {where}, failed{failure}: {result}",
        "run.ended.unhealthy": "The run {run}, started by {who} at {where}, ended, but not all works: {result}",
        "run.ended.cancelled": "The run {run}, started by {who} at {where}, was stopped before its end: {result}",
        "run.ended.refused": "The run {run}, started by {who} at {where}, was refused before any change: {result}",
        "run.ended.broken off": (
            "The run {run}, started by {who} at {where}, broke off without saying how it ended: {result}"
        ),
        "run.ended.other": "The run {run}, started by {who} at {where}, ended: {result}",
        "health.checked.good": "{who} checked the services at {where}: {checks}, all well",
        "health.checked.bad": "{who} checked the services at {where}: {bad} of {checks} not well ({names})",
        "secret.rotated": "{who} replaced secrets at {where}: {names}",
        "access.opened.ssh": "{who} entered {where} over SSH as {subject}",
        "access.opened.secret": "{who} saw the secret {subject} ({school})",
        "access.opened.grant": "{who} gave access to {where}: {subject}",
        "access.opened.other": "{who} opened an access to {where}: {subject}",
        "access.closed.ssh": "{who} left {where}, account {subject}",
        "access.closed.secret": "{who} stopped seeing the secret {subject} ({school})",
        "access.closed.grant": "{who} took back the access to {where}: {subject}",
        "access.closed.other": "{who} closed an access to {where}: {subject}",
        "erasure.performed": "{who} erased personal data from the detail: {steps}, {runs}",
        "drift.found.unknown-run": "The server {where} names a run that is not in the log: {found}",
        "drift.found.changed-copy": "The copy of the log at {where} is not the one that was put there: {found}",
        "drift.found.missing-copy": "The copy of the log at {where} is not there: {found}",
        "drift.found.contradiction": (
            "A signed state of the log that contradicts this one was found at {where}: {found}"
        ),
        "drift.found.other": "Something was found at {where} that the log does not explain: {found}",
        "heartbeat": "Nothing new: the log is alive",
        "log.recovered.follows": (
            "{who} had signed {count} entries that never reached the server; they follow this one, word for "
            "word"
        ),
        "log.recovered": "Writing was cut off; what was left unfinished was noted and removed: {files}",
        "unknown": "{who} left an entry that this version does not know: {type}",
    },
}

#: Pieces that are put into the sentences, or after them.
PIECES: dict[Language, dict[str, str]] = {
    "ca": {
        "checks": "{good} de {total} comprovacions bé",
        "no changes": "cap canvi",
        "failure": " a {place}, pas {task}",
        "cosigners": " ({names})",
        "why": "Motiu: {why}",
        "ticket": "petició {ticket}",
        "approver": "autoritzada per {approver}",
        "outcome": "Resultat: {outcome}",
        "nothing": "res",
        "only": "només {services}",
        "force": ", i tallar les classes que es facin si cal (--force)",
        "not known": "no se sap quantes, ni si n'hi havia",
        "lab only": "només per a proves",
        "the log": "el registre",
    },
    "es": {
        "checks": "{good} de {total} comprobaciones bien",
        "no changes": "ningún cambio",
        "failure": " en {place}, paso {task}",
        "cosigners": " ({names})",
        "why": "Motivo: {why}",
        "ticket": "petición {ticket}",
        "approver": "autorizada por {approver}",
        "outcome": "Resultado: {outcome}",
        "nothing": "nada",
        "only": "solo {services}",
        "force": ", y cortar las clases que se den si hace falta (--force)",
        "not known": "no se sabe cuántas, ni si las había",
        "lab only": "solo para pruebas",
        "the log": "el registro",
    },
    "en": {
        "checks": "{good} of {total} checks well",
        "no changes": "no changes",
        "failure": " at {place}, step {task}",
        "cosigners": " ({names})",
        "why": "Reason: {why}",
        "ticket": "request {ticket}",
        "approver": "agreed by {approver}",
        "outcome": "Outcome: {outcome}",
        "nothing": "nothing",
        "only": "only {services}",
        "force": ", and to cut lessons that go on where needed (--force)",
        "not known": "how many, and whether any, is not known",
        "lab only": "for tests only",
        "the log": "the log",
    },
}

#: Types of entries, for lists and tables.
TYPE_NAMES: dict[Language, dict[str, str]] = {
    "ca": {
        "log.opened": "registre obert",
        "key.added": "clau afegida",
        "key.retired": "clau retirada",
        "policy.set": "política fixada",
        "run.intent": "execució anunciada",
        "run.approved": "execució autoritzada",
        "run.started": "execució començada",
        "task.result": "resultat d'un pas",
        "lessons.cut": "classes tallades",
        "run.ended": "execució acabada",
        "health.checked": "serveis comprovats",
        "secret.rotated": "secrets canviats",
        "access.opened": "accés obert",
        "access.closed": "accés tancat",
        "erasure.performed": "dades esborrades",
        "drift.found": "fet sense explicació",
        "heartbeat": "senyal de vida",
        "log.recovered": "registre recuperat",
    },
    "es": {
        "log.opened": "registro abierto",
        "key.added": "clave añadida",
        "key.retired": "clave retirada",
        "policy.set": "política fijada",
        "run.intent": "ejecución anunciada",
        "run.approved": "ejecución autorizada",
        "run.started": "ejecución empezada",
        "task.result": "resultado de un paso",
        "lessons.cut": "clases cortadas",
        "run.ended": "ejecución terminada",
        "health.checked": "servicios comprobados",
        "secret.rotated": "secretos cambiados",
        "access.opened": "acceso abierto",
        "access.closed": "acceso cerrado",
        "erasure.performed": "datos borrados",
        "drift.found": "hecho sin explicación",
        "heartbeat": "señal de vida",
        "log.recovered": "registro recuperado",
    },
    "en": {
        "log.opened": "log opened",
        "key.added": "key added",
        "key.retired": "key retired",
        "policy.set": "policy set",
        "run.intent": "run announced",
        "run.approved": "run agreed to",
        "run.started": "run started",
        "task.result": "result of a step",
        "lessons.cut": "lessons cut",
        "run.ended": "run ended",
        "health.checked": "services checked",
        "secret.rotated": "secrets replaced",
        "access.opened": "access opened",
        "access.closed": "access closed",
        "erasure.performed": "data erased",
        "drift.found": "unexplained fact",
        "heartbeat": "sign of life",
        "log.recovered": "log recovered",
    },
}
