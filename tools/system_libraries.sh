#!/bin/sh
# Checks the system libraries that open3d and OpenCV load; installs them where that is allowed, else says how.
set -eu
missing=""
have() { ldconfig -p 2>/dev/null | grep -q "$1" || ls /usr/lib/*/"$1"* /usr/lib/"$1"* >/dev/null 2>&1; }
have libusb-1.0.so.0 || missing="$missing libusb-1.0-0"
have libEGL.so.1 || missing="$missing libegl1"
have libGL.so.1 || missing="$missing libgl1"
have libgthread-2.0.so.0 || missing="$missing libglib2.0-0"
have libgomp.so.1 || missing="$missing libgomp1"
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
[ -z "$missing" ] && exit 0
if [ "$(uname -s)" != Linux ] || ! command -v apt-get >/dev/null; then
    echo "system libraries are missing:$missing (Debian's names); install what your system calls them" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    echo "installing system libraries:$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "system libraries are missing; run: sudo apt-get install$missing" >&2
    exit 1
fi
