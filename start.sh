#!/usr/bin/env bash
# Deploys connectroster to AWS. It asks for what it needs, or takes it from flags, the
# environment or connectroster.yaml. docs/aws.md tells what comes of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

readonly CDK=aws-cdk@2.1148.1
readonly UUID='[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'

usage() {
	cat <<'HELP'
usage: ./start.sh [flags]

Without connectroster.yaml it asks for the instance, the profiles and the AWS profile,
and writes one. Nothing is asked of what flags or the environment give.

  --instance ID             CONNECT_INSTANCE_ID           the Amazon Connect instance
  --security-profiles IDS   CONNECT_SECURITY_PROFILE_IDS  their ids, with commas
  --routing-profile ID      CONNECT_ROUTING_PROFILE_ID    its id
  --name NAME               the name of this deployment, for ever (production)
  --policy POLICY           create-only or upsert-only (create-only)
  --okta-org URL            with the next two: Okta's API may be asked, so that what
  --okta-client-id ID         no delivery told is found
  --okta-key FILE           the private key of the service app; it goes to Secrets Manager

  --config FILE             the configuration (connectroster.yaml)
  --profile NAME            AWS_PROFILE     whose credentials are used
  --region NAME             AWS_REGION      where it is deployed to
  --stack NAME              the name of the stack (OktaConnectorStack)
  --alarm-mail ADDRESS      who is told of alarms
  --no-reserve              for accounts that may run few functions at once
  --okta-setup              then create the event hook: connectroster okta setup
  --replace-sample          let the stack take the place of the AWS sample's (docs/aws.md)
  --yes                     do not ask whether all is right
HELP
}

die() {
	echo "start.sh: $*" >&2
	exit 1
}

config=$here/connectroster.yaml
stack=OktaConnectorStack name=production policy=create-only mail='' reserve=true
instance=${CONNECT_INSTANCE_ID:-} security=${CONNECT_SECURITY_PROFILE_IDS:-} routing=${CONNECT_ROUTING_PROFILE_ID:-}
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}} profile=${AWS_PROFILE:-}
org='' client='' key='' yes=false setup=false replace=false described=''
while [ $# -gt 0 ]; do
	flag=$1
	case "$flag" in
	--instance | --security-profiles | --routing-profile | --name | --policy | --okta-org | --okta-client-id | --okta-key | \
		--config | --profile | --region | --stack | --alarm-mail)
		[ -n "${2:-}" ] || die "$flag wants a value; see ./start.sh --help"
		value=$2
		shift
		;;
	esac
	case "$flag" in
	--instance) instance=$value described=$flag ;;
	--security-profiles) security=$value described=$flag ;;
	--routing-profile) routing=$value described=$flag ;;
	--name) name=$value described=$flag ;;
	--policy) policy=$value described=$flag ;;
	--okta-org) org=$value described=$flag ;;
	--okta-client-id) client=$value described=$flag ;;
	--okta-key) key=$value ;;
	--config) config=$value ;;
	--profile) profile=$value ;;
	--region) region=$value ;;
	--stack) stack=$value ;;
	--alarm-mail) mail=$value ;;
	--no-reserve) reserve=false ;;
	--okta-setup) setup=true ;;
	--replace-sample) replace=true ;;
	--yes | -y) yes=true ;;
	-h | --help)
		usage
		exit 0
		;;
	*) die "unknown flag $flag; see ./start.sh --help" ;;
	esac
	shift
done

for tool in go node npx aws; do
	command -v "$tool" >/dev/null || die "$tool is missing; ./bootstrap.sh tells where to get it"
done

# What answers and flags may look like. All of it goes into YAML and command lines.
valid_instance() { [[ $1 =~ ^$UUID$ || $1 =~ ^arn:aws[a-z-]*:connect:[a-z0-9-]+:[0-9]{12}:instance/$UUID$ ]]; }
valid_security() { [[ $1 =~ ^$UUID(,$UUID){0,9}$ ]]; }
valid_routing() { [[ $1 =~ ^$UUID$ ]]; }
valid_profile() { [[ $1 =~ ^[A-Za-z0-9_.@+=/-]*$ ]]; }
readonly INSTANCE_FORM='an id such as 11111111-2222-3333-4444-555555555555, or an ARN'
readonly SECURITY_FORM='one to ten ids with commas, such as 12345678-1234-2345-abd8-0aa7f5b46852'
readonly ROUTING_FORM='one id, such as 87654321-69fb-43b6-a5e6-f8666ac189cb'
readonly PROFILE_FORM='the name of a profile of the AWS CLI'

# tight takes spaces out, so that "a, b" is "a,b".
tight() { printf '%s' "$1" | tr -d '[:space:]'; }

