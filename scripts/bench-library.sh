#!/usr/bin/env bash
# Searches in 100,000 recordings, on SQLite and on PostgreSQL; appends the tables to
# docs/bench/library.md. Arguments go to the measurement: -recordings 10000.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bench-out
go build -o bench-out/bench-library ./bench/library
commit=$(git rev-parse --short HEAD 2>/dev/null || echo none)
[ -z "$(git status --porcelain -- '*.go' go.mod 2>/dev/null)" ] || commit="$commit with changes"
exec bench-out/bench-library -commit "commit $commit" -out docs/bench/library.md "$@"
