#!/usr/bin/env bash
# Registers the portal of Photo Sync in Entra ID, without a secret. The same as main.bicep.
# You can run it again at any time: what is right already stays as it is. It needs the Azure CLI,
# signed in (az login --allow-no-subscriptions) as Cloud Application Administrator.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: register.sh --app-url URL [--app-url URL ...] [--principal-id ID] [--help-desk ID ...]
                   [--unique-name NAME] [--display-name NAME] [--graph URL] [--dry-run]

  --app-url URL        address of the function app (deployment output FUNCTION_APP_URL); again for
                       each custom domain
  --principal-id ID    object id of the managed identity (output IDENTITY_PRINCIPAL_ID), which takes
                       the place of a secret; leave it out with PORTAL_SIGN_IN=idToken, and when
                       Microsoft 365 is in another tenant
  --help-desk ID       object id of a person or group of the help desk; can be repeated
  --unique-name NAME   key of the registration in this tenant (photo-sync-portal)
  --display-name NAME  name that people see when they sign in (Photo Sync)
  --graph URL          Microsoft Graph root of another cloud, such as https://graph.microsoft.us
  --dry-run            say what would be done, change nothing

exit status: 0 all done (or nothing to do), 1 something could not be done, 2 wrong usage
TEXT
}

fail() { echo "register.sh: $1" >&2; exit "${2:-1}"; }

GRAPH_APP=00000003-0000-0000-c000-000000000000
HELP_DESK_ROLE=a3f1c2de-7b54-4c1e-9a40-5d2f8e6b7c10
GUID='^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
CREDENTIAL=photo-sync-identity
SCOPE='openid profile email'
ATTEMPTS=4
BUSY='Too Many Requests|Service Unavailable|Gateway Timeout'
# What was created a moment ago is not known everywhere in Entra ID yet.
NOT_YET='Request_ResourceNotFound|does not reference a valid application object'

