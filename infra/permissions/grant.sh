#!/usr/bin/env bash
# Grants the identity of Photo Sync its app roles in Microsoft 365, nothing more.
# Idempotent: what is granted already stays as it is. Needs the Azure CLI, signed in
# (az login --allow-no-subscriptions) as Privileged Role Administrator.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: grant.sh --principal-id ID [--with-group] [--narrow --my-site HOST] [--dry-run]

  --principal-id ID   object id of the managed identity (deployment output IDENTITY_PRINCIPAL_ID);
                      with TARGET_TENANT_ID: of the application's service principal over there
  --with-group        also the role that reads group members; for SYNC_GROUP_ID
  --narrow            Sites.Selected with a write grant on the My Site host
                      instead of Sites.FullControl.All
  --my-site HOST      with --narrow: the My Site host, e.g. contoso-my.sharepoint.com
  --graph URL         Microsoft Graph root of another cloud, e.g. https://graph.microsoft.us
  --dry-run           say what would be granted, change nothing

exit status: 0 all granted (or nothing to do), 1 something could not be granted, 2 wrong usage
TEXT
}

fail() { echo "grant.sh: $1" >&2; exit "${2:-1}"; }

GRAPH_APP=00000003-0000-0000-c000-000000000000
SHAREPOINT_APP=00000003-0000-0ff1-ce00-000000000000

principal='' with_group=false narrow=false my_site='' graph=https://graph.microsoft.com dry_run=false
while [ $# -gt 0 ]; do
  case "$1" in
    --principal-id | --my-site | --graph) [ $# -ge 2 ] || { usage >&2; exit 2; } ;;
  esac
  case "$1" in
    --principal-id) principal=$2; shift ;;
    --with-group) with_group=true ;;
    --narrow) narrow=true ;;
    --my-site) my_site=$2; shift ;;
    --graph) graph=${2%/}; shift ;;
    --dry-run) dry_run=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[[ $principal =~ ^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$ ]] ||
  fail '--principal-id must be a GUID: the object id, see deployment output IDENTITY_PRINCIPAL_ID' 2
if $narrow && ! [[ $my_site =~ ^[A-Za-z0-9.-]+$ ]]; then
  fail '--narrow needs --my-site HOST, e.g. contoso-my.sharepoint.com, without https://' 2
fi
command -v az >/dev/null || fail 'az is missing: install the Azure CLI'

graph_roles=(User.Read.All)
if $with_group; then graph_roles+=(GroupMember.Read.All); fi
if $narrow; then
  sharepoint_roles=(User.ReadWrite.All Sites.Selected)
else
  sharepoint_roles=(User.ReadWrite.All Sites.FullControl.All)
fi

# get PATH QUERY: one value from Microsoft Graph; empty when the query finds nothing.
get() {
  az rest --method get --url "$graph/v1.0/$1" --resource "$graph" --query "$2" --output tsv
}

post() {
  az rest --method post --url "$graph/v1.0/$1" --resource "$graph" \
    --headers Content-Type=application/json --body "$2" --output none
}

# An app role counts only together with its resource: Microsoft Graph and SharePoint use the
# same id for roles of the same name.
grant() {
  local app=$1 name=$2 role=$3 resource role_id assigned answer
  resource=$(get "servicePrincipals(appId='$app')?\$select=id" id) ||
    fail "cannot read the service principal of $name: are you signed in to the right tenant (az account show)?"
  role_id=$(get "servicePrincipals(appId='$app')?\$select=appRoles" \
    "appRoles[?value=='$role' && contains(allowedMemberTypes, 'Application')].id | [0]")
  [ -n "$role_id" ] || fail "$name has no application role $role in this tenant"
  assigned=$(get "servicePrincipals/$principal/appRoleAssignments?\$top=999" \
    "value[?resourceId=='$resource' && appRoleId=='$role_id'].id | [0]") ||
    fail "cannot read the grants of $principal: wrong id, or created a minute ago (try again)"
  if [ -n "$assigned" ]; then
    echo "already granted: $name $role"
  elif $dry_run; then
    echo "would grant: $name $role"
  elif answer=$(post "servicePrincipals/$resource/appRoleAssignedTo" \
    "{\"principalId\": \"$principal\", \"resourceId\": \"$resource\", \"appRoleId\": \"$role_id\"}" 2>&1); then
    echo "granted: $name $role"
  elif [[ $answer == *'already exists'* ]]; then # granted a moment ago, not listed yet
    echo "already granted: $name $role"
  else
    echo "$answer" >&2
    fail "$name $role could not be granted: that takes a Privileged Role Administrator"
  fi
}

# Sites.Selected alone opens nothing: the site itself must let the application in.
admit() {
  local site client known
  site=$(get "sites/$my_site:/?\$select=id" id) || fail "cannot read site $my_site"
  client=$(get "servicePrincipals/$principal?\$select=appId" appId)
  known=$(get "sites/$site/permissions" \
    "value[?roles[0]=='write' && grantedToIdentitiesV2[0].application.id=='$client'].id | [0]") ||
    fail "cannot read the permissions of $my_site: that takes Sites.FullControl.All, which the Azure CLI does not have in every tenant; use grant.ps1 -Narrow"
  if [ -n "$known" ]; then
    echo "already granted: write on $my_site"
  elif $dry_run; then
    echo "would grant: write on $my_site"
  else
    post "sites/$site/permissions" \
      "{\"roles\": [\"write\"], \"grantedToIdentities\": [{\"application\": {\"id\": \"$client\", \"displayName\": \"Photo Sync\"}}]}" ||
      fail "write on $my_site could not be granted: that takes Sites.FullControl.All; use grant.ps1 -Narrow"
    echo "granted: write on $my_site"
  fi
}

for role in "${graph_roles[@]}"; do grant "$GRAPH_APP" 'Microsoft Graph' "$role"; done
for role in "${sharepoint_roles[@]}"; do grant "$SHAREPOINT_APP" SharePoint "$role"; done
if $narrow; then admit; fi
$dry_run || echo 'Done. A token that was issued before keeps its old roles for up to 24 hours.'
