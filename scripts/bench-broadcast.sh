#!/usr/bin/env bash
# Seven multiplexes of seven programmes into the server as it is now, on loopback;
# appends the table to docs/bench/broadcast.md. Arguments go to the measurement:
# -window 5m, -hls, -kiosks COMMAND, -profile FILE, -muxes 1.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bench-out
CGO_ENABLED=0 go build -o bench-out/tongxiang .
go build -o bench-out/bench-broadcast ./bench/broadcast
commit=$(git rev-parse --short HEAD 2>/dev/null || echo none)
[ -z "$(git status --porcelain -- '*.go' go.mod 2>/dev/null)" ] || commit="$commit with changes"
exec bench-out/bench-broadcast -server bench-out/tongxiang -commit "commit $commit" -out docs/bench/broadcast.md "$@"
