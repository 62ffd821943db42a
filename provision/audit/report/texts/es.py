"""The report's own words in Spanish."""

TEXTS: dict[str, str] = {
    "title": "Informe del registro de auditoría",
    "of": "{school}: qué se ha hecho en su servidor",
    "period": "Período",
    "period_text": "{first} – {last}",
    "made": "Hecho el",
    "zone": "Las horas son de {zone}.",
    "log": "Registro",
    "log_text": "{origin}, {entries}, raíz {root}",
    "skip": "Ir al contenido",
    "contents": "Contenido",
    "verdict": "¿Es de fiar este registro?",
    "verdict_ok": "Verificado",
    "verdict_bad": "No verificado",
    "verdict_none": "No se ha verificado al hacer el informe",
    "verdict_none_text": (
        "Este informe dice lo que hay escrito en el registro, pero al hacerlo nadie ha comprobado sus "
        "firmas. Verifíquelo con: provision audit verify CARPETA"
    ),
    "verdict_findings": "Lo que se ha encontrado",
    "verdict_more": "Y {count} más: provision audit verify las da todas.",
    "summary": "En resumen",
    "s_runs": "ejecuciones",
    "s_good": "han acabado bien",
    "s_bad": "con problemas",
    "s_changes": "cambios",
    "s_people": "personas",
    "s_access": "accesos y secretos",
    "s_unexplained": "por explicar",
    "chart_runs": "Ejecuciones a lo largo del tiempo, por resultado",
    "chart_runs_text": "{runs} en el período: {good} bien, {bad} con problemas, {none} sin final.",
    "chart_changes": "Cambios por servicio y parte del servidor",
    "chart_changes_text": "{changes} en el período; el que más ha tenido es {most}.",
    "chart_none": "No hay nada que dibujar en este período.",
    "chart_table": "Los mismos datos en una tabla",
    "day": "Día",
    "week": "Semana del",
    "month": "Mes",
    "good": "Bien",
    "bad": "Con problemas",
    "none": "Sin final",
    "people": "Quién ha actuado",
    "people_none": "Nadie ha actuado en este período.",
    "c_person": "Persona",
    "c_accounts": "Usuario y máquina",
    "c_key": "Clave SSH",
    "c_runs": "Ejecuciones",
    "c_good": "Bien",
    "c_bad": "Con problemas",
    "c_changes": "Cambios",
    "c_logins": "Entradas SSH",
    "c_secrets": "Secretos vistos",
    "c_last": "Último acto",
    "services": "Qué ha cambiado, servicio por servicio",
    "services_none": "No ha cambiado nada en este período.",
    "services_intro": (
        "Cada fila es una ejecución. El detalle se muestra solo si corresponde a lo que el registro "
        "comprometió."
    ),
    "service_text": "{changes} en {runs}.",
    "c_when": "Cuándo",
    "c_who": "Quién",
    "c_what": "Qué",
    "c_run": "Ejecución",
    "rows_more": "Hay {count} ejecuciones anteriores más; están en el registro.",
    "detail_none": "{changes}; el detalle no está aquí",
    "detail_erased": "el detalle de {steps} se ha borrado",
    "detail_wrong": "el detalle de {steps} falta o no corresponde al registro",
    "other_steps": "otros pasos:",
    "versions": "Versiones antes y después",
    "versions_none": "El registro no dice ninguna versión instalada hasta el final del período.",
    "c_service": "Servicio",
    "c_before": "Al inicio",
    "c_after": "Al final",
    "c_steps": "Cambios de versión",
    "not_there": "no estaba",
    "same": "sin cambio",
    "runs": "Todas las ejecuciones",
    "runs_none": "No ha habido ninguna ejecución en este período.",
    "c_verb": "Para qué",
    "c_revision": "Revisión",
    "c_why": "Motivo y autorización",
    "c_outcome": "Resultado",
    "dirty": "con cambios sin guardar",
    "no_revision": "sin git",
    "approved_by": "visto bueno: {names}",
    "failures": "Errores y cómo acabaron",
    "failures_none": "Ninguna ejecución ha fallado en este período.",
    "c_failed": "Qué pasó",
    "c_ended": "Cómo acabó",
    "next_good": "resuelto por la ejecución del {when}, {span} después",
    "next_none": "todavía no hay ninguna ejecución posterior que haya acabado bien",
    "access": "Accesos",
    "access_none": "No consta ningún acceso en este período.",
    "access_more": "Hay {count} accesos más en el registro.",
    "data": "Control de los datos",
    "data_intro": (
        "Lo que cada servicio guarda y con quién puede hablar, según su descripción y los ficheros de la "
        "escuela."
    ),
    "data_shipped": (
        "Este informe se ha hecho sin los ficheros del municipio: lo que sigue es lo que declara esta "
        "versión de la herramienta, no la configuración de la escuela."
    ),
    "data_none": "El registro no nombra ningún servicio.",
    "data_unknown": "De este servicio no hay ninguna descripción en esta versión de la herramienta.",
    "d_value": "Lo que consta",
    "d_address": "Dirección",
    "d_server": "Servidor",
    "d_outbound": "Conexiones hacia fuera",
    "d_outbound_none": "ninguna: el servicio no tiene que hablar con nadie de fuera del servidor",
    "d_personal": "Datos personales que guarda",
    "d_personal_none": "no declara ninguno",
    "d_settings": "Configuración",
    "d_backup": "Qué entra en una copia de seguridad",
    "d_declared": "Declarado, no medido: este registro todavía no contiene ninguna medida de las conexiones.",
    "unexplained": "Por explicar",
    "unexplained_intro": (
        "Lo que el registro no explica por sí solo. No quiere decir que haya mala fe; quiere decir que "
        "alguien debe explicarlo."
    ),
    "unexplained_none": "Nada: cada ejecución tiene inicio y final, y no hay huecos ni hallazgos.",
    "u_drift": "Encontrado en el servidor o en una copia",
    "u_endless": "Ejecución anunciada que no consta que haya terminado",
    "u_unannounced": "Ejecución que no consta que se haya anunciado antes",
    "u_recovered": "Escritura del registro interrumpida",
    "u_gap": "{span} sin ninguna entrada, del {since} al {until}",
    "u_gap_name": "Hueco en el tiempo",
    "c_until": "Hasta",
    "c_kind": "Qué es",
    "c_text": "Qué dice el registro",
    "c_entry": "Entrada",
    "governance": "Claves, política y datos borrados",
    "governance_none": "No ha habido ningún cambio de claves ni de política, ni se ha borrado nada en este período.",
    "strict_yes": "Política vigente: cada ejecución espera la cofirma de la escuela.",
    "strict_no": "Política vigente: las ejecuciones no esperan la cofirma de la escuela.",
    "ens": "Esquema Nacional de Seguridad",
    "ens_intro": (
        "Medidas del anexo II del Real Decreto 311/2022 para la categoría {category}. La categoría la fijan"
        " los responsables del sistema (artículos 40 y 41). Una prueba en este informe no quiere decir que "
        "la medida se cumpla: dice dónde hay datos para juzgarlo."
    ),
    "ens_count": "De {needed} medidas exigidas, {covered} tienen alguna prueba aquí y {rest} no.",
    "basic": "básica",
    "medium": "media",
    "high": "alta",
    "c_control": "Medida",
    "c_requires": "Se exige",
    "c_evidence": "Prueba en este informe",
    "applies": "sí",
    "not_required": "no se exige",
    "or": "o",
    "not_covered": "este registro no lo cubre",
    "gdpr": "Registro de actividades de tratamiento (RGPD, artículo 30)",
    "gdpr_intro": (
        "Borrador para completar: la herramienta solo rellena lo que sabe. El responsable del tratamiento "
        "es la dirección de la escuela; el municipio es el encargado."
    ),
    "gdpr_processor": "Encargado del tratamiento (artículo 30.2)",
    "gdpr_controller": "Responsable del tratamiento (artículo 30.1), por servicio",
    "g_processor": "Encargado",
    "g_controller": "Responsable",
    "g_controller_text": "la dirección del centro: {school}",
    "g_dpo": "Delegado de protección de datos",
    "g_categories_processing": "Tratamientos por cuenta del responsable",
    "g_categories_processing_text": "alojamiento, configuración, actualización y mantenimiento de: {services}",
    "g_transfers": "Transferencias a terceros países",
    "g_transfers_none": "ninguna declarada; los datos están en el servidor de la escuela",
    "g_transfers_some": "debe valorarse: {places}",
    "g_measures": "Medidas de seguridad",
    "g_measures_text": (
        "conexiones cifradas (TLS), cortafuegos, acceso de los administradores solo con claves SSH, "
        "secretos cifrados, registro de auditoría con copia en la escuela; véase el apartado del ENS"
    ),
    "g_purpose": "Fines",
    "g_purpose_text": "enseñanza y comunicación dentro de la escuela",
    "g_people": "Interesados",
    "g_people_text": "alumnado, docentes y otras personas que usan el servicio",
    "g_data": "Categorías de datos",
    "g_recipients": "Destinatarios",
    "g_recipients_text": "el municipio como encargado",
    "g_retention": "Plazos de supresión",
    "g_retention_text": "no declarados en el servicio: los fija la dirección de la escuela",
    "g_unknown": "por completar",
    "method": "Cómo se ha hecho este informe y qué no puede demostrar",
    "method_1": (
        "Todo sale del registro de la escuela. Las frases son traducciones de las entradas; cada entrada "
        "tiene un número con el que se puede leer entera: provision audit show CARPETA NÚMERO."
    ),
    "method_2": (
        "Un registro demuestra que lo que hay escrito no se ha tocado desde que la escuela lo cofirmó. No "
        "puede demostrar que todo lo que pasó se haya escrito: quien entra en el servidor sin esta "
        "herramienta no deja rastro en él. Lo hacen más difícil el anuncio firmado antes de cada cambio, la"
        " marca que cada ejecución deja en el servidor y las entradas diarias."
    ),
    "method_3": (
        "El detalle de cada paso está fuera del registro y se puede borrar; el registro guarda un "
        "compromiso con sal."
    ),
    "by_tool": "Hecho con provision {version}.",
    "to_top": "Volver al principio",
}
