using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param sharePointTenant = 'contoso'
param virtualNetwork = true
param virtualNetworkPrefix = '10.1.2.0/25'
