#!/bin/sh
# Makes a virtual environment in the directory that is given, with the newest Python that we support.
# ansible-core 2.19 runs on 3.11 to 3.13.
set -eu

target=$1
if [ -x "$target/bin/python" ] && "$target/bin/python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
    exit 0
fi
for name in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if command -v "$name" >/dev/null 2>&1 \
        && "$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        echo "Making a Python environment in $target with $("$name" --version)"
        exec "$name" -m venv --clear "$target"
    fi
done
echo "No Python 3.11, 3.12 or 3.13 with its venv module was found (found: $(python3 --version 2>&1))." >&2
echo "What to do: on Debian 12 or later, or Ubuntu 24.04 or later: apt-get install python3 python3-venv" >&2
exit 1
