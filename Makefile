# Two commands matter: `make run` and `make test`. Each target is one line or two
# that call a script; `make help` lists them.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)

.PHONY: $(shell sed -n 's|^\([a-z0-9-]*\):.*\#\#.*|\1|p' $(firstword $(MAKEFILE_LIST)))

help:            ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run:             ## install what is missing, build, and start the demo
	@scripts/install.sh run
	@$(MAKE) --no-print-directory build
	@exec ./tongxiang serve --config configs/demo.yaml

test:            ## every test: Go with -race, the page's unit tests, the browser tests
	@scripts/install.sh test
	@$(MAKE) --no-print-directory web
	@node scripts/test.mjs

lint:            ## go vet, staticcheck, formatting, the page's linter and type check
	@scripts/lint.sh

build: web       ## one static binary, ./tongxiang, with the pages inside
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o tongxiang .

web:             ## the pages, into web/dist
	@scripts/web.sh

bench:           ## Go benchmarks of the core; results to bench-out/
	@scripts/bench.sh

bench-fanout:    ## the fan-out comparison of ADR 0002
	@scripts/bench-fanout.sh

bench-sfu:       ## the media path against its targets; appends to docs/bench/sfu.md (ARGS='-runs 3')
	@scripts/bench-sfu.sh $(ARGS)

bench-hour:      ## a meeting of an hour: is its recording in time, does it click? (ARGS='-length 10m')
	@scripts/install.sh test
	@$(GO) run ./bench/hour -commit "commit $$(git rev-parse --short HEAD)" -out docs/bench/programme.md $(ARGS)

bench-sources:   ## how channels bear a source that vanishes for 30 s
	@scripts/install.sh test
	@$(GO) run ./bench/sources

bench-tsout:     ## the TS multiplexer against go-astits and ffmpeg, and when datagrams leave
	@$(GO) test -run '^$$' -bench Multiplex -benchtime 1s -count 5 ./internal/playout/ts
	@$(GO) test -run '^$$' -bench Departure -benchtime 1x ./internal/playout/ts

bench-captures:  ## every real stream in STREAMS=FOLDER through the server and a kiosk in Chromium, as a table
	@scripts/install.sh test
	@$(MAKE) --no-print-directory build
	@cd web && TONGXIANG_TEST_BINARY="$(CURDIR)/tongxiang" npm run --silent captures -- "$(abspath $(STREAMS))"

bench-demux:     ## the TS core against go-astits and ffmpeg on one multiplex of 37.6 Mbit/s
	@$(GO) run ./bench/demux $(ARGS)

bench-broadcast: ## 49 programmes into the server; appends to docs/bench/broadcast.md (ARGS='-window 5m -hls')
	@scripts/bench-broadcast.sh $(ARGS)

bench-crash:     ## kill -9 while eight channels and a meeting are recorded; appends to docs/bench/crash.md (ARGS='-kills 3')
	@scripts/install.sh test
	@scripts/bench-crash.sh $(ARGS)

bench-library:   ## search in 100,000 recordings on SQLite and PostgreSQL; appends to docs/bench/library.md (ARGS='-recordings 10000')
	@scripts/install.sh test
	@scripts/bench-library.sh $(ARGS)

bench-quality:   ## what watching over 49 channels costs (ARGS='-for 60s')
	@$(GO) run ./bench/quality $(ARGS)

bench-e2e:       ## timings seen by a real browser (join, kiosk, recovery)
	@scripts/install.sh test
	@$(MAKE) --no-print-directory build
	@cd web && npm run --silent bench

bench-kiosks:    ## 300 kiosks on one of 49 channels (ARGS='-kiosks 100 -for 30s')
	@scripts/install.sh test
	@$(GO) run ./bench/kiosks $(ARGS)

bench-seek:      ## jumps in a recording of three hours over a line of 2 Mbit/s (ARGS='-rate 1000000')
	@scripts/install.sh test
	@$(GO) run ./bench/seek $(ARGS)

bench-seek-page: ## the same jumps in Chromium, with the page's own player (RATES=2000000,8000000 JUMPS=20)
	@scripts/install.sh test
	@$(MAKE) --no-print-directory web
	@cd web && npm run --silent bench-seek

bench-delay:     ## how far behind its source a picture is in a real browser
	@scripts/install.sh test
	@$(MAKE) --no-print-directory build
	@cd web && npm run --silent bench-delay

e2e:             ## only the browser tests
	@scripts/install.sh test
	@$(MAKE) --no-print-directory build
	@cd web && npm run --silent e2e

clean:           ## remove what was built; never data/
	rm -rf tongxiang web/dist/* bench-out
