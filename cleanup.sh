#!/usr/bin/env bash
# Takes the deployment to AWS away again. The table with its journal and the secret of
# the event hook stay, unless they are told to go; ./start.sh takes them over again.
set -euo pipefail

usage() {
	cat <<'HELP'
usage: ./cleanup.sh [flags]

  --profile NAME   AWS_PROFILE   whose credentials are used
  --region NAME    AWS_REGION    where the stack is
  --stack NAME     the name of the stack (OktaConnectorStack)
  --name NAME      the name of the deployment, where the stack is gone already
  --table NAME     its table, where that is not connectroster-NAME
  --delete-data    delete the table, the journal in it and the secrets too, for ever
  --yes            do not ask
HELP
}

die() {
	echo "cleanup.sh: $*" >&2
	exit 1
}

# exists WHAT COMMAND... asks AWS whether something is there. Only the answer that it
# is not counts as that.
exists() {
	local what=$1 said
	shift
	said=$("$@" 2>&1 >/dev/null) && return 0
	case "$said" in
	*ResourceNotFoundException*) return 1 ;;
	esac
	die "$what cannot be looked at, and may still be there: $said"
}

stack=OktaConnectorStack name='' table='' data=false yes=false
while [ $# -gt 0 ]; do
	flag=$1
	case "$flag" in
	--profile | --region | --stack | --name | --table)
		[ -n "${2:-}" ] || die "$flag wants a value; see ./cleanup.sh --help"
		value=$2
		shift
		;;
	esac
	case "$flag" in
	--profile) export AWS_PROFILE="$value" ;;
	--region) export AWS_REGION="$value" AWS_DEFAULT_REGION="$value" ;;
	--stack) stack=$value ;;
	--name) name=$value ;;
	--table) table=$value ;;
	--delete-data) data=true ;;
	--yes | -y) yes=true ;;
	-h | --help)
		usage
		exit 0
		;;
	*) die "unknown flag $flag; see ./cleanup.sh --help" ;;
	esac
	shift
done
command -v aws >/dev/null || die "aws is missing; ./bootstrap.sh tells where to get it"

there=true
found=$(aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].Tags[?Key=='connectroster:deployment'].Value | [0]" --output text 2>&1) || {
	case "$found" in
	*"does not exist"*) there=false ;;
	*) die "the stack $stack cannot be looked at: $found" ;;
	esac
}
if [ "$there" = true ]; then
	[ "$found" != None ] || die "the stack $stack is not of connectroster; name another with --stack"
	[ -z "$name" ] || [ "$name" = "$found" ] || die "the stack $stack is of the deployment $found, and not $name"
	name=$found
	[ -n "$table" ] || table=$(aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].Outputs[?OutputKey=='TableName'].OutputValue | [0]" --output text)
elif [ "$data" = false ]; then
	echo "There is no stack $stack, so nothing has to be taken away."
	exit 0
fi
[[ $name =~ ^[A-Za-z0-9_.-]{1,64}$ ]] || die "there is no stack $stack to tell which data is meant: give --name"
[ -n "$table" ] || table=connectroster-${name//./-}
secrets=("connectroster/$name/hook" "connectroster/$name/okta")

[ "$there" = false ] || echo "This takes away the stack $stack of the deployment $name, with its address: Okta's deliveries fail from then on."
if [ "$data" = true ]; then
	echo "It also deletes the table $table with the journal, and the secrets ${secrets[*]}. That cannot be undone."
fi
if [ "$yes" = false ]; then
	if [ "$data" = true ]; then
		read -r -p "Write the name of the deployment to go on: " answer || [ -n "$answer" ] || die "nobody answers; give --yes"
		[ "$answer" = "$name" ] || die "that is not its name; nothing was changed"
	else
		read -r -p "Go on? (y/n): " answer || [ -n "$answer" ] || die "nobody answers; give --yes"
		[ "$answer" = y ] || [ "$answer" = yes ] || die "not confirmed; nothing was changed"
	fi
fi

if [ "$there" = true ]; then
	aws cloudformation delete-stack --stack-name "$stack"
	echo "Waiting until the stack is gone ..."
	aws cloudformation wait stack-delete-complete --stack-name "$stack" || die "the stack $stack is not gone; CloudFormation's console says why"
fi
if [ "$data" = true ]; then
	if exists "the table $table" aws dynamodb describe-table --table-name "$table"; then
		aws dynamodb update-table --table-name "$table" --no-deletion-protection-enabled >/dev/null
		aws dynamodb wait table-exists --table-name "$table"
		aws dynamodb delete-table --table-name "$table" >/dev/null
	fi
	for secret in "${secrets[@]}"; do
		if exists "the secret $secret" aws secretsmanager describe-secret --secret-id "$secret"; then
			aws secretsmanager delete-secret --secret-id "$secret" --force-delete-without-recovery >/dev/null
		fi
	done
fi

echo
echo "Done. What stays:"
if [ "$data" = true ]; then
	echo "  a backup of the table that AWS keeps for 35 days by itself"
else
	echo "  the table $table, with the journal (./cleanup.sh --name $name --table $table --delete-data deletes it)"
	echo "  the secret connectroster/$name/hook, and connectroster/$name/okta if there is one"
fi
echo "  the agents in Amazon Connect, with their tags (connectroster release takes those off)"
echo "  the event hook in Okta: deactivate it, or connectroster okta remove"
echo "  the stack CDKToolkit, which other stacks of this account may use, and in its bucket the"
echo "  programs and the configuration that were deployed"
