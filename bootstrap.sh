#!/usr/bin/env bash
# Checks what a deployment to AWS needs, and gets what can be got. It changes nothing
# outside of this folder and the caches of go and npm. Then: ./start.sh
set -euo pipefail
cd "$(dirname "$0")"

# The version that deploy/cdk is tested with; start.sh uses the same.
readonly CDK=aws-cdk@2.1148.1
readonly GO_LEAST=1.26 NODE_LEAST=20 NODE_KEPT=22 # below that one Node is past its end of life

case "${1:-}" in
'') ;;
-h | --help)
	echo "usage: ./bootstrap.sh"
	exit 0
	;;
*)
	echo "bootstrap.sh takes nothing, but was given: $*" >&2
	exit 1
	;;
esac

missing=0
missing() {
	echo "missing: $1" >&2
	missing=1
}

# at_least VERSION LEAST: whether a version is not below another one.
at_least() {
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

if ! command -v go >/dev/null; then
	missing "go $GO_LEAST or newer, from https://go.dev/dl"
else
	version=$(go env GOVERSION)
	at_least "${version#go}" "$GO_LEAST" || missing "go $GO_LEAST or newer; this one is $version"
fi
if ! command -v node >/dev/null || ! command -v npx >/dev/null; then
	missing "node $NODE_KEPT or newer with npx, from https://nodejs.org; the CDK runs on it"
else
	version=$(node --version)
	if ! at_least "${version#v}" "$NODE_LEAST"; then
		missing "node $NODE_KEPT or newer; this one is $version"
	elif ! at_least "${version#v}" "$NODE_KEPT"; then
		echo "warning: node $version is past its end of life, and a later CDK may refuse it; get node $NODE_KEPT or newer from https://nodejs.org, and run this again" >&2
	fi
fi
command -v aws >/dev/null || missing "the AWS CLI, from https://aws.amazon.com/cli"
if [ "$missing" = 1 ]; then
	echo "Install what is missing, and run this again." >&2
	exit 1
fi

echo "Getting the modules of connectroster and of the deployment, and the CDK's own program ..."
go mod download
(cd deploy/cdk && go mod download)
npx --yes "$CDK" --version >/dev/null
echo "All is there. Deploy with: ./start.sh"
