# The door for people who know make; all work is done by crates/xtask (`cargo run -q -p xtask -- help`).
#
#   make test PG=18 SUBSET=surface::      make install PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config

.DEFAULT_GOAL := all
.PHONY: all help prepare stage install installcheck reference test soak demo bench bench-peers clean cargo

XTASK := cargo run --quiet --package xtask --

# Given on make's command line or in the environment, they reach xtask in its environment.
export PG PG_CONFIG SUBSET SEED MINUTES DESTDIR PREFIX PROFILE

all: cargo ## Build the release library
	@$(XTASK) build

demo: cargo ## Watch a real workload on a throwaway server, ended by a proof that nothing was lost
	@$(XTASK) demo

test: cargo ## Format, lints, unit, property and client tests (PG=15..18, SUBSET=names)
	@$(XTASK) test

soak: cargo ## Crash a loaded server again and again, and check every promise (SEED=1, MINUTES=10)
	@$(XTASK) soak

bench: cargo ## Measure ratios side by side in one run
	@$(XTASK) bench

bench-peers: cargo ## Get the original PgQ 3.5 and pgqd, unpacked aside, for tests and benches
	@$(XTASK) bench-peers

install: cargo ## Install extensions into the server of PG_CONFIG, programs under PREFIX (DESTDIR goes before every path)
	@$(XTASK) install

installcheck: cargo ## Test the SQL surface on a running server (PGHOST, PGPORT, PGUSER, PGDATABASE)
	@$(XTASK) installcheck

reference: cargo ## Write docs/reference.md anew from the comments in the database
	@$(XTASK) reference

prepare: cargo ## Get a PostgreSQL with headers, and libclang, if they are missing
	@$(XTASK) prepare

stage: cargo ## Build and install into the private server tree only (PROFILE=dev or release)
	@$(XTASK) stage

clean: ## Remove everything that was built or downloaded
	rm -rf target

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

cargo:
	@command -v cargo >/dev/null || { echo "Rust 1.95 or newer is needed: cargo is not on the PATH" >&2; exit 1; }
