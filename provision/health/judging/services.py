"""What the services of a host lean on: pages of their own, PHP, Redis, databases, certificates."""

import ipaddress
from collections.abc import Sequence

from provision.health.answers import Certificate, Database, Databases, Own, Page, Pool, Redis
from provision.health.judging.facts import DAY, Facts
from provision.health.result import Figure, Finding, Sentence, State
from provision.health.words import TITLES, Fault
from provision.health.words.heard import heard
from provision.health.words.seen import counted, cut, decimal, seen, size, span
from provision.model import ResolvedService
from provision.model.service import Advice, LoopbackProbe, OwnProbe

#: Days before its end at which a certificate should long have been renewed: certbot and provision do it at 30.
ENDING_WARNING, ENDING_PROBLEM = 14, 3
#: Part of a Redis instance's memory, and of PostgreSQL's connections.
FULL_WARNING, FULL_PROBLEM = 0.85, 0.97
CROWDED = 0.9


def asked_pages(services: Sequence[ResolvedService]) -> list[tuple[ResolvedService, LoopbackProbe]]:
    """The questions to the host's own loopback, in the order in which they are asked."""
    return [
        (service, probe)
        for service in services
        for probe in service.definition.probes
        if isinstance(probe, LoopbackProbe)
    ]


def asked_own(services: Sequence[ResolvedService]) -> list[tuple[ResolvedService, OwnProbe]]:
    """The questions that the services' own programs answer."""
    return [
        (service, probe)
        for service in services
        for probe in service.definition.probes
        if isinstance(probe, OwnProbe)
    ]


def said_by(service: ResolvedService) -> tuple[Sentence, ...]:
    """What the service's own programs say, by its ``service.yml``."""
    return tuple(Sentence.of(text) for text in service.definition.said)


def own_words(advice: Advice) -> Fault:
    """The sentences of a ``service.yml`` for what its own program finds."""
    return Fault(Sentence.of(advice.meaning), Sentence.of(advice.remedy))


def judge_services(facts: Facts) -> list[Finding]:
    """Everything that is asked for one service and not for the server."""
    found = [*_pages(facts), *(_own_answer(facts, *asked) for asked in asked_own(facts.services))]
    for service in facts.services:
        needs = service.definition.needs
        found += _bound(facts, service)
        if needs.php:
            found.append(_php(facts, service))
        found += [_redis(facts, service, redis.name, redis.eviction) for redis in needs.redis]
        found += [_database(facts, service, database.name) for database in needs.databases]
        if needs.site:
            found.append(_certificate(facts, service))
    return found


def _pages(facts: Facts) -> list[Finding]:
    asked = asked_pages(facts.services)
    pages: list[Page] | None = facts.values.get("loopback")
    if pages is None or len(pages) != len(asked):
        return [
            facts.unknown(probe.id, Sentence.of(probe.title), "loopback", service) for service, probe in asked
        ]
    return [_page(facts, service, probe, page) for (service, probe), page in zip(asked, pages, strict=True)]


def _page(facts: Facts, service: ResolvedService, probe: LoopbackProbe, page: Page) -> Finding:
    title = Sentence.of(probe.title)
    state: State = "problem"
    if page.error == "not allowed":
        state, fault, measured = "unknown", "unknown", seen("page/not-allowed")
    elif page.error or not page.status:
        fault, measured = "loopback/silent", heard(page.error) if page.error else seen("no-answer")
    elif page.status != probe.status:
        fault, measured = "loopback/other", seen("page/instead", status=page.status, wanted=probe.status)
    elif not page.found:
        fault, measured = "loopback/other", seen("page/without", status=page.status, wanted=probe.contains)
    else:
        state, fault = "ok", ""
        measured = seen("page/answers-in", status=page.status, seconds=decimal(page.seconds, 2))
    figures = [Figure("loopback_seconds", round(page.seconds, 4), "s", probe.id)]
    return facts.finding(
        probe.id, title, state, measured, fault, service=service, part="loopback", figures=figures
    )


