"""Builds the stand-in for upstream's signed apt repository: ``build.py DIRECTORY [RELEASE...]``.

The directory then holds the packages and their lists in ``stable/``, as upstream's repository does, signed with a
throw-away key; beside it the key itself (``key.asc``) and its fingerprint (``fingerprint``). Needs dpkg-deb and gpg.
Upstream's real Prosody modules are packed where UPSTREAM holds them.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).parent
#: Upstream's resources/prosody-plugins, where somebody has put them; never in this repository.
UPSTREAM = Path.home() / ".cache/provision/upstream/jitsi-meet/prosody-plugins"
RELEASES = ("2.0.11146",)


@dataclass
class Package:
    """One package: its dependencies, and where its files come from (target -> source)."""

    name: str
    depends: str
    files: dict[str, Path] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    conffiles: tuple[str, ...] = ()


def print_of(*folders: Path) -> str:
    """A short fingerprint of all that the packages are made of."""
    total = hashlib.sha256()
    for file in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if "__pycache__" not in file.parts:
            total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:8]


def set_of(release: str) -> tuple[dict[str, str], list[Package]]:
    """The packages of one release, and their versions: each counts by itself, as upstream's do."""
    number = int(release.rsplit(".", 1)[1])
    plugins = (
        UPSTREAM
        if UPSTREAM.is_dir() and os.environ.get("PROVISION_TEST_STAND_INS") != "1"
        else HERE / "plugins"
    )
    # Lab machines share what apt has fetched, and apt takes a file of the same name and size for the same one.
    revision = f"1.{print_of(HERE, plugins)}"
    versions = {
        "jitsi-meet-web": f"1.0.{number - 2300}-{revision}",
        "jitsi-meet-web-config": f"1.0.{number - 2300}-{revision}",
        "jitsi-meet-prosody": f"1.0.{number - 2300}-{revision}",
        "jicofo": f"1.0-{number - 9900}-{revision}",
        "jitsi-videobridge2": f"2.3-{number - 10800}-g0000000-{revision}",
    }
    packages = HERE / "packages"
    web, lib = HERE / "web", HERE / "lib"
    bridge, focus = packages / "jitsi-videobridge2", packages / "jicofo"
    prosody, config = packages / "jitsi-meet-prosody", packages / "jitsi-meet-web-config"
    modules = {
        f"usr/share/jitsi-meet/prosody-plugins/{f.relative_to(plugins)}": f for f in plugins.rglob("*.lua")
    }
    exact = ", ".join(f"{name} (= {version})" for name, version in versions.items())
    common = {name: lib / name for name in ("hocon.py", "log.py", "xmpp.py", "web.py")}
    return {"jitsi-meet": f"{release}-{revision}", **versions}, [
        Package("jitsi-meet", exact),
        Package(
            "jitsi-meet-web",
            "",
            {f"usr/share/jitsi-meet/{f.relative_to(web)}": f for f in web.rglob("*") if f.is_file()},
        ),
        Package(
            "jitsi-meet-web-config",
            "openssl, curl, nginx",
            {
                f"usr/share/jitsi-meet-web-config/{name}": config / name
                for name in ("config.js", "jitsi-meet.example")
            },
        ),
        Package(
            "jitsi-meet-prosody",
            "openssl, prosody (>= 0.12.0), lua-sec, lua-basexx, lua-luaossl, lua-cjson, lua-inspect",
            modules
            | {
                "usr/share/jitsi-meet-prosody/prosody.cfg.lua-jvb.example": prosody
                / "prosody.cfg.lua-jvb.example"
            },
        ),
        Package(
            "jicofo",
            "python3, ruby-hocon, jq",
            {
                f"usr/share/jicofo/lib/{name}": file
                for name, file in {**common, "focus.py": lib / "focus.py"}.items()
            }
            | {
                "usr/share/jicofo/jicofo.sh": focus / "jicofo.sh",
                "etc/init.d/jicofo": focus / "init.d",
                "etc/jitsi/jicofo/logging.properties": focus / "logging.properties",
                "etc/logrotate.d/jicofo": focus / "logrotate",
            },
            ("usr/share/jicofo/jicofo.sh", "etc/init.d/jicofo"),
            ("/etc/init.d/jicofo", "/etc/jitsi/jicofo/logging.properties", "/etc/logrotate.d/jicofo"),
        ),
        Package(
            "jitsi-videobridge2",
            "python3, procps, uuid-runtime, ruby-hocon",
            {
                f"usr/share/jitsi-videobridge/lib/{name}": file
                for name, file in {**common, "bridge.py": lib / "bridge.py"}.items()
            }
            | {
                "usr/share/jitsi-videobridge/jvb.sh": bridge / "jvb.sh",
                "lib/systemd/system/jitsi-videobridge2.service": bridge / "jitsi-videobridge2.service",
                "etc/jitsi/videobridge/logging.properties": bridge / "logging.properties",
                "etc/logrotate.d/jitsi-videobridge": bridge / "logrotate",
            },
            ("usr/share/jitsi-videobridge/jvb.sh",),
            ("/etc/jitsi/videobridge/logging.properties", "/etc/logrotate.d/jitsi-videobridge"),
        ),
    ]


