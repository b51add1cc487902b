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
  --profile NAME            AWS_PROFILE     whose credentials are used; it stays so at later
                              runs and for cleanup.sh on this machine, and "none" ends it
  --region NAME             AWS_REGION      where it is deployed to
  --stack NAME              the name of the stack (OktaConnectorStack)
  --alarm-mail ADDRESS      who is told of alarms; what this and the next four say stays so
                              at later runs, and "none" ends it
  --alarm-topic ARN         the SNS topic that is told of them, in place of an address
  --quiet-days DAYS         after how many days without an event the alarm goes off, 1 to 7 (1)
  --log-days DAYS           how long logs are kept (30)
  --no-reserve              for accounts that may run few functions at once; --reserve ends it
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
stack=OktaConnectorStack name=production policy=create-only mail='' topic='' quiet='' logs='' reserve=''
instance=${CONNECT_INSTANCE_ID:-} security=${CONNECT_SECURITY_PROFILE_IDS:-} routing=${CONNECT_ROUTING_PROFILE_ID:-}
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}} profile=${AWS_PROFILE:-${AWS_DEFAULT_PROFILE:-}}
org='' client='' key='' yes=false setup=false replace=false described='' asked=false
while [ $# -gt 0 ]; do
	flag=$1
	case "$flag" in
	--instance | --security-profiles | --routing-profile | --name | --policy | --okta-org | --okta-client-id | --okta-key | \
		--config | --profile | --region | --stack | --alarm-mail | --alarm-topic | --quiet-days | --log-days)
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
	--alarm-topic) topic=$value ;;
	--quiet-days) quiet=$value ;;
	--log-days) logs=$value ;;
	--no-reserve) reserve=false ;;
	--reserve) reserve=true ;;
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
	[[ $name =~ ^[A-Za-z0-9_.-]{1,42}$ ]] || die "--name $name: want 1 to 42 letters, digits, _ . and -"
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
		asked=true
	fi
fi
[[ $quiet =~ ^[1-7]?$ ]] || die "--quiet-days $quiet: want 1 to 7"
[[ $logs =~ ^[0-9]*$ ]] || die "--log-days $logs: want a number of days, such as 90"
[[ $mail =~ ^([^[:space:]@]+@[^[:space:]@]+|none)?$ ]] || die "--alarm-mail $mail: want an address, or none"
[[ $topic =~ ^(arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+|none)?$ ]] || die "--alarm-topic $topic: want the ARN of an SNS topic, or none"
[ -z "$mail" ] || [ -z "$topic" ] || die "give --alarm-mail or --alarm-topic, and not both"
[[ $stack =~ ^[A-Za-z][A-Za-z0-9-]{0,127}$ ]] || die "--stack $stack: want a letter and then letters, digits and -"

# The profile that was used last. What it is called is a matter of this machine, and the
# configuration may be others' too; so it is kept apart. cleanup.sh reads it as well. Keys
# in the environment go before any profile.
kept=$here/bin/$stack.profile before=''
if [ "$profile" = none ]; then
	profile=''
elif [ -z "$profile${AWS_ACCESS_KEY_ID:-}" ] && [ "$asked" = false ] && [ -r "$kept" ]; then
	read -r profile <"$kept" || true
	[ -z "$profile" ] || before=' (that of the last time; --profile none ends it)'
fi
valid_profile "$profile" || die "the profile $profile$before: want $PROFILE_FORM"
unset AWS_DEFAULT_PROFILE # which the AWS CLI takes before the other, and the other programs do not
if [ -z "$profile" ]; then unset AWS_PROFILE; else export AWS_PROFILE="$profile"; fi
[ -n "$region" ] || region=$(aws configure get region || true)
[[ $region =~ ^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$ ]] || die "no region${profile:+, and none of the profile $profile$before}: give --region, such as eu-central-1"
export AWS_REGION="$region" AWS_DEFAULT_REGION="$region"
# Whoever types what is told below may have another profile and another region by default.
whose=" --region $region${profile:+ --profile $profile}"

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
echo "  AWS profile         ${profile:-(default)}$before"
echo "  region, stack       $region, $stack"
if [ "$yes" = false ]; then
	read -r -p "Is this right? (y/n): " answer || [ -n "$answer" ] || die "nobody answers; give --yes"
	[ "$answer" = y ] || [ "$answer" = yes ] || die "not confirmed; nothing was changed"
