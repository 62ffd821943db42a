"""What verification says to people, in Catalan, Spanish and English.

What a finding says is in ``sentences``; kinds are stable names for programs and never shown to people.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

Texts = Mapping[str, str]


def moment(seconds: int) -> str:
    """A time given in Unix seconds, as RFC 3339 in UTC; the number itself where the calendar has no such "
    "day."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


ENTRY: Texts = {"en": "entry {}", "es": "entrada {}", "ca": "entrada {}"}
ENTRIES: Texts = {"en": "entries {} to {}", "es": "entradas {} a {}", "ca": "entrades {} a {}"}
WHAT_TO_DO: Texts = {"en": "What to do:", "es": "Qué hacer:", "ca": "Què cal fer:"}
MORE: Texts = {
    "en": "and {} more of this kind",
    "es": "y {} más de este tipo",
    "ca": "i {} més d’aquest tipus",
}
ERASED: Texts = {
    "en": "Erased: {count} steps of run {run}, on {time}, by {actor} (entry {entry})",
    "es": "Borrado: {count} pasos de la ejecución {run}, el {time}, por {actor} (entrada {entry})",
    "ca": "Esborrat: {count} passos de l’execució {run}, el {time}, per {actor} (entrada {entry})",
}

VERDICT: Mapping[str, Texts] = {
    "cosigned": {
        "en": "VERIFIED: the {size} entries of {origin} fit together, and the first {covered} are those that "
        "{cosigners} cosigned.",
        "es": "VERIFICADO: las {size} entradas de {origin} encajan, y las primeras {covered} son las que cofirmó "
        "{cosigners}.",
        "ca": "VERIFICAT: les {size} entrades de {origin} encaixen, i les primeres {covered} són les que va cosignar "
        "{cosigners}.",
    },
    "alone": {
        "en": "VERIFIED, BY THE CITY’S WORD ALONE: the {size} entries of {origin} fit together; the "
        "policy asks for no cosigner.",
        "es": "VERIFICADO, SOLO CON LA PALABRA DEL MUNICIPIO: las {size} entradas de {origin} encajan; la "
        "política no exige ninguna cofirma.",
        "ca": "VERIFICAT, NOMÉS AMB LA PARAULA DEL MUNICIPI: les {size} entrades de {origin} encaixen; la "
        "política no exigeix cap cosignatura.",
    },
    "unvouched": {
        "en": "CONSISTENT: the {size} entries of {origin} fit together; but nothing outside of this copy "
        "vouches for its keys.",
        "es": "COHERENTE: las {size} entradas de {origin} encajan; pero nada fuera de esta copia responde "
        "de sus claves.",
        "ca": "COHERENT: les {size} entrades de {origin} encaixen; però res fora d’aquesta còpia no "
        "respon de les claus.",
    },
    "bad-one": {
        "en": "NOT VERIFIED: {origin} has one problem ({first}).",
        "es": "NO VERIFICADO: {origin} tiene un problema ({first}).",
        "ca": "NO VERIFICAT: {origin} té un problema ({first}).",
    },
    "bad": {
        "en": "NOT VERIFIED: {origin} has {count} problems, the first: {first}.",
        "es": "NO VERIFICADO: {origin} tiene {count} problemas, el primero: {first}.",
        "ca": "NO VERIFICAT: {origin} té {count} problemes, el primer: {first}.",
    },
}

