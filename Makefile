.DEFAULT_GOAL := help
.PHONY: help demo test test-compat test-kubernetes bench check

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Play a whole release: blue to green, back, and forward again, under load
	@scripts/dev/setup --no-system
	@.venv/bin/mina-ops demo

test: ## Check the code and run every test
	@scripts/dev/setup
	@scripts/dev/test

test-compat: ## Run the integration tests with the real Mina's pins (eventlet, gunicorn 23)
	@scripts/dev/setup --compat
	@scripts/dev/test --compat

test-kubernetes: ## Test the Gateway driver and the judge with parts of Kubernetes, built at the first time
	@scripts/dev/setup
	@scripts/dev/kubernetes

bench: ## Measure the figures of DESIGN section 14
	@scripts/dev/setup
	@set -e; for benchmark in tests/benchmarks/*.py; do \
		case $$benchmark in */_*) continue ;; esac; \
		echo "$$benchmark"; .venv/bin/python $$benchmark --json; done

check: ## Lint, types, shell scripts and layers
	@scripts/dev/setup --no-system
	@scripts/dev/check
