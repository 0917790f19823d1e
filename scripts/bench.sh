#!/usr/bin/env bash
# Go benchmarks of the core, five times each, with the commit and the machine on top.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bench-out
out=bench-out/core.txt
{
	echo "# commit $(git rev-parse --short HEAD), $(date -u +%F), $(go version | cut -d' ' -f3), $(nproc) cores"
	go test -run '^$' -bench . -benchtime 20000x -count 5 ./internal/stream
	go test -run '^$' -bench . -count 5 ./internal/media ./internal/mpegts ./sfu
} | tee "$out"
echo "written to $out"
