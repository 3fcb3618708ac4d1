metadata description = 'Application Insights that accepts the identity only, over a new or an existing Log Analytics workspace.'

@description('Name of the Application Insights component.')
param name string

@description('Name of the Log Analytics workspace that is created when none is given.')
param workspaceName string

@description('Azure region.')
param location string

@description('Tags of the resources.')
param tags { *: string }

@description('Resource id of an existing Log Analytics workspace. Empty: a new one is created.')
param existingWorkspaceId string

@description('Days that a new workspace keeps logs. An existing one keeps its own setting.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Object id of the identity that writes logs and metrics.')
param principalId string

// Monitoring Metrics Publisher: sends telemetry where local authentication is off.
var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = if (empty(existingWorkspaceId)) {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: name
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: empty(existingWorkspaceId) ? workspace.id : existingWorkspaceId
    DisableLocalAuth: true
  }
}

resource mayPublish 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, principalId, metricsPublisher)
  scope: component
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Resource id of the component: scope of the alerts and of the workbook.')
output id string = component.id

@description('Name of the component.')
output name string = component.name

@description('Where telemetry goes. No secret: the component accepts Entra tokens only.')
output connectionString string = component.properties.ConnectionString
