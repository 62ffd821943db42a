#!/bin/sh
### BEGIN INIT INFO
# Provides:          jicofo
# Required-Start:    $local_fs $remote_fs
# Required-Stop:     $local_fs $remote_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Stand-in for the Jitsi Conference Focus
### END INIT INFO
[ -f /etc/jitsi/jicofo/config ] && . /etc/jitsi/jicofo/config
pid=/var/run/jicofo.pid
log=/var/log/jitsi/jicofo.log
case "$1" in
start)
    export JICOFO_MAX_MEMORY
    start-stop-daemon --start --quiet --background --chuid jicofo --make-pidfile --pidfile $pid --exec /bin/bash -- \
        -c "cd /usr/share/jicofo; JAVA_SYS_PROPS=\"$JAVA_SYS_PROPS\" exec /usr/share/jicofo/jicofo.sh < /dev/null >> $log 2>&1"
    ;;
stop)
    if [ -f $pid ]; then
        kill "$(cat $pid)" || true
        rm -f $pid
    fi
    ;;
restart)
    $0 stop
    $0 start
    ;;
status)
    [ -f $pid ] && kill -0 "$(cat $pid)"
    ;;
esac
