#!/usr/bin/env bash
# The fan-out comparison of ADR 0002: five runs, medians, as a markdown table.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bench-out
go test -run '^$' -bench FanOut -benchtime 50000x -count 5 ./internal/stream | tee bench-out/fanout.txt >&2
echo
echo "commit $(git rev-parse --short HEAD 2>/dev/null || echo none), $(date -u +%F), $(go version | cut -d' ' -f3), $(nproc) cores"
echo
echo "| readers | direct | ring-sharded | ring | cond | channel |"
echo "|---|---|---|---|---|---|"
for n in 1 10 100 300; do
	row="| $n |"
	for s in direct ring-sharded ring cond channel; do
		m=$(awk -v k="BenchmarkFanOut/$n/$s-$(nproc)" '$1==k {for(i=1;i<=NF;i++) if($i=="ns/delivery") print $(i-1)}' bench-out/fanout.txt | sort -n | sed -n 3p)
		row="$row $m |"
	done
	echo "$row"
done
