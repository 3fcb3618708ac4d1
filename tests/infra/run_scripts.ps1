# Runs the scripts that a file names, one after the other, each against its own directory, because a
# start of PowerShell takes seconds. Prints what each said, as JSON: name, status, out, error.
param([Parameter(Mandatory)] [string] $Plan)
$ErrorActionPreference = 'Stop'

$results = foreach ($case in (Get-Content -Raw $Plan | ConvertFrom-Json -AsHashtable)) {
    $env:FAKE_GRAPH = $case.graph
    Remove-Module Microsoft.Graph.Authentication -ErrorAction SilentlyContinue
    $written = [System.IO.StringWriter]::new()
    $stderr = [Console]::Error
    [Console]::SetError($written)
    $global:LASTEXITCODE = 0
    $out = @()
    try {
        $parameters = $case.parameters
        & $case.script @parameters | ForEach-Object { $out += "$_" }
        $status = $global:LASTEXITCODE
    } catch {
        $status = 1
        $written.WriteLine("thrown: $_")
    } finally {
        [Console]::SetError($stderr)
    }
    @{ name = $case.name; status = $status; out = $out; error = $written.ToString() }
}
ConvertTo-Json -Depth 5 -InputObject @($results)