urls=() help_desk=() principal='' unique_name=photo-sync-portal display_name='Photo Sync'
graph=https://graph.microsoft.com dry_run=false
while [ $# -gt 0 ]; do
  case "$1" in
    --app-url | --principal-id | --help-desk | --unique-name | --display-name | --graph)
      [ $# -ge 2 ] || { usage >&2; exit 2; } ;;
  esac
  case "$1" in
    --app-url) urls+=("${2%/}"); shift ;;
    --principal-id) principal=$2; shift ;;
    --help-desk) help_desk+=("$2"); shift ;;
    --unique-name) unique_name=$2; shift ;;
    --display-name) display_name=$2; shift ;;
    --graph) graph=${2%/}; shift ;;
    --dry-run) dry_run=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[ ${#urls[@]} -gt 0 ] || { usage >&2; exit 2; }
for url in "${urls[@]}"; do
  [[ $url =~ ^https://[A-Za-z0-9.-]+$ ]] || fail '--app-url must be an https URL without a path' 2
done
for id in ${principal:+"$principal"} ${help_desk[@]+"${help_desk[@]}"}; do
  [[ $id =~ $GUID ]] || fail "$id is not an object id, such as 00000000-0000-0000-0000-000000000000" 2
done
[[ $unique_name =~ ^[A-Za-z0-9._-]+$ ]] ||
  fail '--unique-name must be of letters, digits, full stops, hyphens and underscores' 2
[[ $display_name =~ ^[^\"\\]+$ ]] || fail '--display-name must not hold quotation marks or backslashes' 2
case "$graph" in
  https://graph.microsoft.com) login=https://login.microsoftonline.com audience=api://AzureADTokenExchange ;;
  https://graph.microsoft.us | https://dod-graph.microsoft.us)
    login=https://login.microsoftonline.us audience=api://AzureADTokenExchangeUSGov ;;
  https://microsoftgraph.chinacloudapi.cn)
    login=https://login.chinacloudapi.cn audience=api://AzureADTokenExchangeChina ;;
  *) fail '--graph must be the Microsoft Graph root of a cloud, such as https://graph.microsoft.us' 2 ;;
esac
command -v az >/dev/null || fail 'az is missing: install the Azure CLI'

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

said() { grep -qE "$1" "$errors"; }

# ask METHOD PATH OPTIONS...: az rest, again after a pause when Microsoft Graph is busy, or does not
# know yet what was created before ($fresh). What the service said stays in $errors.
fresh=false
ask() {
  local method=$1 path=$2 attempt
  shift 2
  for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
    if az rest --method "$method" --url "$graph/v1.0/$path" --resource "$graph" "$@" 2>"$errors"; then
      return 0
    fi
    said "$BUSY" || { $fresh && said "$NOT_YET"; } || return 1
    [ "$attempt" -eq "$ATTEMPTS" ] || sleep $((attempt * 10))
  done
  return 1
}

# get PATH QUERY: values from Microsoft Graph, one a line; empty when the query finds nothing.
get() { ask get "$1" --query "$2" --output tsv; }

# send METHOD PATH BODY [QUERY]: change something; prints what the query finds in the answer.
send() {
  ask "$1" "$2" --headers Content-Type=application/json --body "$3" --output tsv --query "${4:-null}"
}

# stop MESSAGE: fail with the words of the service before our own.
stop() {
  cat "$errors" >&2
  if said "$BUSY"; then
    fail 'Microsoft Graph is busy: run this again in a few minutes; what is done stays done'
  fi
  fail "$1"
}

list() { # items as JSON strings
  local text='' item
  for item in "$@"; do text+="${text:+, }\"$item\""; done
  echo "[$text]"
}

ROLE_NEEDED='that takes a Cloud Application Administrator'
callbacks=()
for url in "${urls[@]}"; do callbacks+=("$url/.auth/login/aad/callback"); done
registration="\"displayName\": \"$display_name\", \"signInAudience\": \"AzureADMyOrg\",
  \"web\": {
    \"homePageUrl\": \"${urls[0]}/api/portal\",
    \"redirectUris\": $(list "${callbacks[@]}"),
    \"implicitGrantSettings\": {\"enableIdTokenIssuance\": true, \"enableAccessTokenIssuance\": false}
  },
  \"appRoles\": [{
    \"id\": \"$HELP_DESK_ROLE\", \"value\": \"HelpDesk\", \"displayName\": \"Help desk\",
    \"description\": \"Finds users in the Photo Sync portal and updates their photos.\",
    \"allowedMemberTypes\": [\"User\"], \"isEnabled\": true
  }],
  \"optionalClaims\": {\"idToken\": [{\"name\": \"acct\"}]}"

# What a registration must be, as one line, to compare with.
wanted="$display_name|AzureADMyOrg|${urls[0]}/api/portal|true|false|true|true|$(printf '%s\n' "${callbacks[@]}" | sort | paste -sd ' ' -)"
present_query="join('|', [displayName, signInAudience, not_null(web.homePageUrl, ''),
  to_string(web.implicitGrantSettings.enableIdTokenIssuance),
  to_string(web.implicitGrantSettings.enableAccessTokenIssuance),
  to_string(contains(not_null(appRoles[?isEnabled].id, \`[]\`), '$HELP_DESK_ROLE')),
  to_string(contains(not_null(optionalClaims.idToken[].name, \`[]\`), 'acct')),
  join(' ', sort(not_null(web.redirectUris, \`[]\`)))])"

# The application. It is found by its unique name, which nobody can change afterwards.
client_id='' object_id=''
if found=$(get "applications(uniqueName='$unique_name')" "join(' ', [id, appId])"); then
  read -r object_id client_id <<<"$found"
  present=$(get "applications(uniqueName='$unique_name')" "$present_query") ||
    stop "cannot read application $unique_name"
  if [ "$present" = "$wanted" ]; then
    echo "already registered: $unique_name"
  elif $dry_run; then
    echo "would change: $unique_name"
  else
    send patch "applications/$object_id" "{$registration}" ||
      stop "$unique_name could not be changed: $ROLE_NEEDED"
    echo "changed: $unique_name"
  fi
elif said 'Request_ResourceNotFound'; then
  if $dry_run; then
    echo "would register: $unique_name"
  else
    found=$(send post applications "{\"uniqueName\": \"$unique_name\", $registration}" \
      "join(' ', [id, appId])") || stop "$unique_name could not be registered: $ROLE_NEEDED"
    read -r object_id client_id <<<"$found"
    fresh=true
    echo "registered: $unique_name"
  fi
else
  stop "cannot read applications: are you signed in to the right tenant (az account show)?"
fi

# The identity is a federated credential of the application: no secret.
if [ -n "$principal" ]; then
  tenant=$(az account show --query tenantId --output tsv 2>"$errors") || stop 'run az login'
  issuer="$login/$tenant/v2.0"
  held=''
  if [ -n "$object_id" ] && ! $fresh; then
    held=$(get "applications/$object_id/federatedIdentityCredentials" \
      "value[?name=='$CREDENTIAL'].join(' ', [id, issuer, subject, join(' ', audiences)]) | [0]") ||
      stop "cannot read the credentials of $unique_name"
  fi
  credential="\"issuer\": \"$issuer\", \"subject\": \"$principal\", \"audiences\": [\"$audience\"],
    \"description\": \"The managed identity of Photo Sync, in place of a secret.\""
  if [ "${held#* }" = "$issuer $principal $audience" ]; then
    echo "already trusted: identity $principal"
  elif $dry_run; then
    echo "would trust: identity $principal"
  elif [ -n "$held" ]; then
    send patch "applications/$object_id/federatedIdentityCredentials/${held%% *}" "{$credential}" ||
      stop "identity $principal could not be trusted: $ROLE_NEEDED"
    echo "trusted: identity $principal"
  else
    send post "applications/$object_id/federatedIdentityCredentials" \
      "{\"name\": \"$CREDENTIAL\", $credential}" ||
      stop "identity $principal could not be trusted: $ROLE_NEEDED"
    echo "trusted: identity $principal"
  fi
fi

# Its presence in this tenant, consent for everybody, and the people of the help desk.
service=''
if [ -n "$client_id" ] && ! $fresh; then
  service=$(get "servicePrincipals(appId='$client_id')?\$select=id" id) ||
    said 'Request_ResourceNotFound' || stop "cannot read the service principal of $unique_name"
fi
if [ -n "$service" ]; then
  echo 'already there: service principal'
elif $dry_run; then
  echo 'would create: service principal'
else
  service=$(send post servicePrincipals "{\"appId\": \"$client_id\"}" id) ||
    stop "the service principal could not be created: $ROLE_NEEDED"
  fresh=true
  echo 'created: service principal'
fi

microsoft_graph=$(get "servicePrincipals(appId='$GRAPH_APP')?\$select=id" id) ||
  stop 'cannot read the service principal of Microsoft Graph: are you signed in to the right tenant (az account show)?'
consent=''
if [ -n "$service" ] && ! $fresh; then
  consent=$(get "servicePrincipals/$service/oauth2PermissionGrants" \
    "value[?resourceId=='$microsoft_graph' && consentType=='AllPrincipals'].join('|', [id, scope]) | [0]") ||
    stop "cannot read the consents of $unique_name"
fi
missing=''
for scope in $SCOPE; do
  [[ " ${consent#*|} " == *" $scope "* ]] || missing+=" $scope"
done
if [ -z "$missing" ]; then
  echo "already consented: $SCOPE"
elif $dry_run; then
  echo "would consent: $SCOPE"
elif [ -n "$consent" ]; then
  send patch "oauth2PermissionGrants/${consent%%|*}" "{\"scope\": \"${consent#*|}$missing\"}" ||
    stop "consent could not be given: $ROLE_NEEDED"
  echo "consented: $SCOPE"
else
  send post oauth2PermissionGrants \
    "{\"clientId\": \"$service\", \"consentType\": \"AllPrincipals\", \"resourceId\": \"$microsoft_graph\", \"scope\": \"$SCOPE\"}" ||
    stop "consent could not be given: $ROLE_NEEDED"
  echo "consented: $SCOPE"
fi

assigned=''
if [ -n "$service" ] && ! $fresh; then
  assigned=$(get "servicePrincipals/$service/appRoleAssignedTo?\$top=999" \
    "value[?appRoleId=='$HELP_DESK_ROLE'].principalId") ||
    stop "cannot read who has the role HelpDesk of $unique_name"
fi
for member in ${help_desk[@]+"${help_desk[@]}"}; do
  if grep -qiFx "$member" <<<"$assigned"; then
    echo "already assigned: help desk $member"
  elif $dry_run; then
    echo "would assign: help desk $member"
  elif send post "servicePrincipals/$service/appRoleAssignedTo" \
    "{\"principalId\": \"$member\", \"resourceId\": \"$service\", \"appRoleId\": \"$HELP_DESK_ROLE\"}"; then
    echo "assigned: help desk $member"
  elif said 'already exists'; then
    echo "already assigned: help desk $member"
  else
    stop "help desk $member could not be assigned: the id is no person or group of this tenant, or $ROLE_NEEDED"
  fi
done

if ! $dry_run; then
  echo "Next, by the deployer: azd env set PORTAL_CLIENT_ID $client_id, then azd provision"
fi
