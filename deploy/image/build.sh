#!/usr/bin/env bash
# Makes the root file system of the image: vigie, the libraries that it needs and the certificates of the world's CAs,
# nothing else: no shell, no package manager. Runs in a fresh Debian 12, as root: the first stage of deploy/Dockerfile, and
# deploy/image/chroot.sh where there is no container engine.
#
#   deploy/image/build.sh OUT
#
# libcurl and libmicrohttpd are Debian's sources (with its security patches), built without what vigie never uses: LDAP,
# Kerberos, SSH, RTMP and a second TLS library, which would be more than half of the image.
set -euo pipefail
out=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
source=$PWD
. tests/lib.sh

# The same input gives the same bytes: times and paths are those of the commit, not of the build.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1764000000} LC_ALL=C TZ=UTC
libraries=/var/tmp/vigie-image
export CFLAGS="-O2 -g0 -ffile-prefix-map=$source=/src -ffile-prefix-map=$libraries=/libraries"

install_sources() {
	printf 'deb-src http://deb.debian.org/debian bookworm main\ndeb-src http://deb.debian.org/debian-security bookworm-security main\n' \
		>/etc/apt/sources.list.d/vigie-image.list
	apt_get update
}

# library NAME OPTION…: builds the Debian source package as a static library in $libraries
library() {
	local name=$1
	shift
	[ ! -e "$libraries/$name.done" ] || return 0
	say "Building $name"
	cd "$libraries"
	rm -rf "$name-"*/
	apt_get source --only-source "$name"
	cd "$name-"*/
	./configure -q --prefix="$libraries" --libdir="$libraries/lib" --disable-shared --enable-static \
		--disable-dependency-tracking "$@"
	make -s -j"$(nproc)" V=0
	make -s install V=0
	cd "$source"
	touch "$libraries/$name.done"
}

install_packages "${BUILD_PACKAGES[@]}" ca-certificates dpkg-dev libcap2-bin libnghttp2-dev libssl-dev zlib1g-dev
mkdir -p "$libraries"
install_sources
library libmicrohttpd --disable-https --disable-doc --disable-examples --disable-curl
library curl --with-openssl --without-libpsl --without-libssh2 --without-librtmp --without-libidn2 --without-brotli \
	--without-zstd --with-nghttp2 --without-gssapi --disable-ldap --disable-ldaps --disable-ftp --disable-file \
	--disable-telnet --disable-tftp --disable-pop3 --disable-imap --disable-smtp --disable-smb --disable-gopher \
	--disable-mqtt --disable-dict --disable-rtsp --disable-manual --disable-alt-svc --disable-hsts \
	--disable-libcurl-option

say "Building vigie"
rm -rf "$libraries/build"
# The compiler is given paths that are relative to the build's folder.
CFLAGS+=" -ffile-prefix-map=$(realpath -m --relative-to="$libraries/build" "$source")=/src"
PKG_CONFIG_PATH=$libraries/lib/pkgconfig meson setup "$libraries/build" --buildtype=release --prefer-static \
	-Dtests=false >/dev/null
meson compile -C "$libraries/build"

say "Gathering $out"
rm -rf "$out"
mkdir -p "$out/etc/ssl/certs" "$out/etc/vigie"
strip -o "$out/vigie" "$libraries/build/vigie"
for file in $(ldd "$out/vigie" | grep -o '/[^ ]*'); do
	mkdir -p "$out$(dirname "$file")"
	cp -L "$file" "$out$file"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/"
echo 'nonroot:x:65532:65532:vigie:/:/vigie' >"$out/etc/passwd"
echo 'nonroot:x:65532:' >"$out/etc/group"
find "$out" -exec chown -h 0:0 {} + -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
setcap cap_net_bind_service=+ep "$out/vigie" # behind chown, which takes capabilities away
ldd "$out/vigie"
du -b -s "$out"
