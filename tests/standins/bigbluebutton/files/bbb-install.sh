#!/bin/bash -ex
# A stand-in for upstream's installer of BigBlueButton 3.0 (bigbluebutton/bbb-install, commit c8a743f1, bbb-install.sh): the same
# options, checks and effects as far as provision relies on them, in our own words. Like upstream's it is run by plain bash.

say() { echo "bbb-install: $1"; }
err() { say "$1" >&2; exit 1; }

main() {
  export DEBIAN_FRONTEND=noninteractive
  PACKAGE_REPOSITORY=ubuntu.bigbluebutton.org
  [ "$(uname -m)" == "x86_64" ] || err "You must run this command on a 64-bit server."

  while builtin getopts "hs:r:c:v:e:p:m:t:xgadwjik" opt "${@}"; do
    case $opt in
      s) HOST=$OPTARG; [ "$HOST" != "bbb.example.com" ] || err "You must specify a valid hostname (not the one in the docs)." ;;
      r) PACKAGE_REPOSITORY=$OPTARG ;;
      e) EMAIL=$OPTARG; [ "$EMAIL" != "info@example.com" ] || err "You must specify a valid email address (not the one in the docs)." ;;
      v) VERSION=$OPTARG ;;
      p) if [[ $OPTARG =~ : ]]; then PROXY=$OPTARG; else PROXY=$OPTARG:3142; fi
         echo "Acquire::http::Proxy \"http://$PROXY\";" > /etc/apt/apt.conf.d/01proxy ;;
      d) PROVIDED_CERTIFICATE=true ;;
      j) SKIP_MIN_SERVER_REQUIREMENTS_CHECK=true ;;
      i) SKIP_APACHE_INSTALLED_CHECK=true ;;
      h) exit 0 ;;
      *) err "The stand-in does not know -$opt." ;;
    esac
  done
  [ -n "$VERSION" ] || exit 0
  check_version
  if [ "$SKIP_APACHE_INSTALLED_CHECK" != true ] && dpkg -l | grep -q apache2-bin; then
    echo "You must uninstall the Apache2 server first"
    exit 1
  fi
  env
  enough "$(awk '$1~/MemTotal/ {print ($2>=3940000)}' /proc/meminfo)" "Your server should have (at least) 4 GB of memory."
  enough "$(($(nproc --all) >= 4))" "Your server needs to have (at least) 4 CPU cores (8 CPU cores recommended for production)."
  enough "$([ -f /proc/net/if_inet6 ] && echo 1)" "Your server does not support IPv6"
  get_IP

  apt-get install -yq nginx haproxy coturn curl openssl
  install_packages
  if [ -n "$PROVIDED_CERTIFICATE" ]; then install_ssl; else err "The stand-in asks no authority: -d is needed."; fi
  install_coturn
  install_haproxy
  bbb-conf --setip "$HOST"
  systemctl show-environment | grep LANG= | grep -q UTF-8 || systemctl set-environment LANG=C.UTF-8
  bbb-conf --check
}

# One of upstream's least requirements, which -j lets pass.
enough() {
  if [ "$1" != 1 ]; then
    echo "$2"
    [ "$SKIP_MIN_SERVER_REQUIREMENTS_CHECK" == true ] || exit 1
  fi
}

check_version() {
  echo "$VERSION" | grep -Eq "jammy-30" || err "This script can only install BigBlueButton 3.0 and is meant to be run on Ubuntu 22.04 (jammy) server."
  # In a comment: there is no such repository for a stand-in.
  echo "# deb [signed-by=/etc/apt/keyrings/bigbluebutton.asc] https://$PACKAGE_REPOSITORY/$VERSION bigbluebutton-${VERSION%%-*} main" > /etc/apt/sources.list.d/bigbluebutton.list
}

