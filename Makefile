# The targets with a comment behind "##" are what "make help" prints.
GO ?= go
LINT = $(GO) tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: help
help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.PHONY: dev
dev: ## run everything on this machine, no account needed
	$(GO) run ./cmd/connectroster dev

.PHONY: build
build: ## build bin/connectroster
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/connectroster ./cmd/connectroster

VERSION ?= $(shell git describe --tags --always 2>/dev/null | sed 's/^v//')
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)

.PHONY: release
release: ## make the files of a release in dist: archives, bills of materials, checksums
	rm -rf dist
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(GO) run ./cmd/release -version "$(VERSION)" -out dist

.PHONY: twice
twice: ## build the program twice, apart from each other, and compare the bytes
	$(GO) run ./cmd/release -twice

.PHONY: test
test: ## run the tests
	$(GO) test ./...

# What takes long under the race detector, and has nothing for it to find.
PLAYS = TestModel|TestMistakes|TestReadFaults|TestAccidents|TestHistories|TestRemovalRaces|TestLostHooks|TestForgeries|TestGuardCannot|TestStrangers|TestProposalIsExact|TestGroupsInAnyOrder|TestReturns|TestRenames|TestHostileNames|TestCallsOf|TestCallsFor|TestUndo|Permutation|TestBackend

# What starts the program, which is built without the detector, and looks at what it says.
STARTS = TestCanaries|TestWrongWords|TestNobodyThere|TestNoRights|TestCtrlC|TestTerminals|TestPicture|TestNewcomer|TestRotation|TestSoak

.PHONY: race
race: ## run the tests with the race detector
	@echo "-short: fractions of the long tests, and none of the system tests of internal/app;"
	@echo "without cmd/lambda and parts of cmd/connectroster, whose tests start a program that is"
	@echo "built without the detector, and of internal/reconcile and internal/awsstore without the"
	@echo "long plays, which work one step at a time"
	$(GO) test -race -short -p 1 $$($(GO) list ./... | grep -v -e /cmd/lambda -e /cmd/connectroster -e /internal/reconcile -e /internal/awsstore)
	$(GO) test -race -short -skip '$(STARTS)' ./cmd/connectroster
	$(GO) test -race -short -skip '$(PLAYS)' ./internal/reconcile ./internal/awsstore

.PHONY: format
format: ## check that every file is formatted and go.mod is tidy
	@bad="$$(gofmt -l cmd internal deploy)"; if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	@$(GO) mod tidy -diff
	@cd deploy/cdk && $(GO) mod tidy -diff

.PHONY: lint
lint: ## run the linters
	$(GO) vet ./...
	$(GO) vet -tags failpoint ./...
	$(GO) vet -tags manpages ./cmd/connectroster
	$(LINT) run ./...

.PHONY: arch
arch: ## check who imports whom
	$(GO) test ./internal/arch

.PHONY: cdk
cdk: ## check the deployment to AWS, without an account; needs node
	@command -v node >/dev/null || echo "node is not here, so deploy/cdk is compiled, and none of its tests run"
	@command -v cfn-lint >/dev/null || echo "cfn-lint is not here, so the templates of AWS are not linted"
	cd deploy/cdk && $(GO) vet ./... && $(GO) test ./...

.PHONY: check
check: format lint arch race cdk ## everything to pass before a commit

.PHONY: model
model: ## play 10,000 histories that were never played before
	CONNECTROSTER_FULL=1 GOGC=400 $(GO) test ./internal/reconcile -count=1 -v -run 'TestModel$$' -rapid.seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')

.PHONY: bench
bench: ## run the benchmarks of docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## fuzz every fuzz target for 30 seconds each
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 30s $$pkg || exit 1; \
		done; \
	done
