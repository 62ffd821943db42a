"""What the role nginx promises, asked from outside over the network. Nothing is changed."""

import http.client
import re
import socket
import ssl

import pytest

HEADERS = {
    "strict-transport-security": r"max-age=\d{8,}",
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "content-security-policy": "frame-ancestors .*",
    "permissions-policy": ".+",
}
HALF_A_YEAR = 15552000


@pytest.fixture(scope="module")
def address(host):
    return host.ansible.get_variables()["ansible_host"]


@pytest.fixture(scope="module")
def sites(host):
    text = host.file("/etc/nginx/conf.d/provision-sites.conf").content_string
    found = sorted(set(re.findall(r"^\s*server_name (\S+);", text, re.MULTILINE)))
    assert found
    return found


def handshake(address, name, *, version=None, alpn=()):
    """A TLS connection; who signed the certificate is the business of the role tls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    if version:
        context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context.wrap_socket(socket.create_connection((address, 443), timeout=10), server_hostname=name)


def get(address, name, path, method="GET"):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.sock = handshake(address, name)
    connection.request(method, path, headers={"Host": name})
    answer = connection.getresponse()
    answer.read()
    return answer


def get_plain(address, name, path):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path, headers={"Host": name})
    return connection.getresponse()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(address, sites, version):
    with handshake(address, sites[0], version=version) as connection:
        assert connection.version() == version.name.replace("_", ".")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_tls_is_refused_by_the_server(address, sites, version):
    with pytest.raises((ssl.SSLError, ConnectionError)) as refused:
        handshake(address, sites[0], version=version)
    # The server's own words, so that an old version missing on this side does not count.
    assert "ALERT" in str(refused.value).upper(), refused.value


def test_every_cipher_of_tls_1_2_keeps_former_traffic_secret(address, sites):
    with handshake(address, sites[0], version=ssl.TLSVersion.TLSv1_2) as connection:
        assert connection.cipher()[0].startswith("ECDHE-")


def test_a_cipher_without_forward_secrecy_is_refused(address, sites):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-GCM-SHA256:AES256-SHA:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError), socket.create_connection((address, 443), timeout=10) as plain:
        context.wrap_socket(plain, server_hostname=sites[0])


def test_http_2_is_offered(address, sites):
    with handshake(address, sites[0], alpn=("h2", "http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize(
    "path", ["/", "/does-not-exist", "/own-header", "/down", "/static/index.html", "/%00"]
)
def test_security_headers_are_on_every_answer_once(address, sites, path):
    for name in sites:
        answer = get(address, name, path)
        for header, expected in HEADERS.items():
            sent = answer.headers.get_all(header, [])
            assert len(sent) >= 1, (name, path, answer.status, header)
            assert re.fullmatch(expected, sent[0])
            if header != "content-security-policy":
                assert len(sent) == 1, (name, path, header, sent)


@pytest.mark.parametrize("path", ["/", "/.well-known/acme-challenge/missing"])
def test_answers_over_http_have_the_same_headers_but_hsts_which_does_not_count_there(address, sites, path):
    for name in sites:
        sent = get_plain(address, name, path).headers
        assert "strict-transport-security" not in sent
        for header in set(HEADERS) - {"strict-transport-security"}:
            assert re.fullmatch(HEADERS[header], sent[header] or ""), (name, header)


def test_hsts_lasts_half_a_year_at_least(address, sites):
    for name in sites:
        age = re.search(r"max-age=(\d+)", get(address, name, "/").headers["strict-transport-security"])
        assert int(age[1]) >= HALF_A_YEAR


def test_the_version_of_the_server_is_not_told(address, sites):
    assert get(address, sites[0], "/does-not-exist").headers["server"] == "nginx"


@pytest.mark.parametrize("name", ["unknown.example.test", None])
def test_who_asks_for_another_name_sees_no_certificate(address, name):
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name|alert"):
        handshake(address, name)


def test_who_asks_for_another_name_behind_one_of_ours_gets_no_answer(address, sites):
    for path in ("/", "/index.html"):
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.sock = handshake(address, sites[0])
        connection.request("GET", path, headers={"Host": "unknown.example.test"})
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            connection.getresponse()


def test_who_asks_for_another_name_over_http_gets_no_answer(address):
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        get_plain(address, "unknown.example.test", "/")


def test_http_leads_to_https_for_our_names_only(address, sites):
    for name in sites:
        answer = get_plain(address, name, "/p/x?y=1")
        assert answer.status == 301
        assert answer.headers["location"] == f"https://{name}/p/x?y=1"


@pytest.mark.parametrize("ours", [True, False])
def test_questions_of_a_certificate_authority_are_answered_for_every_name(address, sites, ours):
    answer = get_plain(
        address, sites[0] if ours else "new.example.test", "/.well-known/acme-challenge/missing"
    )
    assert answer.status == 404


def test_the_access_log_holds_no_full_address(host, address, sites):
    get(address, sites[0], "/for-the-log")
    line = host.check_output("grep -m1 /for-the-log /var/log/nginx/access.log")
    assert re.match(r"(\d+\.\d+\.\d+\.0|[0-9a-f]+:[0-9a-f]+::|-) ", line), line
    assert host.check_output("ls /etc/logrotate.d/nginx")


def test_what_is_asked_over_http_is_in_no_log(host, address, sites):
    for name in sites:
        assert get_plain(address, name, "/asked-over-http").status == 301
    get(address, sites[0], "/asked-after-it")
    assert host.run("grep -rq asked-after-it /var/log/nginx").rc == 0
    assert host.run("grep -r asked-over-http /var/log/nginx").stdout == ""


def test_the_failure_of_an_application_writes_no_full_address_to_the_error_log(host, address, sites):
    if host.ansible.get_variables().get("nginx_log_addresses") == "full":
        pytest.skip("this server is to log full addresses")
    get(address, sites[0], "/down/asked-while-down")
    assert host.run("grep -r 'client: .*asked-while-down' /var/log/nginx").stdout == ""


def test_sites_can_limit_what_one_address_has_open(host):
    settings = host.check_output("nginx -T 2> /dev/null")
    assert "limit_conn_zone $binary_remote_addr zone=provision_address:" in settings
    assert "limit_conn_status 429;" in settings


def test_the_workers_are_not_root(host):
    assert {process.user for process in host.process.filter(comm="nginx")} == {"root", "www-data"}
    assert "NoNewPrivileges=yes" in host.check_output("systemctl show --property=NoNewPrivileges nginx")


def test_a_broken_site_is_refused_before_it_can_do_harm(host):
    bad = host.run(
        "printf 'server { listen 443 ssl; nonsense; }' > /run/provision-verify.conf;"
        "provision-nginx test-sites /run/provision-verify.conf; code=$?;"
        "rm /run/provision-verify.conf; exit $code"
    )
    assert bad.rc != 0
    assert 'unknown directive "nonsense"' in bad.stderr
    assert host.run("nginx -t").rc == 0
    assert host.run("ls -A /etc/nginx").stdout.count(".provision-test") == 0


def test_the_example_site_of_debian_is_gone(host):
    assert not host.file("/etc/nginx/sites-enabled/default").exists
