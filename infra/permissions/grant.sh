#!/usr/bin/env bash
# Grants the identity of Photo Sync its app roles in Microsoft 365, nothing more.
# You can run it again at any time: what is granted already stays as it is. It needs the Azure CLI,
# signed in (az login --allow-no-subscriptions) as Privileged Role Administrator.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: grant.sh --principal-id ID | --client-id ID
                [--with-group] [--with-photos] [--narrow --my-site HOST] [--graph URL] [--dry-run]

  --principal-id ID   object id of the managed identity (deployment output IDENTITY_PRINCIPAL_ID)
  --client-id ID      instead, when Microsoft 365 is in another tenant: client id of the application
                      that trusts the identity (TARGET_CLIENT_ID); sign in to the other tenant first
  --with-group        also grant the role that reads group members; for SYNC_GROUP_ID
  --with-photos       also grant the role that reads photos; only where photos are refused although
                      users can be listed
  --narrow            grant Sites.Selected with a write grant on the My Site host
                      instead of Sites.FullControl.All
  --my-site HOST      with --narrow: the My Site host, such as contoso-my.sharepoint.com
  --graph URL         Microsoft Graph root of another cloud, such as https://graph.microsoft.us
  --dry-run           say what would be granted, change nothing

exit status: 0 all granted (or nothing to do), 1 something could not be granted, 2 wrong usage
TEXT
}

fail() { echo "grant.sh: $1" >&2; exit "${2:-1}"; }

GRAPH_APP=00000003-0000-0000-c000-000000000000
SHAREPOINT_APP=00000003-0000-0ff1-ce00-000000000000
GUID='^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
ATTEMPTS=4
BUSY='Too Many Requests|Service Unavailable|Gateway Timeout'

principal='' application='' with_group=false with_photos=false narrow=false my_site='' dry_run=false
graph=https://graph.microsoft.com
while [ $# -gt 0 ]; do
  case "$1" in
    --principal-id | --client-id | --my-site | --graph) [ $# -ge 2 ] || { usage >&2; exit 2; } ;;
  esac
  case "$1" in
    --principal-id) principal=$2; shift ;;
    --client-id) application=$2; shift ;;
    --with-group) with_group=true ;;
    --with-photos) with_photos=true ;;
    --narrow) narrow=true ;;
    --my-site) my_site=$2; shift ;;
    --graph) graph=${2%/}; shift ;;
    --dry-run) dry_run=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
if [ -n "$principal" ] && [ -n "$application" ]; then
  fail 'give --principal-id or --client-id, not both' 2
fi
[[ ${principal:-$application} =~ $GUID ]] ||
  fail '--principal-id must be a GUID: the object id, see deployment output IDENTITY_PRINCIPAL_ID' 2
