#!/usr/bin/env bash
# Builds the pages into web/dist, when a source is newer than the last build.
set -euo pipefail
cd "$(dirname "$0")/../web"

if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
	echo "installing the page's dependencies"
	npm ci --no-audit --no-fund --loglevel=error
fi
if [ -f dist/index.html ] && [ -z "$(find src public package-lock.json vite.config.ts tsconfig.json ./*.html -newer dist/index.html -print -quit 2>/dev/null)" ]; then
	exit 0
fi
npm run --silent build
