# `make` alone lists the targets. What is more than a line lives in manifests/dev.
.DEFAULT_GOAL := help
.PHONY: help demo setup test fuzz browser soak sim check deny bench bench-questions crds build image down clean-demo

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '  %-16s %s\n' "$$target" "$$text"; done

demo: ## Run Mooring on a small stack, break it in twelve ways, watch it heal
	@manifests/dev/demo.sh

setup: ## Find or start a Docker Engine and build the images that demo and tests use
	@manifests/dev/engine.sh up
	@manifests/dev/images.sh
	@manifests/dev/nginx.sh
	@manifests/dev/ollama.sh
	@manifests/dev/browser.sh setup

test: setup ## Run all tests, those against the real engine included
	@manifests/dev/test.sh

soak: setup ## Break something on the real engine each second, for MINUTES=30; SEED=1 repeats it
	MINUTES=$(or $(MINUTES),30) SEED=$(SEED) cargo test --locked --all-features --test engine -- --ignored --nocapture a_fault_each_second

sim: ## Run Mooring in SEEDS=1000 simulated worlds FROM=0 that go wrong (part of test); SHOW=1 tells all that happens
	FROM=$(or $(FROM),0) SEEDS=$(or $(SEEDS),1000) cargo test --locked --profile sim --test sim -- --nocapture as_many_seeds

check: ## Check format, lints, documentation, scripts and dependencies
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --all-features
	@manifests/dev/lint.sh
	@manifests/dev/deny.sh

deny: ## Check the dependency tree alone (part of check)
	@manifests/dev/deny.sh

browser: setup ## Look at the pages in headless Chromium (part of test); pictures go to target/screenshots
	@manifests/dev/browser.sh

fuzz: ## Try texts at random for MINUTES=10 each on everything that reads texts of others, or on TARGET=dotenv alone
	MOORING_FUZZ_MINUTES=$(or $(MINUTES),10) MOORING_FUZZ_TARGET=$(TARGET) cargo test --locked --test fuzz -- --nocapture

bench: setup ## Measure times to heal, beside the bare engine doing the same
	cargo bench --locked --bench faults

bench-questions: setup ## Say how many of 200 questions in words each provider gets right (live ones by OPENAI_API_KEY, ANTHROPIC_API_KEY, OLLAMA_URL)
	cargo test --locked --test questions -- --ignored --nocapture how_many

crds: ## Write crds/ from the resource types
	cargo run --locked --quiet -- crds --directory crds

build: ## Build target/release/mooring
	cargo build --release --locked

image: build ## Build the sidecar's image, mooring:VERSION
	@MOORING=target/release/mooring manifests/image/build.sh

down: ## End the engines that setup or demo started
	@manifests/dev/engine.sh down

clean-demo: ## Remove what a killed demo left behind
	@manifests/dev/demo.sh --clean
