#!/usr/bin/env bash
# Formatting, vet, staticcheck, and the page's linter and type check.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l $(git ls-files '*.go'))
[ -z "$unformatted" ] || { echo "not formatted:"; echo "$unformatted"; exit 1; }
go vet ./...
go run honnef.co/go/tools/cmd/staticcheck@v0.6.1 ./...
go mod tidy -diff
scripts/web.sh
cd web && npm run --silent lint && npm run --silent typecheck