def control_of(package: Package, version: str) -> str:
    """The fields of a package, as its list has them too."""
    depends = ", ".join(filter(None, ["debconf (>= 0.5) | debconf-2.0", package.depends]))
    return (
        f"Package: {package.name}\nVersion: {version}\nArchitecture: all\nMaintainer: provision <root@localhost>\n"
        f"Depends: {depends}\nSection: net\nPriority: optional\nDescription: stand-in for tests, not Jitsi\n"
    )


def pack(package: Package, version: str, directory: Path) -> str:
    """Makes one .deb in a directory; gives its paragraph for the list."""
    with tempfile.TemporaryDirectory() as work:
        root = Path(work)
        root.chmod(0o755)
        for target, source in package.files.items():
            place = root / target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
            place.chmod(0o755 if target in package.programs else 0o644)
        control = root / "DEBIAN"
        control.mkdir(mode=0o755)
        (control / "control").write_text(control_of(package, version))
        if package.conffiles:
            (control / "conffiles").write_text("".join(f"{name}\n" for name in package.conffiles))
        for name, mode in (("templates", 0o644), ("config", 0o755), ("postinst", 0o755)):
            script = HERE / "packages" / package.name / name
            if script.is_file():
                shutil.copyfile(script, control / name)
                (control / name).chmod(mode)
        file = directory / f"{package.name}_{version}_all.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Znone", "--build", work, str(file)],
            check=True,
            capture_output=True,
        )
    content = file.read_bytes()
    return (
        f"{control_of(package, version)}Filename: stable/{file.name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


def gpg(home: str, *arguments: str) -> str:
    command = [
        "gpg",
        "--homedir",
        home,
        "--batch",
        "--quiet",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout


def build(directory: Path, releases: tuple[str, ...] = RELEASES) -> str:
    """Builds the repository and gives the fingerprint of its key.

    Args:
        directory: is emptied before.
        releases: all of them are in the list, as upstream keeps old ones.
    """
    shutil.rmtree(directory, ignore_errors=True)
    stable = directory / "stable"
    stable.mkdir(parents=True)
    paragraphs = []
    for release in releases:
        versions, packages = set_of(release)
        paragraphs += [pack(package, versions[package.name], stable) for package in packages]
    listing = "\n".join(paragraphs)
    (stable / "Packages").write_text(listing)
    release_file = (
        f"Origin: jitsi.org\nLabel: Stand-in\nSuite: stable\nCodename: stable\nDate: {formatdate(usegmt=True)}\n"
        "Architectures: all amd64 arm64\nComponents: main\nDescription: stand-in for tests\nSHA256:\n"
        f" {hashlib.sha256(listing.encode()).hexdigest()} {len(listing.encode())} Packages\n"
    )
    (stable / "Release").write_text(release_file)
    with tempfile.TemporaryDirectory() as home:
        gpg(home, "--quick-generate-key", "Stand-in <root@localhost>", "rsa3072", "sign", "never")
        keys = gpg(home, "--with-colons", "--list-keys")
        fingerprint = next(line.split(":")[9] for line in keys.splitlines() if line.startswith("fpr:"))
        (directory / "key.asc").write_text(gpg(home, "--armor", "--export", fingerprint))
        gpg(home, "--clearsign", "--output", str(stable / "InRelease"), str(stable / "Release"))
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    (directory / "fingerprint").write_text(fingerprint)
    return fingerprint


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), tuple(sys.argv[2:]) or RELEASES))
