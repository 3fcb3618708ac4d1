# Stands in for Microsoft's module: sends requests to a directory of the tests on loopback, whose
# address is FAKE_GRAPH. Behaves as the module does where the scripts of the project can notice:
# relative addresses, the type of the output, repeated requests when throttled, errors.
Set-StrictMode -Version Latest
$script:context = $null

function Connect-MgGraph {
    [CmdletBinding()]
    param(
        [string[]] $Scopes,
        [ValidateSet('Global', 'USGov', 'USGovDoD', 'China')] [string] $Environment = 'Global',
        [string] $TenantId,
        [switch] $NoWelcome
    )
    $script:context = [pscustomobject]@{ Scopes = $Scopes; Environment = $Environment; TenantId = $TenantId }
    $null = Microsoft.PowerShell.Utility\Invoke-RestMethod -Method Post -Uri "$env:FAKE_GRAPH/connect" -ContentType 'application/json' `
        -Body ($script:context | ConvertTo-Json)
    if (-not $NoWelcome) { 'Welcome to Microsoft Graph!' }
}

function Get-MgContext {
    $script:context
}

function Invoke-MgGraphRequest {
    [CmdletBinding()]
    param(
        [ValidateSet('GET', 'POST', 'PUT', 'PATCH', 'DELETE')] [string] $Method = 'GET',
        [Parameter(Mandatory)] [string] $Uri,
        [object] $Body,
        [string] $ContentType,
        [ValidateSet('HashTable', 'PSObject', 'HttpResponseMessage', 'Json')] [string] $OutputType = 'HashTable',
        [switch] $SkipHttpErrorCheck,
        [string] $StatusCodeVariable
    )
    if ($null -eq $script:context) {
        throw 'Authentication needed. Please call Connect-MgGraph.'
    }
    if (-not $Uri.StartsWith('/')) { throw "fake module: only relative addresses, not $Uri" }
    $request = @{
        Method = $Method
        Uri = $env:FAKE_GRAPH + $Uri
        Headers = @{ Authorization = "Bearer $($script:context.Scopes -join ' ')"; 'X-Root' = $script:context.Environment }
        SkipHttpErrorCheck = $true
        UseBasicParsing = $true
    }
    if ($PSBoundParameters.ContainsKey('Body')) {
        $request.Body = $Body
        $request.ContentType = if ($ContentType) { $ContentType } else { 'application/json' }
    }
    # The module repeats a throttled request three times, then gives back the last answer.
    for ($attempt = 0; $attempt -le 3; $attempt++) {
        $answer = Microsoft.PowerShell.Utility\Invoke-WebRequest @request
        if ($answer.StatusCode -notin 429, 503, 504) { break }
    }
    if (-not $SkipHttpErrorCheck -and $answer.StatusCode -ge 400) {
        $exception = [System.Net.Http.HttpRequestException]::new(
            "Response status code does not indicate success: $($answer.StatusCode) ($($answer.StatusDescription)).")
        $problem = [System.Management.Automation.ErrorRecord]::new(
            $exception, 'InvokeGraphHttpResponseException', 'InvalidOperation', $Uri)
        $problem.ErrorDetails = [System.Management.Automation.ErrorDetails]::new($answer.Content)
        $PSCmdlet.ThrowTerminatingError($problem)
    }
    if ($StatusCodeVariable) {
        $PSCmdlet.SessionState.PSVariable.Set($StatusCodeVariable, [int] $answer.StatusCode)
    }
    if (-not $answer.Content) { return }
    switch ($OutputType) {
        'PSObject' { $answer.Content | ConvertFrom-Json }
        'HashTable' { $answer.Content | ConvertFrom-Json -AsHashtable }
        'Json' { $answer.Content }
        default { throw "fake module: $OutputType" }
    }
}