# ask VARIABLE CHECK FORM TEXT: asks until the answer is right, three times at most.
ask() {
	local answer tries
	printf '\n%s\n' "$4"
	for tries in 1 2 3; do
		read -r -p "> " answer || [ -n "$answer" ] || die "nobody answers; give flags or a connectroster.yaml, see ./start.sh --help"
		answer=$(tight "$answer")
		if "$2" "$answer"; then
			printf -v "$1" '%s' "$answer"
			return
		fi
		[ "$tries" = 3 ] || echo "That is not it: want $3." >&2
	done
	die "no usable answer; want $3"
}

# The folder changes below, so paths must not depend on it.
[[ $config = /* ]] || config=$PWD/$config
[ -z "$key" ] || [[ $key = /* ]] || key=$PWD/$key

new=false
if [ -e "$config" ]; then
	[ -z "$described" ] || die "$described says what $config says already: change it there, or name another file with --config"
	if [ -n "$instance$security$routing" ]; then
		echo "Taking $config, and not what CONNECT_INSTANCE_ID and the like say."
	fi
else
	new=true
	instance=$(tight "$instance") security=$(tight "$security") routing=$(tight "$routing")
	[[ $name =~ ^[A-Za-z0-9_.-]{1,64}$ ]] || die "--name $name: want 1 to 64 letters, digits, _ . and -"
	[[ $policy =~ ^(create-only|upsert-only)$ ]] || die "--policy $policy: want create-only or upsert-only; sync needs more than flags can say, so write a connectroster.yaml"
	if [ -n "$org$client$key" ]; then
		[[ $org =~ ^https://[A-Za-z0-9.-]+$ ]] || die "--okta-org $org: want an address such as https://example.okta.com, beside --okta-client-id and --okta-key"
		[[ $client =~ ^[A-Za-z0-9]{6,100}$ ]] || die "--okta-client-id $client: want the id of the service app, beside --okta-org and --okta-key"
		[ -r "$key" ] || die "--okta-key $key: there is no such file that can be read"
	fi
	[ -n "$instance" ] || ask instance valid_instance "$INSTANCE_FORM" "connect-instance-id: your Amazon Connect instance, $INSTANCE_FORM"
	valid_instance "$instance" || die "the instance $instance: want $INSTANCE_FORM"
	[ -n "$security" ] || ask security valid_security "$SECURITY_FORM" "connect-security-profile-ids: the security profiles of new agents, $SECURITY_FORM"
	valid_security "$security" || die "the security profiles $security: want $SECURITY_FORM"
	[ -n "$routing" ] || ask routing valid_routing "$ROUTING_FORM" "connect-routing-profile-id: the routing profile of new agents, $ROUTING_FORM"
	valid_routing "$routing" || die "the routing profile $routing: want $ROUTING_FORM"
	if [ -z "$profile" ] && [ "$yes" = false ]; then
		ask profile valid_profile "$PROFILE_FORM" "Optional: a profile of the AWS CLI; leave it empty for the default"
	fi
fi
valid_profile "$profile" || die "the profile $profile: want $PROFILE_FORM"
[[ $stack =~ ^[A-Za-z][A-Za-z0-9-]{0,127}$ ]] || die "--stack $stack: want a letter and then letters, digits and -"
if [ -z "$profile" ]; then unset AWS_PROFILE; else export AWS_PROFILE="$profile"; fi
[ -n "$region" ] || region=$(aws configure get region || true)
[[ $region =~ ^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$ ]] || die "no region: give --region, such as eu-central-1"
export AWS_REGION="$region" AWS_DEFAULT_REGION="$region"

echo
echo "This will be deployed:"
if [ "$new" = true ]; then
	echo "  instance            $instance"
	echo "  security profiles   $security"
	echo "  routing profile     $routing"
	echo "  deployment          $name, $policy"
	echo "  Okta's API          ${org:-not asked: hook-only}"
	echo "  configuration       $config (will be written)"
else
	echo "  configuration       $config"
fi
echo "  AWS profile         ${profile:-(default)}"
echo "  region, stack       $region, $stack"
if [ "$yes" = false ]; then
	read -r -p "Is this right? (y/n): " answer || [ -n "$answer" ] || die "nobody answers; give --yes"
	[ "$answer" = y ] || [ "$answer" = yes ] || die "not confirmed; nothing was changed"
fi

if [ "$new" = true ]; then
	there=$region # of the instance; an ARN says it
	[[ $instance != arn:* ]] || IFS=: read -r _ _ _ there _ <<<"$instance"
	{
		echo "# Written by start.sh. Change it as docs/configuration.md says, and run start.sh again."
		echo "name: \"$name\""
		echo "policy: $policy"
		echo "okta:"
		if [ -n "$org" ]; then
			echo "  org: $org"
			echo "  auth: {client_id: \"$client\", private_key: \"secretsmanager:connectroster/$name/okta\"}"
		fi
		echo "  hook: {secrets: [\"secretsmanager:connectroster/$name/hook\"]}"
		echo "connect: {instance: ${instance##*/}, region: $there}"
		echo "routing_profile: $routing"
		echo "security_profiles: [${security//,/, }]"
		own=connectroster-${name//./-}
		echo "store: {aws: {table: $own, region: $region, leavers_queue: $own-leavers.fifo, queue: $own.fifo}}"
	} >"$config.new"
	mv "$config.new" "$config"
