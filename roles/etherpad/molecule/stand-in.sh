#!/bin/sh
# stand-in.sh VERSION DIRECTORY: on a test server that has Etherpad 1.8.14, make imitations of what upstream ships of a later
# release, for tests only: an archive with its Node.js, and two signed package repositories. Places, names, dependencies and
# the packages' scripts are as upstream's packaging has them; the program inside is 1.8.14.
set -eu
umask 022
version=$1
to=$2
rm -rf "$to"
mkdir -p "$to/tree" "$to/node/bin"
cd "$to"

# The tree: started through tsx from server.ts.
cp -a /opt/etherpad/releases/1.8.14/. tree/
rm -rf tree/var tree/.provision*
echo "stand-in: Etherpad 1.8.14 dressed as $version" > tree/STAND-IN
mkdir -p tree/node_modules/tsx/dist/cjs
: > tree/node_modules/tsx/dist/cjs/index.cjs
cat > tree/src/node/server.ts <<'JS'
process.argv.push('--sessionkey', '/var/lib/etherpad/SESSIONKEY.txt');
require('./server.js').start();
JS
cp "$(readlink -f /usr/bin/node)" node/bin/node

# The archive, each file with one folder at its top.
tar -czf "etherpad-$version.tar.gz" --transform "s,^tree,etherpad-$version," tree
# By Python: the server need not have xz yet, and it is the role's to install it.
python3 -m tarfile -c node-v24.21.0-linux-x64.tar.xz node

# The packages.
mkdir -p etherpad nodesource deb/DEBIAN deb/opt
cp -a tree deb/opt/etherpad
cat > deb/DEBIAN/control <<CONTROL
Package: etherpad
Version: $version-1
Architecture: all
Maintainer: stand-in <stand-in@invalid>
Pre-Depends: adduser
Depends: nodejs (>= 24), ca-certificates
Description: stand-in for upstream's package of Etherpad
CONTROL
cat > deb/DEBIAN/preinst <<'PREINST'
#!/bin/sh
set -e
getent group etherpad > /dev/null || addgroup --system etherpad
getent passwd etherpad > /dev/null || adduser --system --ingroup etherpad --home /var/lib/etherpad --no-create-home etherpad
PREINST
cat > deb/DEBIAN/postinst <<'POSTINST'
#!/bin/sh
set -e
mkdir -p /etc/etherpad /var/lib/etherpad/var
chown root:etherpad /etc/etherpad
chmod 0750 /etc/etherpad
if [ ! -e /etc/etherpad/settings.json ]; then
    echo '{"ip": "0.0.0.0"}' > /etc/etherpad/settings.json
    chown etherpad:etherpad /etc/etherpad/settings.json
    chmod 0660 /etc/etherpad/settings.json
fi
ln -sfn /etc/etherpad/settings.json /opt/etherpad/settings.json
ln -sfn /var/lib/etherpad/var /opt/etherpad/var
chown -hR etherpad:etherpad /var/lib/etherpad/var
systemctl daemon-reload
if [ -z "$2" ]; then systemctl enable etherpad.service; else systemctl try-restart etherpad.service; fi
POSTINST
mkdir -p deb/lib/systemd/system
cat > deb/lib/systemd/system/etherpad.service <<'UNIT'
[Unit]
Description=stand-in for upstream's own unit, which must not be used
[Service]
ExecStart=/bin/false
[Install]
WantedBy=multi-user.target
UNIT
chmod 0755 deb/DEBIAN/preinst deb/DEBIAN/postinst
dpkg-deb --build --root-owner-group -Zgzip -z1 deb "etherpad/etherpad_$version-1_all.deb" > /dev/null

# Node.js: Debian's own, under the version that NodeSource has.
mkdir -p fetched
chown _apt fetched
(cd fetched && apt-get -qq download nodejs)
dpkg-deb -R fetched/nodejs_*.deb node-deb
sed -i 's/^Version: .*/Version: 24.21.0-1nodesource1/' node-deb/DEBIAN/control
dpkg-deb --build --root-owner-group -Zgzip -z1 node-deb nodesource/nodejs_24.21.0-1nodesource1.deb > /dev/null

# The repositories, each signed with a throw-away key of its own.
apt-get -qq install --no-install-recommends apt-utils gpg gpg-agent > /dev/null
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
for name in etherpad nodesource stranger; do
    gpg --batch --quiet --passphrase '' --quick-generate-key "stand-in $name" ed25519 sign never
    gpg --batch --with-colons --list-keys "stand-in $name" | awk -F: '/^fpr/ { print $10; exit }' > "$name.fingerprint"
    gpg --batch --armor --export "stand-in $name" > "$name.asc"
done
for repository in etherpad:stable nodesource:nodistro; do
    name=${repository%:*}
    suite=${repository#*:}
    for architecture in amd64 arm64; do
        mkdir -p "$name/dists/$suite/main/binary-$architecture"
        (cd "$name" && apt-ftparchive packages . > "dists/$suite/main/binary-$architecture/Packages")
    done
    apt-ftparchive -o "APT::FTPArchive::Release::Suite=$suite" -o "APT::FTPArchive::Release::Codename=$suite" \
        -o 'APT::FTPArchive::Release::Components=main' -o 'APT::FTPArchive::Release::Architectures=amd64 arm64' \
        release "$name/dists/$suite" > "$name/Release.new"
    mv "$name/Release.new" "$name/dists/$suite/Release"
    gpg --batch --quiet --local-user "stand-in $name" --clear-sign --output "$name/dists/$suite/InRelease" \
        "$name/dists/$suite/Release"
done
gpgconf --kill all
rm -rf "$GNUPGHOME" deb node-deb fetched tree node
touch complete
