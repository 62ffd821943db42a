import pytest

from provision.lab import sources

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
# in the middle
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://packages.example/php/
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/php.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """\
# deb http://off.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/debian-archive-keyring.gpg] http://mirror.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main contrib # why
deb http://security.example/debian-security bookworm-security main
deb https://download.docker.example/linux/debian bookworm stable
deb [signed-by=/etc/apt/keyrings/other.asc] https://other.example/debian bookworm main
deb https://repo.example/flat ./
"""


def uris(found: list[sources.Source]) -> list[str]:
    return [uri for source in found for uri in source.uris]


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
@pytest.mark.parametrize(
    ("parsed", "security"),
    [
        (sources.parse_deb822(DEB822), "http://mirror.example/debian-security"),
        (sources.parse_one_line(ONE_LINE), "http://security.example/debian-security"),
    ],
    ids=["deb822", "one-line"],
)
def test_a_machine_of_any_release_uses_the_hosts_own_debian_mirror(
    parsed: list[sources.Source], security: str, release: str
) -> None:
    found = sources.debian_sources(parsed, "bookworm", release)
    assert uris(found) == ["http://mirror.example/debian", security]
    assert [source.suites for source in found] == [(release, f"{release}-updates"), (f"{release}-security",)]


@pytest.mark.parametrize(
    "foreign", ["packages.example", "docker", "other.example", "repo.example", "off.example"]
)
def test_sources_of_other_projects_and_disabled_ones_are_not_used(foreign: str) -> None:
    both = sources.parse_one_line(ONE_LINE)[::-1] + sources.parse_deb822(DEB822)[::-1]
    assert not [uri for uri in uris(sources.debian_sources(both, "bookworm", "trixie")) if foreign in uri]


def test_a_host_that_is_no_debian_leaves_the_address_to_mmdebstrap() -> None:
    ubuntu = sources.parse_one_line("deb http://archive.ubuntu.example/ubuntu jammy main universe\n")
    assert sources.debian_sources(ubuntu, "", "trixie") == []


def test_a_host_without_a_security_source_has_it_beside_its_mirror() -> None:
    parsed = sources.parse_one_line("deb http://mirror.example/debian/ bookworm main\n")
    assert (
        uris(sources.debian_sources(parsed, "bookworm", "bookworm"))[1]
        == "http://mirror.example/debian-security"
    )


def test_a_host_that_follows_stable_by_name_is_a_debian_host() -> None:
    parsed = sources.parse_one_line("deb http://mirror.example/debian stable main\n")
    assert uris(sources.debian_sources(parsed, "trixie", "bookworm"))[0] == "http://mirror.example/debian"


def test_a_list_of_mirrors_gives_its_first_mirror() -> None:
    parsed = sources.parse_deb822(
        "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/main.list\nSuites: bookworm\nComponents: main\n"
    )
    assert sources.mirror_files(parsed) == ["/etc/apt/mirrors/main.list"]
    found = sources.debian_sources(
        parsed,
        "bookworm",
        "trixie",
        {"/etc/apt/mirrors/main.list": "# x\nhttp://cloud.example/debian\tpriority:1\n"},
    )
    assert uris(found)[0] == "http://cloud.example/debian"


def test_what_is_written_can_be_read_again() -> None:
    written = sources.debian_sources([], "", "trixie")
    assert sources.parse_deb822(sources.render_deb822(written)) == written


def test_a_key_inside_a_stanza_does_not_end_it() -> None:
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AA\n"
    text = f"Types: deb\nURIs: http://m.example/debian\nSuites: sid\n{key}Components: main\n"
    (found,) = sources.parse_deb822(text)
    assert found.components == ("main",)


def test_only_what_decides_how_a_source_is_reached_is_taken_from_apts_settings() -> None:
    dump = "\n".join(
        [
            'APT::Architecture "amd64";',
            'Acquire::Check-Valid-Until "false";',
            'Acquire::http::Proxy "http://proxy.example:3142/";',
            'Acquire::https::Proxy "http://127.0.0.1:3142/";',
            'Acquire::http::Proxy-Auto-Detect "/usr/bin/find-proxy";',
            'Acquire::https::CaInfo "/etc/ssl/certs/ca-certificates.crt";',
            'Acquire::Languages "none";',
            'Acquire::http "";',
            'DPkg::Post-Invoke:: "rm -rf /";',
        ]
    )
    assert sources.apt_settings(dump) == [
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://proxy.example:3142/";',
        'Acquire::https::CaInfo "/etc/ssl/certs/ca-certificates.crt";',
    ]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:3142", "127.0.0.9:1", "http://localhost:8", "http://[::1]:8/"]
)
def test_a_proxy_on_this_computer_itself_is_recognised(url: str) -> None:
    assert sources.is_loopback(url)


@pytest.mark.parametrize("url", ["http://proxy.example:3142", "10.0.0.1:3128", "http://[fd00::1]:8/", ""])
def test_a_proxy_elsewhere_is_not_taken_for_this_computer(url: str) -> None:
    assert not sources.is_loopback(url)


def test_a_machine_gets_no_name_server_that_only_this_computer_can_ask() -> None:
    text = "nameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nsearch school.example\n"
    assert sources.resolv_conf(text) == "nameserver 192.0.2.53\nsearch school.example\n"
    assert sources.resolvers("nameserver 127.0.0.1\n") == []


def test_npm_settings_without_secrets_reach_a_machine() -> None:
    npmrc = "\n".join(
        [
            "; comment",
            "registry = https://weaker.example/",
            "registry=https://npm.example/",
            "@school:registry=https://own.example/",
            "//npm.example/:_authToken=secret",
            "_password=secret",
            "https-proxy=http://user:secret@proxy.example:1/",
            "proxy=http://localhost:3128",
            "cafile=/etc/ssl/own.pem",
            "fund=false",
        ]
    )
    assert sources.npm_settings(npmrc, {"npm_config_fetch_retries": "5", "HOME": "/root"}) == {
        "registry": "https://npm.example/",
        "@school:registry": "https://own.example/",
        "cafile": "/etc/ssl/own.pem",
        "fetch-retries": "5",
    }


def test_a_proxy_reaches_a_machine_unless_it_is_local_or_holds_a_password() -> None:
    assert sources.proxy_settings(
        {"HTTP_PROXY": "http://p.example:1", "https_proxy": "http://localhost:1"}
    ) == {
        "http_proxy": "http://p.example:1",
        "HTTP_PROXY": "http://p.example:1",
    }
    assert sources.proxy_settings({"http_proxy": "http://me:secret@p.example:1"}) == {}