fi

if [ -n "$profile" ]; then
	mkdir -p "$here/bin"
	printf '%s\n' "$profile" >"$kept"
elif [ -z "${AWS_ACCESS_KEY_ID:-}" ]; then
	rm -f "$kept"
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
# Files keep their modes on the way to Lambda, which reads them as another user.
chmod 755 bin/lambda/bootstrap
chmod 644 "bin/lambda/$(basename "$config")"

echo "Looking up in Amazon Connect what the configuration names ..."
lock=$(dirname "$config")/connectroster.lock.json
bin/connectroster catalog --lock --config "$config" --out "$lock" || {
	again="Change $config, and run ./start.sh again"
	[ "$new" = false ] || again="$config is written: change it there, or delete it to be asked anew, and run ./start.sh again"
	die "nothing was deployed, for the reason above. $again"
}
locked() { sed -n 's/^ *"'"$1"'": "\(.*\)",\{0,1\}$/\1/p' "$lock" | head -n 1; }
name=$(locked deployment) table=$(locked table) stored=$(locked region)
[ -z "$stored" ] || [ "$stored" = "$region" ] || die "the configuration keeps the store in $stored, and this deploys to $region; give --region $stored, or change store.aws.region"

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
	die "$what cannot be looked at: $why"
}

# A stack of somebody else's is not replaced by a slip: its address would be gone. One
# that was never made whole the CDK deletes before it begins anew, so it has nothing.
live=false
if there "the stack $stack" aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].[StackStatus,Tags[?Key=='connectroster:deployment'].Value | [0]]" --output text; then
	read -r status theirs <<<"$said"
	case "$status" in
	REVIEW_IN_PROGRESS) theirs=$name ;; # it is empty
	ROLLBACK_COMPLETE | ROLLBACK_FAILED) echo "The first deployment of $stack has failed; it is made anew." ;;
	*_IN_PROGRESS) die "the stack $stack is being changed ($status); wait for its end: aws cloudformation describe-stacks --stack-name $stack$whose" ;;
	DELETE_FAILED) die "the stack $stack was not deleted to the end; ./cleanup.sh --stack $stack$whose goes on with that, and CloudFormation's console says what is in the way" ;;
	UPDATE_ROLLBACK_FAILED) die "the last change of the stack $stack could be neither made nor undone; CloudFormation's console says why. Then: aws cloudformation continue-update-rollback --stack-name $stack$whose" ;;
	*) live=true ;;
	esac
	if [ "$theirs" = None ] && [ "$replace" = false ]; then
		die "the stack $stack is not of connectroster but most likely of the AWS sample. Its address goes when it is replaced. Deploy beside it with --stack connectroster, and read \"Moving from the AWS sample\" in docs/aws.md; --replace-sample replaces it"
	fi
	[ "$theirs" = None ] || [ "$theirs" = "$name" ] || die "the stack $stack is of the deployment $theirs; give --stack another name"
fi

# What was chosen by flags stands in the stack, so that a run without them changes none
# of it: alarms that nobody is told of any more would not be missed.
aside=$live # whether it has set functions aside
if [ "$live" = true ] && there "the stack $stack" aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].Outputs[?OutputKey=='Choices'].OutputValue | [0]" --output text; then
	told=$mail$topic
	read -r -a choices <<<"$said"
	for choice in ${choices[@]+"${choices[@]}"}; do # may be empty, for bash 3.2
		case "$choice" in
		alarm-mail=*) [ -n "$told" ] || mail=${choice#*=} ;;
		alarm-topic=*) [ -n "$told" ] || topic=${choice#*=} ;;
		quiet-days=*) quiet=${quiet:-${choice#*=}} ;;
		log-days=*) logs=${logs:-${choice#*=}} ;;
		reserve=false) aside=false reserve=${reserve:-false} ;;
		reserve=none-left) # nobody has chosen that
			aside=false
			continue
			;;
		*) continue ;;
		esac
		echo "The last deployment has $choice, which stays unless a flag says something else."
	done
