#!/usr/bin/env bash
# The media path of the server against its targets. Builds the server as it is now
# and the load, runs both on loopback and appends the table to docs/bench/sfu.md.
# Arguments go to the load: -runs 3, -only apart,burst, -nice -10, -window 5s.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bench-out
CGO_ENABLED=0 go build -o bench-out/tongxiang .
go build -o bench-out/bench-sfu ./bench/sfu
commit=$(git rev-parse --short HEAD 2>/dev/null || echo none)
[ -z "$(git status --porcelain -- '*.go' go.mod 2>/dev/null)" ] || commit="$commit with changes"
exec bench-out/bench-sfu -server bench-out/tongxiang -commit "commit $commit" -out docs/bench/sfu.md "$@"