def _own_answer(facts: Facts, service: ResolvedService, probe: OwnProbe) -> Finding:
    title = Sentence.of(probe.title)
    if "own" not in facts.values:
        return facts.unknown(probe.id, title, "own", service)
    told: Own | None = facts.values["own"].get(f"{service.id}/{probe.id}")
    known = said_by(service)
    state: State
    fault: str | Fault
    if told is None:
        state, fault, measured = "unknown", "unknown", seen("unknown", reason=seen("not-listed"))
    elif told.late:
        # What hangs so long is no use to people either.
        state, fault, measured = "problem", own_words(probe.advice("late")), heard(told.error)
    elif told.error or not told.state:
        reason = heard(told.error) if told.error else seen("own-no-sense")
        state, fault, measured = "unknown", "unknown", seen("unknown", reason=reason)
    elif told.state == "ok":
        state, fault, measured = "ok", "", heard(told.measured, known)
    else:
        state, fault = told.state, own_words(probe.advice(told.code))
        measured = heard(told.measured, known)
    figures = [Figure("own_seconds", round(told.seconds, 4), "s", f"{service.id}/{probe.id}")] if told else []
    return facts.finding(
        probe.id, title, state, measured, fault, service=service, part="own", figures=figures
    )


def _bound(facts: Facts, service: ResolvedService) -> list[Finding]:
    """Whether what is asked on the loopback listens on the loopback alone."""
    ports = sorted({probe.port for _, probe in asked_pages([service])})
    public = {port.port for port in service.definition.ports}
    found = []
    for port in ports:
        title, probe = TITLES["bound"], f"bound:{port}"
        if port in public:
            continue
        if "listeners" not in facts.values:
            found.append(facts.unknown(probe, title, "listeners", service, port=port))
            continue
        addresses = [address for address, number in facts.values["listeners"] if number == port]
        strangers = [address for address in addresses if not _own(address)]
        found.append(
            facts.finding(
                probe,
                title,
                "problem" if strangers else "ok",
                seen("bound", addresses=cut(addresses)) if addresses else seen("bound/nothing"),
                "bound/open" if strangers else "",
                service=service,
                part="listeners",
                port=port,
            )
        )
    return found


