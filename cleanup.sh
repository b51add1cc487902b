#!/usr/bin/env bash
# Takes the deployment to AWS away again. The table with its journal and the secret of
# the event hook stay, unless they are told to go; ./start.sh takes them over again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

usage() {
	cat <<'HELP'
usage: ./cleanup.sh [flags]

  --profile NAME   AWS_PROFILE   whose credentials are used, otherwise those that start.sh
                                   used last; "none" are the default ones
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

# there WHAT COMMAND... asks AWS, and puts the answer into said. Only the answer that
# something is not there counts as that.
there() {
	local what=$1 why
	shift
	said=$("$@" 2>/dev/null) && return 0
	why=$("$@" 2>&1 >/dev/null) || true
	case "$why" in
	*ResourceNotFoundException* | *"does not exist"*) return 1 ;;
	esac
	die "$what cannot be looked at with the credentials of $asked, and may still be there: $why"
}

stack=OktaConnectorStack name='' table='' data=false yes=false profile=${AWS_PROFILE:-${AWS_DEFAULT_PROFILE:-}}
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
	--profile) profile=$value ;;
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
before=''
if [ "$profile" = none ]; then
	profile=''
elif [ -z "$profile${AWS_ACCESS_KEY_ID:-}" ] && [ -r "$here/bin/$stack.profile" ]; then
	read -r profile <"$here/bin/$stack.profile" || true
	[ -z "$profile" ] || before=' (that of start.sh; --profile names another)'
fi
unset AWS_DEFAULT_PROFILE # which the AWS CLI takes before the other
if [ -z "$profile" ]; then unset AWS_PROFILE; else export AWS_PROFILE="$profile"; fi
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
[ -n "$region" ] || region=$(aws configure get region || true)
asked="the profile ${profile:-(default)}$before"
# Whoever types what is told below may have another profile and another region by default.
whose="${region:+ --region $region}${profile:+ --profile $profile}"

deployed=false
if there "the stack $stack" aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].Tags[?Key=='connectroster:deployment'].Value | [0]" --output text; then
	deployed=true found=$said
	[ "$found" != None ] || die "the stack $stack is not of connectroster; name another with --stack"
	[ -z "$name" ] || [ "$name" = "$found" ] || die "the stack $stack is of the deployment $found, and not $name"
	name=$found
	if [ -z "$table" ] && there "the stack $stack" aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].Outputs[?OutputKey=='TableName'].OutputValue | [0]" --output text; then
		[ "$said" = None ] || table=$said # a stack that was never made whole tells none
	fi
elif [ "$data" = false ]; then
	echo "There is no stack $stack in $region with the credentials of $asked, so nothing has to be taken away."
	exit 0
fi
[[ $name =~ ^[A-Za-z0-9_.-]{1,64}$ ]] || die "there is no stack $stack to tell which data is meant: give --name"
if [ "$deployed" = false ] && there "the function connectroster-${name//./-}-hook" aws lambda get-function --function-name "connectroster-${name//./-}-hook" --query 'Tags."aws:cloudformation:stack-name"' --output text; then
	die "the deployment $name is at work, in the stack $said; name that: ./cleanup.sh --stack $said$whose"
fi
[ -n "$table" ] || table=connectroster-${name//./-}
secrets=("connectroster/$name/hook" "connectroster/$name/okta")

# Data of another deployment is deleted by no name that was given, so whose it is, is
# asked before anything goes. What each deployment makes bears its name; a secret that
# somebody has made by hand may bear none.
tables=() gone=()
of() { printf '%s' "$said" | tr -d '[:space:]'; }
if [ "$data" = true ]; then
	if there "the table $table" aws dynamodb describe-table --table-name "$table" --query Table.TableArn --output text; then
		arn=$said
		there "the tags of the table $table" aws dynamodb list-tags-of-resource --resource-arn "$arn" --query "Tags[?Key=='connectroster:deployment'].Value" --output text || said=''
		[ "$(of)" = "$name" ] || die "the table $table is not of the deployment $name: its tag connectroster:deployment says \"$(of)\". Nothing was changed. If it is meant all the same: aws dynamodb tag-resource --resource-arn $arn --tags Key=connectroster:deployment,Value=$name$whose"
		tables=("$table")
	fi
	for secret in "${secrets[@]}"; do
		if there "the secret $secret" aws secretsmanager describe-secret --secret-id "$secret" --query "Tags[?Key=='connectroster:deployment'].Value" --output text; then
			case "$(of)" in
			"$name" | None | '') gone+=("$secret") ;;
			*) die "the secret $secret is of the deployment $(of), and not $name. Nothing was changed" ;;
			esac
		fi
	done
fi

echo "  AWS profile, region  ${profile:-(default)}$before, $region"
also=This
if [ "$deployed" = true ]; then
	echo "This takes away the stack $stack of the deployment $name, with its address: Okta's deliveries fail from then on."
	also='It also'
fi
if [ "$data" = true ]; then
	if [ "$deployed$((${#tables[@]} + ${#gone[@]}))" = false0 ]; then
		echo "There is no stack $stack, no table $table and no secret of the deployment $name, so nothing has to be taken away."
		exit 0
	fi
	echo "$also deletes the table $table with the journal, and the secrets ${secrets[*]}, where they are there. That cannot be undone."
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

if [ "$deployed" = true ]; then
	aws cloudformation delete-stack --stack-name "$stack"
	echo "Waiting until the stack is gone ..."
	aws cloudformation wait stack-delete-complete --stack-name "$stack" || die "the stack $stack is not gone; CloudFormation's console says why"
fi
# A list that may be empty is written so for bash 3.2, which macOS has.
for table in ${tables[@]+"${tables[@]}"}; do
	aws dynamodb update-table --table-name "$table" --no-deletion-protection-enabled >/dev/null
	aws dynamodb wait table-exists --table-name "$table"
	aws dynamodb delete-table --table-name "$table" >/dev/null
done
for secret in ${gone[@]+"${gone[@]}"}; do
	aws secretsmanager delete-secret --secret-id "$secret" --force-delete-without-recovery >/dev/null
done

echo
echo "Done. What stays:"
if [ "$data" = true ]; then
	echo "  a backup of the table that AWS keeps for 35 days by itself"
else
	echo "  the table $table, with the journal (./cleanup.sh --stack $stack --name $name --table $table --delete-data$whose deletes it)"
	echo "  the secret connectroster/$name/hook, and connectroster/$name/okta if there is one"
fi
echo "  the agents in Amazon Connect, with their tags (connectroster release takes those off)"
echo "  the event hook in Okta: deactivate it, or connectroster okta remove"
echo "  the stack CDKToolkit, which other stacks of this account may use, and in its bucket the"
echo "  programs and the configuration that were deployed"
[ "$deployed" = false ] || echo "SQS makes no queue of the same name within a minute, so wait that long before ./start.sh."