fi
[ "$mail" != none ] || mail=''
[ "$topic" != none ] || topic=''

# A second stack of one deployment would find the names of its queues and functions taken.
if there "the function connectroster-${name//./-}-hook" aws lambda get-function --function-name "connectroster-${name//./-}-hook" --query 'Tags."aws:cloudformation:stack-name"' --output text && [ "$said" != "$stack" ]; then
	die "the deployment $name is there already, in the stack $said. Deploy to that one with --stack $said, or take it away first (./cleanup.sh --stack $said$whose), or give this one another name"
fi

# take KIND WHAT ID: what is there and is not the stack's, an earlier deployment has
# left. It is used as it is, since CloudFormation cannot make a second one of that name.
existing=''
take() {
	if [ "$live" = true ] && there "what belongs to the stack $stack" aws cloudformation list-stack-resources --stack-name "$stack" --query "StackResourceSummaries[?PhysicalResourceId=='$3'].ResourceStatus" --output text; then
		case "$(tight "$said")" in
		'' | None | DELETE_*) ;;
		*) return 0 ;;
		esac
	fi
	existing=${existing:+$existing,}$1
	echo "Taking over $2, which an earlier deployment has left."
}
if [ -n "$table" ] && there "the table $table" aws dynamodb describe-table --table-name "$table" --query 'Table.[TableArn,TableStatus]' --output text; then
	read -r arn status <<<"$said"
	[ "$status" != DELETING ] || die "the table $table is being deleted; run this again when it is gone"
	there "the tags of the table $table" aws dynamodb list-tags-of-resource --resource-arn "$arn" --query "Tags[?Key=='connectroster:deployment'].Value" --output text || die "the table $table has just gone; run this again"
	[ "$(tight "$said")" = "$name" ] || die "there is a table $table that is not of the deployment $name: its tag connectroster:deployment says \"$(tight "$said")\". Name another one in store.aws.table. If it is of this deployment, such as one that was restored, say so: aws dynamodb tag-resource --resource-arn $arn --tags Key=connectroster:deployment,Value=$name$whose"
	take table "the table $table with its journal" "$table"
fi
secret=connectroster/$name/hook
if there "the secret $secret" aws secretsmanager describe-secret --secret-id "$secret" --query '[ARN,DeletedDate]' --output text; then
	read -r arn gone <<<"$said"
	[ "$gone" = None ] || die "the secret $secret is to be deleted on $gone, and until then there can be no other. Keep it: aws secretsmanager restore-secret --secret-id $secret$whose. Or delete it now: aws secretsmanager delete-secret --secret-id $secret --force-delete-without-recovery$whose"
	take hook-secret "the secret $secret" "$arn"
fi

# Functions that lack a secret do nothing, and nobody would be told. That of the hook the
# stack makes, and the key is stored below if it was given.
named() { sed -n '/^  "secrets": \[$/,/^  \]/s/^    "\(.*\)",\{0,1\}$/\1/p' "$lock"; }
for needed in $(named); do
	[ "$needed" != "$secret" ] || continue
	[ -z "$key" ] || [ "$needed" != "connectroster/$name/okta" ] || continue
	where=$region
	[[ $needed != arn:* ]] || IFS=: read -r _ _ _ where _ <<<"$needed"
	why=$(aws secretsmanager describe-secret --secret-id "$needed" --region "$where" 2>&1 >/dev/null) || true
	case "$why" in
	*ResourceNotFoundException*) die "the configuration names the secret $needed, which AWS Secrets Manager does not have in $where, and without it the functions cannot work; nothing was deployed. ./start.sh --okta-key FILE stores the private key as connectroster/$name/okta; others: aws secretsmanager create-secret --name NAME --secret-string file://FILE --region $where${profile:+ --profile $profile}" ;;
	esac
done

