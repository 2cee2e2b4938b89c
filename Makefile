# make test    everything CI runs; installs what it needs on Debian
# make check   gofmt, vet, lint only
# make bench   the speed figures of docs/benchmarks.md
# make bench-replicas, make bench-growth   those of PostgreSQL and of many accounts
# make build   bin/wenzi

GO        ?= go
FUZZTIME  ?= 5s
LINT       = $(GO) tool -modfile=tools/go.mod golangci-lint

.PHONY: test check unit fuzz bench bench-replicas bench-growth build deps

test: deps check unit fuzz

deps:
	scripts/deps.sh

check:
	test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags failpoints ./internal/...
	cd bench/loadgen && $(GO) vet ./...
	$(GO) mod tidy -diff
	cd catalogue && $(GO) run ./gen -check
	cd tools/openapi && $(GO) test ./...
	$(LINT) run ./...

unit:
	scripts/with-postgres.sh $(GO) test -race -p 3 -skip 'UnderLoad$$' ./...
	scripts/with-postgres.sh $(GO) test -run 'UnderLoad$$' ./internal/app
	$(GO) test -tags failpoints -parallel 48 -run '^TestGrid$$/^1_' ./internal/app
	scripts/with-postgres.sh $(GO) test -tags failpoints -parallel 16 -run '^TestGrid$$/^2_' ./internal/app
	cd bench/loadgen && $(GO) test ./...

fuzz:
	scripts/fuzz.sh $(FUZZTIME)

bench:
	bench/run.sh

bench-replicas:
	bench/replicas.sh

bench-growth:
	bench/growth.sh

build:
	$(GO) build -o bin/wenzi ./cmd/wenzi
