using '../../../infra/main.bicep'

// Everything on, every text as long as it may be.
param environmentName = 'production-of-the-contoso-group-in-europ'
param location = 'germanywestcentral'
param resourceGroupName = 'rg-photo-sync-production-of-the-whole-contoso-group-in-germany-west-central-0123456789-abc'
param tags = { owner: 'messaging', 'cost center': '4711' }
param sharePointTenant = 'contoso-holding-international'
param checkpointContainer = 'photo-sync-state-of-the-production-environment-of-contoso-12345'
param syncGroupId = '33333333-3333-3333-3333-333333333333'
param portalClientId = '44444444-4444-4444-4444-444444444444'
param virtualNetwork = true
param alertEmail = 'a.very.long.name.of.a.mailbox.for.operators.of.photo.sync@department.of.messaging.contoso.com'
param pilot = 'true'
param dryRun = 'true'
param instanceMemoryMB = 4096
param logRetentionDays = 730
param recoveryDays = 365
param reportRetentionDays = 3650
param auditRetentionDays = 3650
