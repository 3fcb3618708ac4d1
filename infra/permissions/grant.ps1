#Requires -Version 7.2
#Requires -Modules Microsoft.Graph.Authentication
<#
.SYNOPSIS
Grants the identity of Photo Sync its app roles in Microsoft 365, nothing more.
.DESCRIPTION
The same as grant.sh, for PowerShell. Idempotent: what is granted already stays as it is.
Sign in as Privileged Role Administrator; with -Narrow also as SharePoint Administrator.
.PARAMETER PrincipalId
Object id of the managed identity (deployment output IDENTITY_PRINCIPAL_ID); with
TARGET_TENANT_ID: of the application's service principal over there.
.PARAMETER WithGroup
Also the role that reads group members; for SYNC_GROUP_ID.
.PARAMETER Narrow
Sites.Selected with a write grant on the My Site host instead of Sites.FullControl.All.
.PARAMETER MySite
With -Narrow: the My Site host, e.g. contoso-my.sharepoint.com.
.PARAMETER Environment
Global, USGov, USGovDoD or China, as Connect-MgGraph names them.
.PARAMETER DryRun
Say what would be granted, change nothing.
.EXAMPLE
./grant.ps1 -PrincipalId 11111111-2222-3333-4444-555555555555 -DryRun
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [guid] $PrincipalId,
    [switch] $WithGroup,
    [switch] $Narrow,
    [ValidatePattern('^[A-Za-z0-9.-]*$')] [string] $MySite = '',
    [string] $Environment = 'Global',
    [switch] $DryRun
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

if ($Narrow -and -not $MySite) { throw '-Narrow needs -MySite HOST, e.g. contoso-my.sharepoint.com' }

$graphApp = '00000003-0000-0000-c000-000000000000'
$sharePointApp = '00000003-0000-0ff1-ce00-000000000000'

$graphRoles = @('User.Read.All')
if ($WithGroup) { $graphRoles += 'GroupMember.Read.All' }
$sharePointRoles = if ($Narrow) {
    @('User.ReadWrite.All', 'Sites.Selected')
} else {
    @('User.ReadWrite.All', 'Sites.FullControl.All')
}

$scopes = @('Application.Read.All', 'AppRoleAssignment.ReadWrite.All')
if ($Narrow) { $scopes += 'Sites.FullControl.All' }
Connect-MgGraph -Scopes $scopes -Environment $Environment -NoWelcome

function Get-Graph([string] $Path) {
    Invoke-MgGraphRequest -Method GET -Uri "/v1.0/$Path" -OutputType PSObject
}

# An app role counts only together with its resource: Microsoft Graph and SharePoint use the
# same id for roles of the same name.
function Grant-Role([string] $App, [string] $Name, [string] $Role) {
    $resource = Get-Graph "servicePrincipals(appId='$App')?`$select=id,appRoles"
    $found = @($resource.appRoles | Where-Object {
            $_.value -eq $Role -and $_.allowedMemberTypes -contains 'Application' })
    if (-not $found) { throw "$Name has no application role $Role in this tenant" }
    $assigned = (Get-Graph "servicePrincipals/$PrincipalId/appRoleAssignments?`$top=999").value
    if ($assigned | Where-Object { $_.resourceId -eq $resource.id -and $_.appRoleId -eq $found[0].id }) {
        "already granted: $Name $Role"
    } elseif ($DryRun) {
        "would grant: $Name $Role"
    } else {
        $body = @{ principalId = "$PrincipalId"; resourceId = $resource.id; appRoleId = $found[0].id }
        try {
            $null = Invoke-MgGraphRequest -Method POST -Body ($body | ConvertTo-Json) `
                -ContentType 'application/json' -Uri "/v1.0/servicePrincipals/$($resource.id)/appRoleAssignedTo"
            "granted: $Name $Role"
        } catch {
            # Granted a moment ago and not listed yet is as good as granted.
            if ("$_ $($_.ErrorDetails)" -notmatch 'already exists') { throw }
            "already granted: $Name $Role"
        }
    }
}

# Sites.Selected alone opens nothing: the site itself must let the application in.
function Grant-Site {
    $site = (Get-Graph "sites/${MySite}:/?`$select=id").id
    $client = (Get-Graph "servicePrincipals/${PrincipalId}?`$select=appId").appId
    $known = (Get-Graph "sites/$site/permissions").value | Where-Object {
        $_.roles -contains 'write' -and $_.grantedToIdentitiesV2.application.id -contains $client }
    if ($known) {
        "already granted: write on $MySite"
    } elseif ($DryRun) {
        "would grant: write on $MySite"
    } else {
        $application = @{ id = $client; displayName = 'Photo Sync' }
        $body = @{ roles = @('write'); grantedToIdentities = @(@{ application = $application }) }
        $null = Invoke-MgGraphRequest -Method POST -Body ($body | ConvertTo-Json -Depth 5) `
            -ContentType 'application/json' -Uri "/v1.0/sites/$site/permissions"
        "granted: write on $MySite"
    }
}

foreach ($role in $graphRoles) { Grant-Role $graphApp 'Microsoft Graph' $role }
foreach ($role in $sharePointRoles) { Grant-Role $sharePointApp 'SharePoint' $role }
if ($Narrow) { Grant-Site }
if (-not $DryRun) { 'Done. A token that was issued before keeps its old roles for up to 24 hours.' }
