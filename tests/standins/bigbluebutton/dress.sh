#!/bin/sh
# Makes a Debian server call itself Ubuntu 22.04, which cannot be bootstrapped everywhere. For tests only.
set -eu
rm -f /etc/os-release
cat > /etc/os-release <<'EOF'
PRETTY_NAME="Ubuntu 22.04.5 LTS (stand-in: Debian)"
NAME="Ubuntu"
VERSION_ID="22.04"
ID=ubuntu
ID_LIKE=debian
VERSION_CODENAME=jammy
UBUNTU_CODENAME=jammy
EOF
cat > /etc/lsb-release <<'EOF'
DISTRIB_ID=Ubuntu
DISTRIB_RELEASE=22.04
DISTRIB_CODENAME=jammy
DISTRIB_DESCRIPTION="Ubuntu 22.04.5 LTS (stand-in)"
EOF
