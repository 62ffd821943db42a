#!/bin/bash
# Where upstream starts Java with the file that the system property config.file names.
[[ $JAVA_SYS_PROPS =~ -Dconfig\.file=([^ ]+) ]]
exec python3 /usr/share/jitsi-videobridge/lib/bridge.py "${BASH_REMATCH[1]}"
