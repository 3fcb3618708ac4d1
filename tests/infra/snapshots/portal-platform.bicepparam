using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param sharePointTenant = 'contoso'
param portalClientId = '44444444-4444-4444-4444-444444444444'
param portalAccess = 'platform'
param portalSignIn = 'idToken'