def _own(address: str) -> bool:
    """Whether only the server itself reaches an address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _php(facts: Facts, service: ResolvedService) -> Finding:
    title = TITLES["php-fpm"]
    if "php" not in facts.values:
        return facts.unknown("php-fpm", title, "php", service)
    pool: Pool | None = facts.values["php"].get(service.id)
    if pool is None:
        return facts.finding(
            "php-fpm",
            title,
            "problem",
            seen("not-set-up"),
            "php-fpm/missing",
            service=service,
            part="php",
        )
    state: State = "problem"
    waits = counted(pool.listen_queue, "requests-wait") if pool.listen_queue else seen("php/nobody-waits")
    if not pool.answers and pool.late:
        fault, measured = "php-fpm/exhausted", seen("php/exhausted", reason=heard(pool.error), waits=waits)
    elif not pool.answers:
        fault, measured = "php-fpm/gone", heard(pool.error)
    else:
        state, fault = ("warning", "php-fpm/queue") if pool.listen_queue else ("ok", "")
        measured = seen("php/busy", busy=pool.active_processes, all=pool.total_processes, waits=waits)
    figures = [
        Figure("php_listen_queue", pool.listen_queue, label=service.id, warning=0),
        Figure("php_max_children_reached", pool.max_children_reached, label=service.id),
        Figure("php_slow_requests", pool.slow_requests, label=service.id),
    ]
    if pool.active_processes is not None:
        figures.append(Figure("php_active_processes", pool.active_processes, label=service.id))
    return facts.finding(
        "php-fpm",
        title,
        state,
        measured,
        fault,
        service=service,
        part="php",
        figures=figures,
        requests=counted(pool.listen_queue, "requests-that-wait"),
    )


def _redis(facts: Facts, service: ResolvedService, name: str, eviction: str) -> Finding:
    title, probe = TITLES["redis"], f"redis:{name}"
    if "redis" not in facts.values:
        return facts.unknown(probe, title, "redis", service, name=name)
    instance: Redis | None = facts.values["redis"].get(name)
    used, most = (instance.used_memory, instance.maxmemory) if instance else (None, None)
    part = used / most if used is not None and most else 0.0
    # One that may throw out what is old is full by design, as long as it really does.
    counts = "noeviction" in (eviction, instance.policy if instance else "")
    state: State = "problem"
    if instance is None:
        fault, measured = "redis/missing", seen("not-set-up")
    elif not instance.pong:
        fault, measured = "redis/gone", heard(instance.error) if instance.error else seen("no-answer")
    else:
        measured = seen(
            "redis/holds-of" if most else "redis/holds", size=size(used or 0), most=size(most or 0)
        )
        if counts and part >= FULL_PROBLEM:
            fault = "redis/full"
        elif counts and part >= FULL_WARNING:
            state, fault = "warning", "redis/full"
        else:
            state, fault = "ok", ""
    limit = most or None
    figures = [
        Figure(
            "redis_used_bytes",
            used,
            "B",
            name,
            warning=limit and limit * FULL_WARNING,
            critical=limit and limit * FULL_PROBLEM,
        )
    ] if used is not None else []  # fmt: skip
    return facts.finding(
        probe, title, state, measured, fault, service=service, part="redis", figures=figures, name=name
    )


def _database(facts: Facts, service: ResolvedService, name: str) -> Finding:
    title, probe = TITLES["database"], f"database:{name}"
    server: Databases | None = facts.values.get("databases")
    if server is None:
        return facts.unknown(probe, title, "databases", service, name=name)
    database: Database | None = server.databases.get(name)
    state: State = "problem"
    large = size((database and database.size) or 0)
    measured = seen("database", size=large, taken=server.connections, most=server.most)
    if not server.up:
        fault, measured = "database/down", heard(server.error) if server.error else seen("no-answer")
    elif database is None:
        fault, measured = "database/missing", seen("not-there")
    elif database.error:
        fault, measured = "database/refused", heard(database.error)
    elif server.read_only:
        fault, measured = "database/read-only", seen("database/read-only", size=large)
    elif server.connections and server.most and server.connections >= CROWDED * server.most:
        state, fault = "warning", "database/crowded"
    else:
        state, fault = "ok", ""
    figures = []
    if database and database.size is not None:
        figures.append(Figure("database_size_bytes", database.size, "B", name))
    if server.connections is not None:
        figures.append(
            Figure("database_connections", server.connections, warning=server.most and server.most * CROWDED)
        )
    return facts.finding(
        probe, title, state, measured, fault, service=service, part="databases", figures=figures, name=name
    )


def _certificate(facts: Facts, service: ResolvedService) -> Finding:
    title, probe = TITLES["certificate-file"], "certificate-file"
    if "certificates" not in facts.values:
        return facts.unknown(probe, title, "certificates", service)
    certificate: Certificate | None = facts.values["certificates"].get(service.id)
    state, fault, measured, left = _certificate_opinion(certificate, service.hostname, facts.answer.time)
    figures = (
        [Figure("certificate_left_seconds", round(left), "s", service.hostname)] if left is not None else []
    )
    return facts.finding(
        probe,
        title,
        state,
        measured,
        fault,
        service=service,
        part="certificates",
        figures=figures,
        days=counted(max(0, int((left or 0) // DAY)), "days"),
    )


def _certificate_opinion(
    certificate: Certificate | None, hostname: str, now: float
) -> tuple[State, str, Sentence, float | None]:
    """State, fault, what was measured, seconds until its end: the worst fault first."""
    if certificate is None or certificate.error == "it is not there":
        return "problem", "certificate-file/missing", seen("not-there"), None
    if certificate.error or certificate.not_after is None or certificate.not_before is None:
        why = heard(certificate.error) if certificate.error else seen("certificate/no-end")
        return "problem", "certificate-file/damaged", why, None
    left = certificate.not_after - now
    ends = seen("certificate/ends" if left >= 0 else "certificate/ended", span=span(left))
    whose = "certificate/names" if certificate.names else "certificate/no-names"
    told: tuple[State, str, Sentence]
    if certificate.key_error:
        told = "problem", "certificate-file/key", seen("certificate/key", reason=heard(certificate.key_error))
    elif not certificate.fits:
        told = "problem", "certificate-file/key-other", seen("certificate/key-other")
    elif left < 0:
        told = "problem", "certificate-file/expired", ends
    elif certificate.not_before > now:
        early = seen("certificate/early", span=span(certificate.not_before - now))
        told = "problem", "certificate-file/early", early
    elif not any(_covers(name, hostname) for name in certificate.names):
        told = "problem", "certificate-file/name", seen(whose, names=cut(certificate.names), ends=ends)
    elif left < ENDING_PROBLEM * DAY:
        told = "problem", "certificate-file/ending", ends
    elif left < ENDING_WARNING * DAY:
        told = "warning", "certificate-file/ending", ends
    elif int(certificate.key_mode, 8) & 0o077:
        told = "warning", "certificate-file/key-open", seen("certificate/key-open", mode=certificate.key_mode)
    else:
        told = "ok", "", seen(whose, names=cut(certificate.names), ends=ends)
    return *told, left


def _covers(name: str, hostname: str) -> bool:
    """Whether a name of a certificate is good for a host name (RFC 9525, section 6.3)."""
    name, hostname = name.lower(), hostname.lower()
    return name == hostname or (name.startswith("*.") and name[2:] == hostname.partition(".")[2])
