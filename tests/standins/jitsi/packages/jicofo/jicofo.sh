#!/bin/bash
exec python3 /usr/share/jicofo/lib/focus.py /etc/jitsi/jicofo/jicofo.conf
