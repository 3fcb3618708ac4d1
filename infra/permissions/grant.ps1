#Requires -Version 7.2
#Requires -Modules Microsoft.Graph.Authentication
<#
.SYNOPSIS
Grants the identity of Photo Sync its app roles in Microsoft 365, nothing more.
.DESCRIPTION
The same as grant.sh, for PowerShell. You can run it again at any time: what is granted already stays
as it is. Sign in as Privileged Role Administrator; with -Narrow also as SharePoint Administrator.
Exit status: 0 all granted (or nothing to do), 1 something could not be granted, 2 wrong usage.
.PARAMETER PrincipalId
Object id of the managed identity (deployment output IDENTITY_PRINCIPAL_ID).
.PARAMETER ClientId
Instead, when Microsoft 365 is in another tenant: client id of the application that trusts the
identity (TARGET_CLIENT_ID).
.PARAMETER TenantId
The tenant to sign in to; with -ClientId the one of Microsoft 365 (TARGET_TENANT_ID).
.PARAMETER WithGroup
Also grant the role that reads group members; for SYNC_GROUP_ID.
.PARAMETER WithPhotos
Also grant the role that reads photos; only where photos are refused although users can be listed.
.PARAMETER Narrow
Grant Sites.Selected with a write grant on the My Site host instead of Sites.FullControl.All.
.PARAMETER MySite
With -Narrow: the My Site host, such as contoso-my.sharepoint.com.
.PARAMETER Environment
Global, USGov, USGovDoD or China, as Connect-MgGraph names them.
.PARAMETER DryRun
Say what would be granted, change nothing. Asks for consent to read only.
.EXAMPLE
./grant.ps1 -PrincipalId 11111111-2222-3333-4444-555555555555 -DryRun
#>
[CmdletBinding(DefaultParameterSetName = 'Identity')]
param(
    [Parameter(Mandatory, ParameterSetName = 'Identity')] [guid] $PrincipalId,
    [Parameter(Mandatory, ParameterSetName = 'Application')] [guid] $ClientId,
    [string] $TenantId = '',
    [switch] $WithGroup,
    [switch] $WithPhotos,
    [switch] $Narrow,
    [ValidatePattern('^[A-Za-z0-9.-]*$')] [string] $MySite = '',
    [ValidateSet('Global', 'USGov', 'USGovDoD', 'China')] [string] $Environment = 'Global',
    [switch] $DryRun
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$graphApp = '00000003-0000-0000-c000-000000000000'
$sharePointApp = '00000003-0000-0ff1-ce00-000000000000'
$tenantHint = 'are you signed in to the right tenant (Get-MgContext)?'

$graphRoles = @('User.Read.All')
if ($WithGroup) { $graphRoles += 'GroupMember.Read.All' }
if ($WithPhotos) { $graphRoles += 'ProfilePhoto.Read.All' }
$sharePointRoles = if ($Narrow) {
    @('User.ReadWrite.All', 'Sites.Selected')
} else {
    @('User.ReadWrite.All', 'Sites.FullControl.All')
}

function Stop-Script([string] $Message, [int] $Status = 1) {
    [Console]::Error.WriteLine("grant.ps1: $Message")
    exit $Status
}

if ($Narrow -and -not $MySite) { Stop-Script '-Narrow needs -MySite HOST, e.g. contoso-my.sharepoint.com' 2 }

# Asks Microsoft Graph. The module itself repeats a request that is throttled; what it gives back
# then is the last answer.
function Invoke-Graph([string] $Method, [string] $Path, [hashtable] $Body) {
    $request = @{ Method = $Method; Uri = "/v1.0/$Path"; OutputType = 'PSObject' }
    if ($Body) {
        $request.Body = $Body | ConvertTo-Json -Depth 6
        $request.ContentType = 'application/json'
    }
    $status = 0
    $answer = Invoke-MgGraphRequest @request -SkipHttpErrorCheck -StatusCodeVariable status
    if ($status -in 429, 503, 504) {
        Stop-Script 'Microsoft Graph is busy: run this again in a few minutes; what is granted stays granted'
    }
    [pscustomobject]@{ Ok = $status -lt 400; Status = $status; Answer = $answer }
}

# A property that an answer may lack; $null then.
function Get-Value($Object, [string] $Name) {
    if ($null -ne $Object -and $Object.PSObject.Properties[$Name]) { $Object.$Name }
}

# Ends with the words of the service before our own.
function Stop-Refused($Result, [string] $Message) {
    $problem = Get-Value $Result.Answer 'error'
    [Console]::Error.WriteLine("$($Result.Status) $(Get-Value $problem 'code'): $(Get-Value $problem 'message')")
    Stop-Script $Message
}

function Get-Graph([string] $Path, [string] $Message) {
    $result = Invoke-Graph GET $Path
    if (-not $result.Ok) { Stop-Refused $result $Message }
    $result.Answer
}

# An app role counts only together with its resource: Microsoft Graph and SharePoint use the
# same id for roles of the same name.
function Grant-Role([string] $App, [string] $Name, [string[]] $Roles) {
    $resource = Get-Graph "servicePrincipals(appId='$App')?`$select=id,appRoles" `
        "cannot read the service principal of ${Name}: $tenantHint"
    foreach ($role in $Roles) {
        $found = @($resource.appRoles | Where-Object {
                $_.value -eq $role -and $_.allowedMemberTypes -contains 'Application' })
        if (-not $found) { Stop-Script "$Name has no application role $role in this tenant" }
        $body = @{ principalId = $principal; resourceId = $resource.id; appRoleId = $found[0].id }
        if ($granted | Where-Object { $_.resourceId -eq $body.resourceId -and $_.appRoleId -eq $body.appRoleId }) {
            "already granted: $Name $role"
            continue
        } elseif ($DryRun) {
            "would grant: $Name $role"
            continue
        }
        $result = Invoke-Graph POST "servicePrincipals/$($resource.id)/appRoleAssignedTo" $body
        if ($result.Ok) {
            "granted: $Name $role"
        } elseif ((Get-Value (Get-Value $result.Answer 'error') 'message') -match 'already exists') {
            "already granted: $Name $role" # granted a moment ago, not listed yet
        } else {
            Stop-Refused $result "$Name $role could not be granted: that takes a Privileged Role Administrator"
        }
    }
}

# Sites.Selected alone opens nothing: the site itself must let the application in. The list of a
# site's permissions leaves out what each one allows, so each is read by its id.
function Grant-Site {
    if ($DryRun) {
        # Reading the permissions of a site takes Sites.FullControl.All, which also writes.
        "would grant, unless it is granted already: write on $MySite"
        return
    }
    $site = (Get-Graph "sites/${MySite}:/?`$select=id" `
            "cannot read site ${MySite}: is the name right, and $tenantHint").id
    $client = (Get-Graph "servicePrincipals/${principal}?`$select=appId" `
            "cannot read the service principal of $principal").appId
    $refused = "cannot read the permissions of ${MySite}: that takes a SharePoint Administrator, and consent to Sites.FullControl.All"
    foreach ($listed in (Get-Graph "sites/$site/permissions" $refused).value) {
        $permission = Get-Graph "sites/$site/permissions/$($listed.id)" $refused
        $clients = foreach ($identity in (Get-Value $permission 'grantedToIdentitiesV2')) {
            Get-Value (Get-Value $identity 'application') 'id'
        }
        $allowed = Get-Value $permission 'roles' | Where-Object { $_ -in 'write', 'manage', 'fullcontrol', 'owner' }
        if ($clients -contains $client -and $allowed) {
            "already granted: write on $MySite"
            return
        }
    }
    $application = @{ id = $client; displayName = 'Photo Sync' }
    $body = @{ roles = @('write'); grantedToIdentities = @(@{ application = $application }) }
    $result = Invoke-Graph POST "sites/$site/permissions" $body
    if (-not $result.Ok) {
        Stop-Refused $result "write on $MySite could not be granted: that takes a SharePoint Administrator, and consent to Sites.FullControl.All"
    }
    "granted: write on $MySite"
}

$scopes = @('Application.Read.All')
if (-not $DryRun) { $scopes += 'AppRoleAssignment.ReadWrite.All' }
if ($Narrow -and -not $DryRun) { $scopes += 'Sites.FullControl.All' }
$connection = @{ Scopes = $scopes; Environment = $Environment; NoWelcome = $true }
if ($TenantId) { $connection.TenantId = $TenantId }
Connect-MgGraph @connection

$principal = if ($PSCmdlet.ParameterSetName -eq 'Application') {
    (Get-Graph "servicePrincipals(appId='$ClientId')?`$select=id" `
        "cannot find application $ClientId in this tenant: sign in to the other tenant (-TenantId) and create its service principal (New-MgServicePrincipal -AppId $ClientId)").id
} else {
    "$PrincipalId"
}
# Every grant that the principal has, read once.
$granted = @((Get-Graph "servicePrincipals/$principal/appRoleAssignments?`$top=999" `
            "cannot read the grants of ${principal}: it is not in this tenant (Get-MgContext), the id is wrong, or it was created a minute ago (try again)").value)

Grant-Role $graphApp 'Microsoft Graph' $graphRoles
Grant-Role $sharePointApp 'SharePoint' $sharePointRoles
if ($Narrow) { Grant-Site }
if (-not $DryRun) { 'Done. A token that was issued before keeps its old roles for up to 24 hours.' }