[[ $graph =~ ^https://[A-Za-z0-9.-]+$ ]] || fail '--graph must be an https URL without a path' 2
if $narrow && ! [[ $my_site =~ ^[A-Za-z0-9.-]+$ ]]; then
  fail '--narrow needs --my-site HOST, e.g. contoso-my.sharepoint.com, without https://' 2
fi
command -v az >/dev/null || fail 'az is missing: install the Azure CLI'

graph_roles=(User.Read.All)
if $with_group; then graph_roles+=(GroupMember.Read.All); fi
if $with_photos; then graph_roles+=(ProfilePhoto.Read.All); fi
if $narrow; then
  sharepoint_roles=(User.ReadWrite.All Sites.Selected)
else
  sharepoint_roles=(User.ReadWrite.All Sites.FullControl.All)
fi

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

# ask METHOD PATH OPTIONS...: az rest, again after a pause when Microsoft Graph is busy. What the
# service said stays in $errors.
ask() {
  local method=$1 path=$2 attempt
  shift 2
  for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
    if az rest --method "$method" --url "$graph/v1.0/$path" --resource "$graph" "$@" 2>"$errors"; then
      return 0
    fi
    said "$BUSY" || return 1
    [ "$attempt" -eq "$ATTEMPTS" ] || sleep $((attempt * 10))
  done
  return 1
}

# get PATH QUERY: values from Microsoft Graph, one a line; empty when the query finds nothing.
get() { ask get "$1" --query "$2" --output tsv; }

post() { ask post "$1" --headers Content-Type=application/json --body "$2" --output none; }

said() { grep -qE "$1" "$errors"; }

# stop MESSAGE: fail with the words of the service before our own.
stop() {
  cat "$errors" >&2
  if said "$BUSY"; then
    fail 'Microsoft Graph is busy: run this again in a few minutes; what is granted stays granted'
  fi
  fail "$1"
}

if [ -n "$application" ]; then
  principal=$(get "servicePrincipals(appId='$application')?\$select=id" id) ||
    stop "cannot find application $application in this tenant: sign in to the other tenant (az account show) and create its service principal (az ad sp create --id $application)"
fi

# Every pair of resource and role that the principal has, read once.
granted=$(get "servicePrincipals/$principal/appRoleAssignments?\$top=999" \
  "value[].join(' ', [resourceId, appRoleId])") ||
  stop "cannot read the grants of $principal: it is not in this tenant (az account show), the id is wrong, or it was created a minute ago (try again)"

# An app role counts only together with its resource: Microsoft Graph and SharePoint use the
# same id for roles of the same name.
grant() {
  local app=$1 name=$2 resource role role_id
  shift 2
  resource=$(get "servicePrincipals(appId='$app')?\$select=id" id) ||
    stop "cannot read the service principal of $name: are you signed in to the right tenant (az account show)?"
  for role in "$@"; do
    role_id=$(get "servicePrincipals(appId='$app')?\$select=appRoles" \
      "appRoles[?value=='$role' && contains(allowedMemberTypes, 'Application')].id | [0]") ||
      stop "cannot read the service principal of $name: are you signed in to the right tenant (az account show)?"
    [ -n "$role_id" ] || fail "$name has no application role $role in this tenant"
    if grep -qFx "$resource $role_id" <<<"$granted"; then
      echo "already granted: $name $role"
    elif $dry_run; then
      echo "would grant: $name $role"
    elif post "servicePrincipals/$resource/appRoleAssignedTo" \
      "{\"principalId\": \"$principal\", \"resourceId\": \"$resource\", \"appRoleId\": \"$role_id\"}"; then
      echo "granted: $name $role"
    elif said 'already exists'; then # granted a moment ago, not listed yet
      echo "already granted: $name $role"
    else
      stop "$name $role could not be granted: that takes a Privileged Role Administrator"
    fi
  done
}

# Sites.Selected alone opens nothing: the site itself must let the application in. The list of a
# site's permissions leaves out what each one allows, so each is read by its id.
admit() {
  local site client permissions permission allowed
  if ! site=$(get "sites/$my_site:/?\$select=id" id) ||
    ! permissions=$(get "sites/$site/permissions" 'value[].id'); then
    if said Forbidden && $dry_run; then
      echo "would grant, unless it is granted already: write on $my_site"
      return
    elif said Forbidden; then
      stop "cannot read the permissions of $my_site: that takes Sites.FullControl.All, which the Azure CLI does not have in every tenant; use grant.ps1 -Narrow"
    fi
    stop "cannot read site $my_site: is the name right, and are you signed in to the right tenant (az account show)?"
  fi
  client=$(get "servicePrincipals/$principal?\$select=appId" appId) ||
    stop "cannot read the service principal of $principal"
  for permission in $permissions; do
    allowed=$(get "sites/$site/permissions/$permission" \
      "grantedToIdentitiesV2[?application.id=='$client'] && roles[?@=='write' || @=='manage' || @=='fullcontrol' || @=='owner'] | [0]") ||
      stop "cannot read the permissions of $my_site"
    if [ -n "$allowed" ]; then
      echo "already granted: write on $my_site"
      return
    fi
  done
  if $dry_run; then
    echo "would grant: write on $my_site"
    return
  fi
  post "sites/$site/permissions" \
    "{\"roles\": [\"write\"], \"grantedToIdentities\": [{\"application\": {\"id\": \"$client\", \"displayName\": \"Photo Sync\"}}]}" ||
    stop "write on $my_site could not be granted: that takes Sites.FullControl.All; use grant.ps1 -Narrow"
  echo "granted: write on $my_site"
}

grant "$GRAPH_APP" 'Microsoft Graph' "${graph_roles[@]}"
grant "$SHAREPOINT_APP" SharePoint "${sharepoint_roles[@]}"
if $narrow; then admit; fi
$dry_run || echo 'Done. A token that was issued before keeps its old roles for up to 24 hours.'
