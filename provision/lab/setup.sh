#!/bin/sh
# Installs the system packages that the project needs on a Debian or Ubuntu computer: those that are missing, nothing else.
#
#   provision/lab/setup.sh         what `provision` and the lab need
#   provision/lab/setup.sh test    and what the tests need besides; one program of it goes to .lab/tools, not into the system
#
# Needs root, or sudo, where a package is missing. Exit codes: 0 all there, 1 apt failed, 2 wrong usage, 3 cannot be done on this computer.
set -eu

say() { printf '%s\n' "$*"; }
fail() {
  code=$1
  shift
  printf '%s\n' "$*" >&2
  exit "$code"
}

promtool=
packages='python3-venv systemd-container mmdebstrap nftables iproute2 openssh-client debian-archive-keyring git'
case ${1-} in
  '') ;;
  test)
    packages="$packages chromium libnss3-tools shellcheck openssl"
    promtool=$(cd "$(dirname "$0")/../.." && pwd)/.lab/tools/promtool
    ;;
  *) fail 2 "Usage: $0 [test]" ;;
esac

command -v apt-get >/dev/null || fail 3 "This computer has no apt. Install these by hand: $packages"

distribution=$(sed -n 's/^ID=//p' /etc/os-release | tr -d '"')

installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for package in $packages; do
  if [ "$package" = chromium ]; then
    # Any of them does; playwright is told which one by the tests.
    for browser in chromium chromium-browser google-chrome google-chrome-stable; do
      command -v "$browser" >/dev/null && continue 2
    done
    if [ "$distribution" = ubuntu ]; then
      say 'Ubuntu has Chromium only as a snap, which apt cannot install in every container. For the browser tests run:'
      say '  sudo snap install chromium'
      continue
    fi
  fi
  # A Python of one's own (pyenv, uv) brings its venv module along.
  if [ "$package" = python3-venv ] && python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    continue
  fi
  installed "$package" || missing="$missing $package"
done
missing=${missing# }

as_root() { "$@"; }
if [ "$(id -u)" -ne 0 ]; then
  as_root() { sudo "$@"; }
fi

# Debian has promtool in its package prometheus, which starts a server of its own: that one program is taken out of it.
take_promtool() {
  if command -v promtool >/dev/null || [ -x "$promtool" ]; then
    return
  fi
  say "Fetching promtool to $promtool (20 MB, once)"
  tools=${promtool%/*}
  mkdir -p "$tools"
  scratch=$(mktemp -d "$tools/new.XXXXXX")
  if ! (cd "$scratch" && apt-get -qq download prometheus 2>said); then
    say 'Updating the package lists'
    as_root apt-get -qq update || true
    (cd "$scratch" && apt-get -qq download prometheus 2>said) || true
  fi
  if (cd "$scratch" && dpkg-deb --fsys-tarfile prometheus_*.deb >all.tar 2>>said && tar -xf all.tar ./usr/bin/promtool 2>>said); then
    mv "$scratch/usr/bin/promtool" "$promtool"
    rm -rf "$scratch"
  else
    said=$(cat "$scratch/said")
    rm -rf "$scratch"
    fail 1 "promtool could not be fetched: $said"
  fi
}

if [ -z "$missing" ]; then
  say 'All system packages are there.'
  [ -z "$promtool" ] || take_promtool
  exit 0
fi

[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || fail 3 "Root is needed to install: $missing. Run this as root."

candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

for package in $missing; do
  if ! candidate "$package"; then
    say 'Updating the package lists'
    as_root apt-get -qq update || say 'The package lists could not be updated; trying with the old ones.'
    break
  fi
done

say "Installing: $missing"
install() {
  # Word splitting is wanted: one word a package.
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends -y $missing
}
if ! install; then
  say 'That failed; once more with fresh package lists'
  as_root apt-get -qq update || true
  install || fail 1 "apt could not install: $missing. Its message is above."
fi
[ -z "$promtool" ] || take_promtool
say 'Done.'
