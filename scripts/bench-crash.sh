#!/usr/bin/env bash
# Kills the server as it is now while it records, 30 times; appends the table to
# docs/bench/crash.md. Arguments go to the measurement: -kills 3.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bench-out
CGO_ENABLED=0 go build -o bench-out/tongxiang .
go build -o bench-out/bench-crash ./bench/crash
commit=$(git rev-parse --short HEAD 2>/dev/null || echo none)
[ -z "$(git status --porcelain -- '*.go' go.mod 2>/dev/null)" ] || commit="$commit with changes"
exec bench-out/bench-crash -server bench-out/tongxiang -commit "commit $commit" -out docs/bench/crash.md "$@"