# What the stack makes it keeps so; of a table that it does not own, and least of all of one
# that was restored, nobody else sees to this.
#
# on WHAT AS QUERY LOOK... -- COMMAND... looks whether something of the table is on, and
# otherwise puts it on. Where that may not be, it tells how, and the deployment goes on.
on() {
	local what=$1 as=$2 query=$3 why
	local -a look=()
	shift 3
	while [ "$1" != -- ]; do
		look+=("$1")
		shift
	done
	shift
	if ! said=$("${look[@]}" --table-name "$table" --query "$query" --output text 2>/dev/null); then
		why=$("${look[@]}" --table-name "$table" --query "$query" --output text 2>&1 >/dev/null) || true
		echo "warning: whether the table $table has $what could not be looked at: $why" >&2
		echo "Where it has not: $*$whose" >&2
		return
	fi
	read -r said <<<"${said//[[:space:]]/ }"
	[[ ! $said =~ ^($as)$ ]] || return 0
	echo "The table $table is without $what, which is put on now."
	why=$("$@" 2>&1 >/dev/null) || {
		echo "warning: the table $table stays without $what: $why" >&2
		echo "Whoever may do that: $*$whose" >&2
	}
}
case ",$existing," in
*,table,*)
	on 'point-in-time recovery, by which it could be restored' ENABLED ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus \
		aws dynamodb describe-continuous-backups -- \
		aws dynamodb update-continuous-backups --table-name "$table" --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true
	on 'time to live, by which old rows go' '(ENABLED|ENABLING) ttl' 'TimeToLiveDescription.[TimeToLiveStatus,AttributeName]' \
		aws dynamodb describe-time-to-live -- \
		aws dynamodb update-time-to-live --table-name "$table" --time-to-live-specification Enabled=true,AttributeName=ttl
	on 'protection against its deletion' True Table.DeletionProtectionEnabled \
		aws dynamodb describe-table -- \
		aws dynamodb update-table --table-name "$table" --deletion-protection-enabled
	;;
esac

# Lambda sets functions aside as long as 100 are left to all others. New accounts may run
# fewer than that; each worker keeps to its share there, too.
reserve=${reserve:-true}
if [ "$reserve" = true ]; then
	left=$(aws lambda get-account-settings --query AccountLimit.UnreservedConcurrentExecutions --output text 2>/dev/null) || left=''
	want=110
	[ "$aside" = false ] || want=100
	if [[ "$left" =~ ^[0-9]+$ ]] && [ "$left" -lt "$want" ]; then
		echo "This account may run $left functions at once, so none are set aside (--no-reserve); a quota of 1,000 is free of charge."
		reserve=none-left
	fi
fi

if [ -n "$key" ]; then
	aws secretsmanager create-secret --name "connectroster/$name/okta" --secret-string "file://$key" --tags "Key=connectroster:deployment,Value=$name" >/dev/null 2>&1 ||
		aws secretsmanager put-secret-value --secret-id "connectroster/$name/okta" --secret-string "file://$key" >/dev/null ||
		die "the private key could not be stored in Secrets Manager as connectroster/$name/okta"
fi

cd deploy/cdk
context=(-c "config=$config" -c "lock=$lock" -c "assets=$here/bin/lambda" -c "stack=$stack" -c "reserve=$reserve")
[ -z "$existing" ] || context+=(-c "existing=$existing")
[ -z "$mail" ] || context+=(-c "alarm-mail=$mail")
[ -z "$topic" ] || context+=(-c "alarm-topic=$topic")
[ -z "$quiet" ] || context+=(-c "quiet-days=$quiet")
[ -z "$logs" ] || context+=(-c "log-days=$logs")
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
if [ -n "$mail" ]; then
	echo "Alarms go to $mail, once the mail is confirmed that AWS sends there at first."
elif [ -z "$topic" ]; then
	echo "Nobody is told of alarms: ./start.sh --alarm-mail ADDRESS changes that."
fi
if [ "$setup" = true ]; then
	bin/connectroster okta setup --config "$config" --url "$url" --yes
	exit
fi
cat <<DONE

One step remains, in Okta: its event hook (docs/okta-by-hand.md shows the clicks).
  URL                    $url
  Authentication field   Authorization
  Authentication secret  aws secretsmanager get-secret-value --secret-id connectroster/$name/hook --query SecretString --output text$whose
Or let it be made by: AWS_REGION=$region ${profile:+AWS_PROFILE=$profile }bin/connectroster okta setup --config $config --url $url
DONE