fi

echo
echo "Building ..."
cd "$here"
mkdir -p bin/lambda
rm -f bin/lambda/*.yaml
go build -trimpath -o bin/connectroster ./cmd/connectroster
if [ -d cmd/lambda ]; then
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -tags lambda.norpc -trimpath -ldflags '-s -w' -o bin/lambda/bootstrap ./cmd/lambda
fi
[ -x bin/lambda/bootstrap ] || die "the functions could not be built: there is neither cmd/lambda nor bin/lambda/bootstrap"
cp "$config" "bin/lambda/$(basename "$config")"

echo "Looking up in Amazon Connect what the configuration names ..."
lock=$(dirname "$config")/connectroster.lock.json
bin/connectroster catalog --lock --config "$config" --out "$lock"
locked() { sed -n 's/^ *"'"$1"'": "\(.*\)",\{0,1\}$/\1/p' "$lock" | head -n 1; }
name=$(locked deployment) table=$(locked table) stored=$(locked region)
[ -z "$stored" ] || [ "$stored" = "$region" ] || die "the configuration keeps the store in $stored, and this deploys to $region; give --region $stored, or change store.aws.region"

# What a former deployment has left is taken over as it is.
owner() { aws cloudformation describe-stack-resources --physical-resource-id "$1" --query 'StackResources[0].StackName' --output text 2>/dev/null || true; }
existing=''
if [ -n "$table" ] && aws dynamodb describe-table --table-name "$table" >/dev/null 2>&1 && [ "$(owner "$table")" != "$stack" ]; then
	existing=table
	echo "Taking over the table $table, with its journal."
fi
secret=$(aws secretsmanager describe-secret --secret-id "connectroster/$name/hook" --query ARN --output text 2>/dev/null || true)
if [ -n "$secret" ] && [ "$(owner "$secret")" != "$stack" ]; then
	existing=${existing:+$existing,}hook-secret
	echo "Taking over the secret connectroster/$name/hook."
fi

# A stack of somebody else's is not replaced by a slip: its address would be gone.
if theirs=$(aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].Tags[?Key=='connectroster:deployment'].Value | [0]" --output text 2>/dev/null); then
	if [ "$theirs" = None ] && [ "$replace" = false ]; then
		die "the stack $stack is not of connectroster but most likely of the AWS sample. Its address goes when it is replaced. Deploy beside it with --stack connectroster, and read \"Moving from the AWS sample\" in docs/aws.md; --replace-sample replaces it"
	fi
	[ "$theirs" = None ] || [ "$theirs" = "$name" ] || die "the stack $stack is of the deployment $theirs; give --stack another name"
fi

if [ -n "$key" ]; then
	aws secretsmanager create-secret --name "connectroster/$name/okta" --secret-string "file://$key" >/dev/null 2>&1 ||
		aws secretsmanager put-secret-value --secret-id "connectroster/$name/okta" --secret-string "file://$key" >/dev/null ||
		die "the private key could not be stored in Secrets Manager as connectroster/$name/okta"
fi

cd deploy/cdk
context=(-c "config=$config" -c "lock=$lock" -c "assets=$here/bin/lambda" -c "stack=$stack" -c "reserve=$reserve")
[ -z "$existing" ] || context+=(-c "existing=$existing")
[ -z "$mail" ] || context+=(-c "alarm-mail=$mail")
echo "Running cdk bootstrap ..."
npx --yes "$CDK" bootstrap "${context[@]}" || die "cdk bootstrap failed; what it says stands above"
echo "Running cdk deploy ..."
outputs=$here/bin/outputs.json
rm -f "$outputs"
npx --yes "$CDK" deploy --require-approval never --outputs-file "$outputs" "${context[@]}" "$stack" || die "cdk deploy failed; what it says stands above. The configuration stays, so ./start.sh goes on from here"
cd "$here"
url=$(sed -n 's/^.*"ApiUrl": *"\([^"]*\)".*$/\1/p' "$outputs")
[ -n "$url" ] || die "the stack is deployed, but cdk has not told its address; see the outputs of $stack in CloudFormation"

echo
echo "$stack.ApiUrl = $url"
if [ "$setup" = true ]; then
	bin/connectroster okta setup --config "$config" --url "$url" --yes
	exit
fi
cat <<DONE

One step remains, in Okta: its event hook (docs/okta-by-hand.md shows the clicks).
  URL                    $url
  Authentication field   Authorization
  Authentication secret  aws secretsmanager get-secret-value --secret-id connectroster/$name/hook --query SecretString --output text
Or let it be made by: bin/connectroster okta setup --config $config --url $url
DONE
