using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param sharePointTenant = 'contoso'
param alertEmail = 'operators@contoso.com'
param alertActionGroupId = '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-on-call/providers/Microsoft.Insights/actionGroups/ag-on-call'
