#!/usr/bin/env bash
# Installs what `make run` or `make test` needs and the machine lacks, from
# Debian's packages: ffmpeg (test programme, transcoding) and a CJK font (captions);
# for the tests also Chromium and PostgreSQL, which they start themselves. Says what to do where it cannot.
set -euo pipefail

what=${1:?usage: install.sh run|test}
missing=()
command -v ffmpeg >/dev/null || missing+=(ffmpeg)
fc-list ':lang=zh-cn' 2>/dev/null | grep -q . || missing+=(fonts-noto-cjk fontconfig)
if [ "$what" = test ]; then
	command -v chromium >/dev/null || missing+=(chromium)
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
fi

for tool in go node npm; do
	command -v "$tool" >/dev/null || { echo "$tool is missing: install Go 1.26, Node 20 and npm first." >&2; exit 1; }
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "run as root: apt-get install ${missing[*]}" >&2; exit 1; }
	as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -20 "$log" >&2
	echo "these packages could not be installed: ${missing[*]}" >&2
	exit 1
fi
rm -f "$log"