get_IP() {
  _dev=$(awk '$2 == 00000000 { print $1 }' /proc/net/route | head -1)
  read -r IP _ <<< "$(LANG=C ip -4 -br address show dev "$_dev" | awk '{ $1=$2=""; print $0 }')"
  IP=${IP/\/*}
  [ -n "$IP" ] || err "Unable to determine local IP address."
}

# What upstream's packages would bring, and what their maintainer scripts do.
install_packages() {
  for user in bigbluebutton freeswitch; do
    id $user > /dev/null 2>&1 || useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin $user
  done
  local keep=()
  # Settings under /etc belong to the server: an upgrade leaves them alone.
  [ ! -f /etc/bigbluebutton/bbb-apps-akka.conf ] || keep=(--exclude etc/bigbluebutton/bbb-apps-akka.conf)
  sed '1,/^# What follows is packed[.]$/d' "$0" | base64 -d | tar -xz -C / --no-same-owner "${keep[@]}"
  sed -i "s|^bigbluebutton.web.serverURL=.*|bigbluebutton.web.serverURL=http://$IP|" /usr/share/bbb-web/WEB-INF/classes/bigbluebutton.properties
  sed -i "s|^securitySalt=.*|securitySalt=$(openssl rand -base64 32 | tr -d '=+/\n')|" /usr/share/bbb-web/WEB-INF/classes/bigbluebutton.properties
  mkdir -p /var/bigbluebutton/{recording/raw,published,unpublished,deleted} /var/log/bigbluebutton /opt/freeswitch/var/log/freeswitch \
    /var/freeswitch/meetings /etc/bigbluebutton/{bbb-conf,bbb-webrtc-sfu,nginx} /var/www/bigbluebutton-default/assets
  chown -R bigbluebutton:bigbluebutton /var/bigbluebutton /var/log/bigbluebutton
  chown freeswitch:freeswitch /var/freeswitch/meetings
  echo BigBlueButton > /var/www/bigbluebutton-default/assets/index.html
  sed -i "s/stun:stun.freeswitch.org/$IP/" /opt/freeswitch/etc/freeswitch/vars.xml
  sed -i "s/5066$/--bind $IP 5066/" /usr/lib/systemd/system/freeswitch.service
  systemctl daemon-reload
  systemctl enable -q bigbluebutton.target bbb-web bbb-apps-akka bbb-webrtc-sfu freeswitch
}

install_ssl() {
  mkdir -p "/etc/letsencrypt/live/$HOST" /etc/nginx/ssl
  if [ ! -f "/etc/letsencrypt/live/$HOST/fullchain.pem" ]; then
    ln -s /local/certs/fullchain.pem "/etc/letsencrypt/live/$HOST/fullchain.pem"
    ln -s /local/certs/privkey.pem "/etc/letsencrypt/live/$HOST/privkey.pem"
  fi
  cat > /etc/nginx/sites-available/bigbluebutton << HERE
server_tokens off;
server {
  listen 80;
  listen [::]:80;
  server_name $HOST;
  location ^~ / {
    return 301 https://\$server_name\$request_uri;
  }
  location ^~ /.well-known/acme-challenge/ {
    allow all;
    default_type "text/plain";
    root /var/www/bigbluebutton-default/assets;
  }
}
set_real_ip_from 127.0.0.1;
real_ip_header proxy_protocol;
real_ip_recursive on;
server {
  listen 127.0.0.1:82 http2 proxy_protocol;
  listen [::1]:82 http2;
  listen 127.0.0.1:81 proxy_protocol;
  listen [::1]:81;
  server_name $HOST;
  absolute_redirect off;
  access_log  /var/log/nginx/bigbluebutton.access.log;
  set \$real_scheme "https";
  location / {
    root   /var/www/bigbluebutton-default/assets;
  }
  include /etc/bigbluebutton/nginx/*.nginx;
}
HERE
  ln -sf /etc/nginx/sites-available/bigbluebutton /etc/nginx/sites-enabled/bigbluebutton
  rm -f /etc/nginx/sites-enabled/default
  sed -i 's/^bigbluebutton.web.serverURL=http:/bigbluebutton.web.serverURL=https:/' /usr/share/bbb-web/WEB-INF/classes/bigbluebutton.properties
  [ ! -f /etc/bigbluebutton/bbb-web.properties ] || sed -i 's/^bigbluebutton.web.serverURL=http:/bigbluebutton.web.serverURL=https:/' /etc/bigbluebutton/bbb-web.properties
  TARGET=/etc/bigbluebutton/bbb-webrtc-sfu/production.yml
  # Upstream edits it with yq, key by key.
  grep -qs '^freeswitch:' $TARGET || printf 'freeswitch:\n  ip: "%s"\n  sip_ip: "%s"\n' "$IP" "$IP" >> $TARGET
  chown bigbluebutton:bigbluebutton $TARGET
  chmod 644 $TARGET
  systemctl reload nginx
}

install_coturn() {
  if grep -q "#static-auth-secret=north" /etc/turnserver.conf; then
    COTURN_SECRET="$(openssl rand -base64 32)"
    cat > /etc/turnserver.conf << HERE
listening-port=3478

listening-ip=$IP
relay-ip=$IP

min-port=32769
max-port=65535
verbose

fingerprint
lt-cred-mech
use-auth-secret
static-auth-secret=$COTURN_SECRET
realm=$HOST

keep-address-family

no-cli
no-tlsv1
no-tlsv1_1

no-loopback-peers
no-multicast-peers

denied-peer-ip=0.0.0.0-255.255.255.255
denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
allowed-peer-ip=$IP
HERE
    chown root:turnserver /etc/turnserver.conf
    chmod 640 /etc/turnserver.conf
  else
    COTURN_SECRET="$(grep static-auth-secret= /etc/turnserver.conf | cut -d = -f 2-)"
  fi
  mkdir -p /var/log/turnserver /etc/systemd/system/coturn.service.d
  chown turnserver:turnserver /var/log/turnserver
  cat > /etc/systemd/system/coturn.service.d/override.conf << HERE
[Service]
LimitNOFILE=1048576
ExecStart=
ExecStart=/usr/bin/turnserver -c /etc/turnserver.conf --pidfile= --no-stdout-log --simple-log --log-file /var/log/turnserver/turnserver.log
Restart=always
HERE
  systemctl daemon-reload
  systemctl restart coturn
  cat > /etc/bigbluebutton/turn-stun-servers.xml << HERE
<?xml version="1.0" encoding="UTF-8"?>
<beans xmlns="http://www.springframework.org/schema/beans">
    <bean id="turn0" class="org.bigbluebutton.web.services.turn.TurnServer">
        <constructor-arg index="0" value="$COTURN_SECRET"/>
        <constructor-arg index="1" value="turn:$HOST:3478"/>
        <constructor-arg index="2" value="86400"/>
    </bean>
    <bean id="turn1" class="org.bigbluebutton.web.services.turn.TurnServer">
        <constructor-arg index="0" value="$COTURN_SECRET"/>
        <constructor-arg index="1" value="turns:$HOST:443?transport=tcp"/>
        <constructor-arg index="2" value="86400"/>
    </bean>
    <bean id="stunTurnService" class="org.bigbluebutton.web.services.turn.StunTurnService">
        <property name="stunServers"><set></set></property>
        <property name="turnServers"><set><ref bean="turn0"/><ref bean="turn1"/></set></property>
    </bean>
</beans>
HERE
  chown root:bigbluebutton /etc/bigbluebutton/turn-stun-servers.xml
  chmod 640 /etc/bigbluebutton/turn-stun-servers.xml
}

install_haproxy() {
  cat > /etc/haproxy/haproxy.cfg << HERE
global
	log /dev/log	local0
	log /dev/log	local1 notice
	stats socket /run/haproxy/admin.sock mode 660 level admin
	user haproxy
	group haproxy
	daemon
	tune.ssl.default-dh-param 2048

defaults
	log	global
	mode	http
	option	httplog
	option	dontlognull
        timeout connect 5000
        timeout client  50000
        timeout server  50000

frontend nginx_or_turn
  bind *:443,:::443 ssl crt /etc/haproxy/certbundle.pem ssl-min-ver TLSv1.2 alpn h2,http/1.1,stun.turn
  mode tcp
  option tcplog
  tcp-request content capture req.payload(0,1) len 1
  log-format "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq captured_user:%{+X}[capture.req.hdr(0)]"
  tcp-request inspect-delay 30s
  use_backend nginx-http2 if { ssl_fc_alpn h2 }
  use_backend nginx if { ssl_fc_alpn http/1.1 }
  use_backend turn if { ssl_fc_alpn stun.turn }
  use_backend %[capture.req.hdr(0),map_str(/etc/haproxy/protocolmap,turn)]
  default_backend turn

backend turn
  mode tcp
  server localhost $IP:3478

backend nginx
  mode tcp
  server localhost 127.0.0.1:81 send-proxy check

backend nginx-http2
  mode tcp
  server localhost 127.0.0.1:82 send-proxy check
HERE
  chown root:haproxy /etc/haproxy/haproxy.cfg
  chmod 640 /etc/haproxy/haproxy.cfg
  for l in {a..z} {A..Z}; do echo "$l" nginx; done > /etc/haproxy/protocolmap
  chmod 0644 /etc/haproxy/protocolmap
  mkdir -p /etc/letsencrypt/renewal-hooks/deploy
  cat > /etc/letsencrypt/renewal-hooks/deploy/haproxy << HERE
#!/bin/bash -e
touch /etc/haproxy/certbundle.pem.new
chmod 0640 /etc/haproxy/certbundle.pem.new
{ cat /etc/letsencrypt/live/$HOST/fullchain.pem; echo; cat /etc/letsencrypt/live/$HOST/privkey.pem; } > /etc/haproxy/certbundle.pem.new
chown root:haproxy /etc/haproxy/certbundle.pem.new
mv /etc/haproxy/certbundle.pem.new /etc/haproxy/certbundle.pem
systemctl reload-or-restart haproxy
HERE
  chmod 0755 /etc/letsencrypt/renewal-hooks/deploy/haproxy
  /etc/letsencrypt/renewal-hooks/deploy/haproxy
  systemctl enable -q --now haproxy.service
}

main "$@" || exit 1
exit 0
# What follows is packed.
