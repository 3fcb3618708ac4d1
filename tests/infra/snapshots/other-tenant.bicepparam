using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param sharePointTenant = 'contoso'
param cloud = 'usgov'
param targetTenantId = '11111111-1111-1111-1111-111111111111'
param targetClientId = '22222222-2222-2222-2222-222222222222'
param syncGroupId = '33333333-3333-3333-3333-333333333333'
param narrowRoles = true
param portalClientId = '44444444-4444-4444-4444-444444444444'
