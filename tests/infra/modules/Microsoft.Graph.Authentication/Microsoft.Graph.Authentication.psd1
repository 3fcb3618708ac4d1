@{
    # Stands in for Microsoft's module of this name; see the .psm1.
    ModuleVersion = '2.30.0'
    GUID = '5b7d2f3a-6f2e-4b7e-9a53-2c7f3b1f0d11'
    RootModule = 'Microsoft.Graph.Authentication.psm1'
    FunctionsToExport = 'Connect-MgGraph', 'Invoke-MgGraphRequest', 'Get-MgContext'
    CmdletsToExport = @()
    AliasesToExport = @()
    VariablesToExport = @()
}