KINDS: Mapping[str, Texts] = {
    "edited": {"en": "edited", "es": "modificada", "ca": "modificada"},
    "deleted": {"en": "deleted", "es": "suprimida", "ca": "suprimida"},
    "inserted": {"en": "inserted", "es": "insertada", "ca": "inserida"},
    "reordered": {"en": "reordered", "es": "cambiada de orden", "ca": "canviada d’ordre"},
    "truncated": {"en": "truncated", "es": "truncado", "ca": "truncat"},
    "rolled-back": {"en": "rolled back", "es": "retrocedido", "ca": "retrocedit"},
    "rewritten": {"en": "rewritten", "es": "reescrito", "ca": "reescrit"},
    "forked": {"en": "forked", "es": "bifurcado", "ca": "bifurcat"},
    "tile": {"en": "damaged tree", "es": "árbol dañado", "ca": "arbre malmès"},
    "damaged": {"en": "damaged file", "es": "archivo dañado", "ca": "fitxer malmès"},
    "foreign": {"en": "of another log", "es": "de otro registro", "ca": "d’un altre registre"},
    "signature": {"en": "bad signature", "es": "firma no válida", "ca": "signatura no vàlida"},
    "replayed": {
        "en": "replayed cosignature",
        "es": "cofirma reutilizada",
        "ca": "cosignatura reutilitzada",
    },
    "key-swapped": {"en": "key swapped", "es": "clave cambiada", "ca": "clau canviada"},
    "policy": {"en": "policy", "es": "política", "ca": "política"},
    "quorum": {"en": "not cosigned", "es": "sin cofirmar", "ca": "sense cosignar"},
    "stale": {"en": "too old", "es": "demasiado antiguo", "ca": "massa antic"},
    "form": {"en": "malformed entry", "es": "entrada mal formada", "ca": "entrada mal formada"},
    "source": {"en": "of another source", "es": "de otro origen", "ca": "d’un altre origen"},
    "time-order": {"en": "time goes back", "es": "el tiempo retrocede", "ca": "el temps retrocedeix"},
    "time-forged": {"en": "time forged", "es": "fecha falsificada", "ca": "data falsificada"},
    "older-date": {"en": "older date", "es": "fecha anterior", "ca": "data anterior"},
    "gap": {"en": "gap in time", "es": "hueco en el tiempo", "ca": "buit en el temps"},
    "no-end": {"en": "run without end", "es": "ejecución sin fin", "ca": "execució sense final"},
    "no-intent": {
        "en": "run without intent",
        "es": "ejecución sin intención",
        "ca": "execució sense intenció",
    },
    "run-order": {"en": "run out of order", "es": "ejecución en desorden", "ca": "execució en desordre"},
    "unapproved": {"en": "not approved", "es": "sin aprobación", "ca": "sense aprovació"},
    "former": {"en": "former witness", "es": "testigo anterior", "ca": "testimoni anterior"},
    "strict": {"en": "approval lifted", "es": "sin esperar aprobación", "ca": "sense esperar l’aprovació"},
    "detail-altered": {"en": "detail altered", "es": "detalle alterado", "ca": "detall alterat"},
    "detail-missing": {"en": "detail missing", "es": "falta detalle", "ca": "falta detall"},
    "erased": {"en": "erasure", "es": "borrado", "ca": "esborrament"},
    "anchor": {"en": "time stamp", "es": "sello de tiempo", "ca": "segell de temps"},
    "evidence": {"en": "evidence", "es": "pruebas", "ca": "proves"},
}

REMEDIES: Mapping[str, Texts] = {
    "none": {"en": "", "es": "", "ca": ""},
    "compare": {
        "en": "Keep this copy as it is. Compare it with the school’s copy (--against), and ask the city "
        "to explain.",
        "es": "Conserve esta copia tal cual. Compárela con la copia del centro (--against) y pida "
        "explicaciones al municipio.",
        "ca": "Deseu aquesta còpia tal com és. Compareu-la amb la còpia del centre (--against) i demaneu "
        "explicacions al municipi.",
    },
    "evidence": {
        "en": "Keep both checkpoints: with their signatures they are proof that anyone can check. Show "
        "them to the auditor.",
        "es": "Guarde los dos puntos de control: con sus firmas son una prueba que cualquiera puede "
        "comprobar. Enséñelos al auditor.",
        "ca": "Deseu els dos punts de control: amb les signatures són una prova que tothom pot comprovar. "
        "Mostreu-los a l’auditor.",
    },
    "school": {
        "en": "Ask the school whether that key was its own; if it was, a policy of the school’s can name it.",
        "es": "Pregunte al centro si esa clave era suya; si lo era, una política del centro puede nombrarla.",
        "ca": "Pregunteu al centre si aquesta clau era seva; si ho era, una política del centre la pot anomenar.",
    },
    "copy": {
        "en": "Take the file from another copy (the school’s server, a backup), then verify again.",
        "es": "Tome el archivo de otra copia (el servidor del centro, una copia de seguridad) y verifique "
        "de nuevo.",
        "ca": "Preneu el fitxer d’una altra còpia (el servidor del centre, una còpia de seguretat) i "
        "verifiqueu de nou.",
    },
    "key": {
        "en": "Ask the school by telephone which key is right, and trust nothing that the other one signed.",
        "es": "Pregunte al centro por teléfono qué clave es la buena y no se fíe de nada que firmara la "
        "otra.",
        "ca": "Pregunteu al centre per telèfon quina clau és la bona i no us refieu de res que hagi "
        "signat l’altra.",
    },
    "policy": {
        "en": "Get the policy from the school or from your own records, and give it with --policy.",
        "es": "Pida la política al centro, o tómela de sus propios archivos, y désela con --policy.",
        "ca": "Demaneu la política al centre, o preneu-la dels vostres arxius, i doneu-la amb --policy.",
    },
    "witness": {
        "en": "Have the school sign, on its own laptop: provision audit witness sign",
        "es": "Que firme el centro, en su propio portátil: provision audit witness sign",
        "ca": "Que signi el centre, al seu propi portàtil: provision audit witness sign",
    },
    "ask": {
        "en": "Ask the city what happened then.",
        "es": "Pregunte al municipio qué pasó entonces.",
        "ca": "Pregunteu al municipi què va passar aleshores.",
    },
    "given": {
        "en": "Ask the school which copy it signed then, and the city what happened.",
        "es": "Pregunte al centro qué copia firmó entonces, y al municipio qué pasó.",
        "ca": "Pregunteu al centre quina còpia va signar aleshores, i al municipi què va passar.",
    },
    "fresh": {
        "en": "Get a newer copy, or ask the city why nothing was logged.",
        "es": "Consiga una copia más nueva, o pregunte al municipio por qué no se registró nada.",
        "ca": "Aconseguiu una còpia més nova, o pregunteu al municipi per què no s’hi va registrar res.",
    },
    "detail": {
        "en": "Take the run’s detail from another copy; the entry in the log says which text is the true "
        "one.",
        "es": "Tome el detalle de la ejecución de otra copia; la entrada del registro dice qué texto es "
        "el verdadero.",
        "ca": "Preneu el detall de l’execució d’una altra còpia; l’entrada del registre diu quin text és "
        "el vertader.",
    },
    "erase": {
        "en": "Bring the copy up to date, or erase the steps there too.",
        "es": "Actualice la copia, o borre los pasos también allí.",
        "ca": "Actualitzeu la còpia, o esborreu-hi també els passos.",
    },
    "authority": {
        "en": "Give the time-stamp authority’s certificate with --tsa-ca, or have the checkpoint stamped "
        "again: provision audit anchor",
        "es": "Dé el certificado de la autoridad de sellado con --tsa-ca, o selle de nuevo el punto de "
        "control: provision audit anchor",
        "ca": "Doneu el certificat de l’autoritat de segellat amb --tsa-ca, o segelleu de nou el punt de "
        "control: provision audit anchor",
    },
}

