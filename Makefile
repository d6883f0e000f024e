# Sealgate. `make run` opens the sealed shell of a throw-away appliance,
# `make test` runs every test; `make help` lists the rest.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X sealgate/control.Version=$(VERSION)
GO      ?= go
BIN     ?= bin/

# The tests of transfer wait more than they work, and the stories take long: they go first,
# beside one other.
# RACE are packages whose tests are about goroutines that meet; below waf there are none.
RACE := ./appliance/audit ./commands/... ./control/... ./shell/... ./daemon/...

# Servers live there, and not every root has it in the path.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := build
.PHONY: build run test check bench soak install uninstall clean help

build: ## bin/sealgated, sealsh, impctl and sealmint: static, version stamped
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/...

run: build ## throw-away appliances under .sealgate/: a management server, its sealed shell, a gateway before a site
	@deploy/run

test: build ## every test, against the distribution's servers
	@deploy/peers
	$(GO) test -count=1 -timeout 20m -p 3 ./transfer ./internal/stories $$($(GO) list ./... | grep -Ev '/(internal/house|internal/stories|transfer)$$')
	$(GO) test -count=1 -timeout 20m -p 3 -race -short $$($(GO) list $(RACE) | grep -v /gateway/waf/)
	$(GO) test -count=1 -race -short -run 'TestBadNetwork|TestFarAway|TestCancel' ./transfer

check: ## gofmt, vet, staticcheck, import directions
	@test -z "$$(gofmt -l .)" || { gofmt -l . | sed 's/^/not gofmted: /'; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test -count=1 ./internal/house

bench: build ## the figures of docs/BENCHMARKS.md, beside the peers'
	@deploy/peers bench
	$(GO) test -count=1 -timeout 120m -run '^$$' -bench . -benchtime 1x -v -p 1 ./internal/bench ./internal/login ./appliance/seed ./daemon/access ./daemon/mx/configuration ./daemon/mx/monitor ./daemon/mx/openapi ./daemon/gateway ./daemon/gateway/proxy ./daemon/gateway/waf ./daemon/link/hub

FUZZTIME ?= 2m
soak: ## every fuzz target, FUZZTIME each, a thousand faults for each protocol and direction, 400 kills of imports, patches and activations, 100 of patched appliances, five minutes of three gateways and their management server
	SEALGATE_FAULTS=1000 $(GO) test -count=1 -timeout 60m -run '^TestBadNetwork$$' ./transfer
	SEALGATE_KILLS=400 $(GO) test -count=1 -timeout 60m -v -run '^TestKilledImport$$' ./appliance/dump
	SEALGATE_KILLS=400 $(GO) test -count=1 -timeout 60m -v -run '^TestKilled' ./daemon/job ./daemon/launch
	SEALGATE_KILLS=100 $(GO) test -count=1 -timeout 60m -v -run '^TestKilledWhileItIsPatched$$' ./internal/stories
	SEALGATE_LINK_TIME=10m $(GO) test -count=1 -timeout 30m -v -run '^TestFaultsLoseNothing$$' ./daemon/link/hub
	SEALGATE_JOINED_TIME=5m $(GO) test -count=1 -timeout 30m -v -run '^TestNothingIsLost$$' ./internal/joined
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; done; done

install: ## as root, after make: on this machine, behind its sshd; DESTDIR=DIR places files only
	@BIN='$(BIN)' DESTDIR='$(DESTDIR)' deploy/setup install

uninstall: ## takes that away and keeps the state; PURGE=1 removes it too
	@BIN='$(BIN)' DESTDIR='$(DESTDIR)' PURGE='$(PURGE)' deploy/setup uninstall

clean: ## what was built
	rm -rf bin .sealgate

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 11
