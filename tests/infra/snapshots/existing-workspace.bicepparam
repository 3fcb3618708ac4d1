using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param sharePointTenant = 'contoso'
param logAnalyticsWorkspaceId = '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-logs/providers/Microsoft.OperationalInsights/workspaces/log-central'
param alertsEnabled = false
