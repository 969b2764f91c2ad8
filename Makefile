# The front doors. Each is one line: scripts/setup.sh installs what is missing,
# `cargo xtask` (through scripts/xtask) does the work. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help run test smoke bench fuzz doctor

help: ## list these targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

run: ## install what is missing, build, start the demo; Ctrl-C ends everything
	@scripts/setup.sh run && exec scripts/xtask demo

test: ## formatting, lints, arrows between crates, unit, scenario and end-to-end tests
	@scripts/setup.sh test && exec scripts/xtask test

smoke: ## the demo headless: one call, the audio checked, exit 0 or 1
	@scripts/setup.sh run && exec scripts/xtask smoke

bench: ## the same load against us and our peers, as ratios of one run
	@scripts/setup.sh bench && exec scripts/xtask bench

fuzz: ## ten minutes of each fuzz target (MINUTES=1 for less)
	@scripts/setup.sh fuzz && exec scripts/xtask fuzz --minutes $(or $(MINUTES),10)

doctor: ## say what this machine has and what it lacks; change nothing
	@scripts/setup.sh --check run test bench
