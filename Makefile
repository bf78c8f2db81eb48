# Every target is also `python3 deploy/local.py TARGET`.

PYTHON ?= python3
ARGS ?=
ID ?=
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help run demo test test-unit test-mysql load-test test-load load-test-sustained load-test-spike load-test-max logs api-logs api-logs-errors api-logs-full api-request-data fuzz stories bench bench-growth postman-setup keys reconcile check clear-cache

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## run the whole system in the foreground, on SQLite unless *_URL variables name servers
	@$(PYTHON) deploy/local.py run

demo: ## post a sample of leads to a system of its own and show what became of them
	@$(PYTHON) deploy/local.py demo

test: ## run all tests; ARGS="-k words" goes to pytest
	@$(PYTHON) deploy/local.py test -- $(ARGS)

test-unit: ## run the tests that need no server; ARGS as for test
	@$(PYTHON) deploy/local.py test-unit -- $(ARGS)

test-mysql: ## run the tests that know MySQL on a real one, fetched from Debian for them; ARGS as for test
	@$(PYTHON) deploy/local.py test-mysql -- $(ARGS)

load-test: ## put a steady load, a peak and a steady load on the running system, and judge it; DURATION=30s, WEB=1
	@$(PYTHON) deploy/local.py load-test

test-load: load-test ## the same as load-test

load-test-sustained: ## the same with 1,000 leads a minute for 5 minutes
	@$(PYTHON) deploy/local.py load-test-sustained

load-test-spike: ## the same with 17, 30 and again 17 leads a second
	@$(PYTHON) deploy/local.py load-test-spike

load-test-max: ## post as fast as answers come, single leads and then batches of 500
	@$(PYTHON) deploy/local.py load-test-max

fuzz: ## send thousands of made-up requests to systems of its own; FUZZ_EXAMPLES=n for more
	@$(PYTHON) deploy/local.py fuzz -- $(ARGS)

stories: ## tell long stories to systems of its own and compare with a model; STORIES=n for more
	@$(PYTHON) deploy/local.py stories -- $(ARGS)

bench: ## measure it beside other ways to build it and write docs/benchmarks.md; ARGS="--only single", ARGS=--help
	@$(PYTHON) deploy/local.py bench -- $(ARGS)

bench-growth: ## measure inserts and reads with 10,000 to 10,000,000 leads on MariaDB; ROWS=n for fewer
	@$(PYTHON) deploy/local.py bench-growth -- $(ARGS)

postman-setup: ## write the Postman collection and its environments, ready for import
	@$(PYTHON) deploy/local.py postman-setup

keys: ## make a key that signs JWTs if there is none
	@$(PYTHON) deploy/local.py keys

reconcile: ## compare what was accepted with what was settled; fails if anything is missing
	@$(PYTHON) deploy/local.py reconcile

check: ## check formatting, lint and types
	@$(PYTHON) deploy/local.py check

clear-cache: ## remove what tools and Python have kept to be faster; no data
	@$(PYTHON) deploy/local.py clear-cache

logs: ## show the last lines of what the running system says, and those that come
	@$(PYTHON) deploy/local.py logs

api-logs: ## show the last 10 API exchanges
	@$(PYTHON) deploy/local.py api-logs

api-logs-errors: ## show the last 10 that ended in an error
	@$(PYTHON) deploy/local.py api-logs-errors

api-logs-full: ## show all exchanges with a request id in full: ID=…, or it asks
	@$(PYTHON) deploy/local.py api-logs-full "$(ID)"

api-request-data: ## show the newest of them in full: ID=…, or it asks
	@$(PYTHON) deploy/local.py api-request-data "$(ID)"