#: By sort of finding, or by its kind where all variants share it.
REMEDY_OF: Mapping[str, str] = {
    "edited": "compare", "deleted": "compare", "inserted": "compare", "reordered": "compare",
    "truncated": "compare", "rewritten/root": "compare", "rewritten/cosigned": "evidence",
    "rolled-back": "compare", "forked": "evidence", "tile": "copy", "damaged": "copy", "foreign": "copy",
    "signature": "copy", "replayed": "compare", "key-swapped": "key", "policy/missing": "policy",
    "policy/unvouched": "policy", "policy/changed": "ask", "policy/no-cosigner": "policy",
    "quorum/none": "witness", "quorum/after": "witness", "stale/log": "fresh", "stale/cosigned": "witness",
    "form": "ask", "source": "ask", "time-order": "ask", "time-forged": "ask",
    "older-date/unseen": "given", "gap": "ask", "no-end/run": "ask",
    "no-intent": "ask", "run-order": "ask", "unapproved": "ask",
    "unapproved/stranger": "school", "strict/unasked": "ask", "strict/unseen": "ask",
    "former/unseen": "school", "detail-altered": "detail",
    "detail-missing": "detail", "erased/unexplained": "ask", "erased/not-yet": "erase", "anchor": "authority",
}  # fmt: skip

#: What checking a proof of one entry says.
CHECKED: Mapping[str, Texts] = {
    "cosigned": {
        "en": "PROVED: entry {index} is in the log {origin}, signed by the log and cosigned by {cosigners}.",
        "es": "PROBADO: la entrada {index} está en el registro {origin}, firmada por él y cofirmada por {cosigners}.",
        "ca": "PROVAT: l’entrada {index} és al registre {origin}, signada per ell i cosignada per {cosigners}.",
    },
    "alone": {
        "en": "PROVED, BY THE CITY’S WORD ALONE: entry {index} is in the log {origin}; nobody cosigned it.",
        "es": "PROBADO, SOLO CON LA PALABRA DEL MUNICIPIO: la entrada {index} está en {origin}; nadie la cofirmó.",
        "ca": "PROVAT, NOMÉS AMB LA PARAULA DEL MUNICIPI: l’entrada {index} és a {origin}; ningú no la va cosignar.",
    },
    "bad": {
        "en": "NOT PROVED: {error}",
        "es": "NO PROBADO: {error}",
        "ca": "NO PROVAT: {error}",
    },
    "remedy": {
        "en": "Check that proof, entry and policy belong together; if they do, do not believe the entry, and ask the "
        "school for its copy of the log.",
        "es": "Compruebe que prueba, entrada y política van juntas; si es así, no dé la entrada por buena y pida al "
        "centro su copia del registro.",
        "ca": "Comproveu que prova, entrada i política van plegades; si és així, no doneu l’entrada per bona i demaneu "
        "al centre la seva còpia del registre.",
    },
}
