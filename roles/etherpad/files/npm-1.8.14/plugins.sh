#!/bin/sh
# Etherpad 1.8.14 asks npm at each start which plug-ins are installed. This answers in npm's place: Etherpad itself and no
# other. So npm, with all that it brings, is not part of the running service.
case "$1" in
ls)
    printf '{"dependencies":{"ep_etherpad-lite":{"name":"ep_etherpad-lite","version":"1.8.14","path":"%s/node_modules/ep_etherpad-lite"}}}\n' "$PWD"
    ;;
--version)
    echo none
    ;;
*)
    echo "Plug-ins are not installed on this server." >&2
    exit 1
    ;;
esac
