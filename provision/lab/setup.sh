#!/bin/sh
# Installs the system packages that the project needs on a Debian or Ubuntu computer: those that are missing, nothing else.
#
#   provision/lab/setup.sh         what `provision` and the lab need
#   provision/lab/setup.sh test    and what the tests need besides
#
# Needs root, or sudo. Exit codes: 0 all there, 1 apt failed, 2 wrong usage, 3 cannot be done on this computer.
set -eu

say() { printf '%s\n' "$*"; }
fail() {
  code=$1
  shift
  printf '%s\n' "$*" >&2
  exit "$code"
}

packages='python3-venv systemd-container mmdebstrap nftables iproute2 openssh-client debian-archive-keyring git'
case ${1-} in
  '') ;;
  test) packages="$packages chromium libnss3-tools shellcheck openssl" ;;
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

if [ -z "$missing" ]; then
  say 'All system packages are there.'
  exit 0
fi

as_root() { "$@"; }
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail 3 "Root is needed to install: $missing. Run this as root."
  as_root() { sudo "$@"; }
fi

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
say 'Done.'
