metadata description = 'Photo Sync from an empty subscription: identity, storage, monitoring, function app, alerts, workbook. It cannot grant the app roles in Microsoft 365 (permissions/) and cannot register the portal in Entra ID (entra-portal/).'

targetScope = 'subscription'

import { grantCommand, grantCommandPowerShell, portalCommand, switchedOn } from 'modules/commands.bicep'

// ---- where and what ---------------------------------------------------------------------------

@description('Name of this deployment, e.g. prod. Part of the names of all resources.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Azure region; must offer Flex Consumption with Python 3.13 (az functionapp list-flexconsumption-locations).')
@minLength(1)
param location string

@description('Name of the resource group. Empty: rg-photo-sync-<environment name>.')
@maxLength(90)
param resourceGroupName string = ''

@description('Further tags for every resource.')
param tags { *: string } = {}

// ---- settings of the program: the defaults are those of the program -----------------------------

@description('SHAREPOINT_TENANT: contoso stands for https://contoso.sharepoint.com. May be empty only when both SharePoint URLs are given.')
param sharePointTenant string

@description('CLOUD: Microsoft cloud in which Microsoft 365 lives.')
@allowed(['global', 'usgov', 'dod', 'china'])
param cloud string = 'global'

@description('GRAPH_URL: Microsoft Graph root without version. Empty: that of the cloud.')
param graphUrl string = ''

@description('LOGIN_URL: login authority for another tenant. Empty: that of the cloud.')
param loginUrl string = ''

@description('SHAREPOINT_MYSITE_URL: My Site host. Empty: from the tenant name.')
param sharePointMySiteUrl string = ''

@description('SHAREPOINT_ADMIN_URL: tenant admin site. Empty: from the tenant name.')
param sharePointAdminUrl string = ''

@description('SHAREPOINT_SATELLITES: My Site hosts of other geographies, separated by commas. Empty: only those that are named after the tenant.')
param sharePointSatellites string = ''

@description('TARGET_TENANT_ID: tenant of Microsoft 365 when it is not the tenant of this subscription.')
param targetTenantId string = ''

@description('TARGET_CLIENT_ID: application that trusts the identity in that tenant.')
param targetClientId string = ''

@description('CHECKPOINT_CONTAINER: blob container of state and run reports.')
@minLength(3)
@maxLength(63)
param checkpointContainer string = 'photo-sync'

@description('SYNC_SCHEDULE: NCRONTAB in UTC, the nightly window. Each firing starts a run, resumes it or finds it finished.')
@minLength(9)
param syncSchedule string = '0 */15 1-5 * * *'

@description('RUN_INTERVAL_HOURS: least time between the starts of two runs.')
param runIntervalHours string = '12'

@description('USER_FILTER: OData filter for who is in scope. Empty: the default of the program.')
param userFilter string = ''

@description('SYNC_GROUP_ID: object id of a group; only its transitive members are in scope. For pilots.')
param syncGroupId string = ''

@description('DRY_RUN: plan and report, write nothing.')
param dryRun string = 'false'

@description('REMOVE_PHOTOS: clear SharePoint when a photo that was written by Photo Sync is gone from Exchange.')
param removePhotos string = 'true'

@description('REMOVAL_CONFIRMATIONS: consecutive runs that must find a photo gone.')
param removalConfirmations string = '2'

@description('REMOVAL_LIMIT: number or percentage of written photos; above it nothing is removed in that run.')
param removalLimit string = '5%'

@description('REVERIFY_DAYS: an unchanged photo is checked again after so many days; 0: never.')
param reverifyDays string = '30'

@description('LEAVER_DAYS: a user who is gone from the directory loses the thumbnails after so many days; 0: never.')
param leaverDays string = '30'

@description('THUMBNAIL_SIZES: longest side in pixels of small, medium and large.')
param thumbnailSizes string = '48,96,300'

@description('TIME_BUDGET_SECONDS: a run stops by itself, saved, after so long; below functionTimeout in host.json.')
param timeBudgetSeconds string = '1500'

@description('MAX_CONCURRENCY: most requests in flight per service.')
param maxConcurrency string = '32'

@description('PILOT: allows the pilot call, which writes the values of one user back.')
param pilot string = 'false'

@description('PORTAL_CLIENT_ID: client id of the app registration that people sign in to. Empty: no portal.')
param portalClientId string = ''

@description('COMPANY: decorates the User-Agent that Microsoft 365 sees.')
param company string = 'PhotoSync'

// ---- the platform -------------------------------------------------------------------------------

@description('Memory of an instance in MB. Less than 2048 is too little for the largest photos.')
@allowed([2048, 4096])
param instanceMemoryMB int = 2048

@description('Address that gets an e-mail when a night goes wrong. Empty: alerts show in the portal only.')
param alertEmail string = ''

@description('Resource id of an existing action group to notify as well. Empty: none.')
param alertActionGroupId string = ''

@description('Whether the alert rules are evaluated.')
param alertsEnabled bool = true

@description('Resource id of an existing Log Analytics workspace. Empty: a new one.')
param logAnalyticsWorkspaceId string = ''

@description('Days that a new workspace keeps logs.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Days for which deleted or overwritten blobs can be brought back.')
@minValue(7)
@maxValue(365)
param recoveryDays int = 14

@description('Days after which run reports, which name users, are deleted.')
@minValue(7)
@maxValue(3650)
param reportRetentionDays int = 365

@description('Days after which the audit log of the portal is deleted.')
@minValue(7)
@maxValue(3650)
param auditRetentionDays int = 90

@description('Virtual network with private endpoint for the blobs and one fixed outgoing address.')
param virtualNetwork bool = false

@description('Address range of that network, /25 or larger.')
param virtualNetworkPrefix string = '10.250.0.0/24'

@description('What refuses people who are not signed in to the portal. code: the program. platform: App Service, before it calls the program; the paths of SyncHttp are excluded.')
@allowed(['code', 'platform'])
param portalAccess string = 'code'

@description('How sign-in works without a secret. federated: the managed identity is a federated credential of the app registration. idToken: no credential at all; always used when Microsoft 365 is in another tenant.')
@allowed(['federated', 'idToken'])
param portalSignIn string = 'federated'

@description('Whether the commands that are printed grant Sites.Selected on the My Site host instead of Sites.FullControl.All. Nothing else depends on it.')
param narrowRoles bool = false

var serviceName = 'sync'
var packageContainer = 'app-package'
var token = toLower(uniqueString(subscription().id, environmentName, location))
var grants = {
  cloud: cloud
  graphUrl: graphUrl
  targetTenantId: targetTenantId
  targetClientId: targetClientId
  withGroup: !empty(syncGroupId)
  narrow: narrowRoles
  sharePointTenant: sharePointTenant
  mySiteUrl: sharePointMySiteUrl
}
var allTags = union(tags, { 'azd-env-name': environmentName })

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: empty(resourceGroupName) ? 'rg-photo-sync-${environmentName}' : resourceGroupName
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  name: 'photo-sync-identity'
  scope: group
  params: {
    name: 'id-photo-sync-${token}'
    location: location
    tags: allTags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'photo-sync-storage'
  scope: group
  params: {
    name: take('stphotosync${token}', 24)
    location: location
    tags: allTags
    principalId: identity.outputs.principalId
    packageContainer: packageContainer
    checkpointContainer: checkpointContainer
    privateOnly: virtualNetwork
    recoveryDays: recoveryDays
    reportRetentionDays: reportRetentionDays
    auditRetentionDays: auditRetentionDays
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'photo-sync-monitoring'
  scope: group
  params: {
    name: 'appi-photo-sync-${token}'
    workspaceName: 'log-photo-sync-${token}'
    location: location
    tags: allTags
    existingWorkspaceId: logAnalyticsWorkspaceId
    retentionDays: logRetentionDays
    principalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (virtualNetwork) {
  name: 'photo-sync-network'
  scope: group
  params: {
    name: 'photo-sync-${token}'
    location: location
    tags: allTags
    addressPrefix: virtualNetworkPrefix
    storageAccountId: storage.outputs.id
  }
}

module app 'modules/app.bicep' = {
  name: 'photo-sync-app'
  scope: group
  params: {
    name: 'func-photo-sync-${token}'
    planName: 'plan-photo-sync-${token}'
    location: location
    tags: allTags
    serviceName: serviceName
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    blobEndpoint: storage.outputs.blobEndpoint
    packageContainerUrl: storage.outputs.packageContainerUrl
    appInsightsConnectionString: monitoring.outputs.connectionString
    syncSettings: {
      SHAREPOINT_TENANT: sharePointTenant
      CLOUD: cloud
      GRAPH_URL: graphUrl
      LOGIN_URL: loginUrl
      SHAREPOINT_MYSITE_URL: sharePointMySiteUrl
      SHAREPOINT_ADMIN_URL: sharePointAdminUrl
      SHAREPOINT_SATELLITES: sharePointSatellites
      TARGET_TENANT_ID: targetTenantId
      TARGET_CLIENT_ID: targetClientId
      CHECKPOINT_CONNECTION: 'AzureWebJobsStorage'
      CHECKPOINT_CONTAINER: checkpointContainer
      SYNC_SCHEDULE: syncSchedule
      RUN_INTERVAL_HOURS: runIntervalHours
      USER_FILTER: userFilter
      SYNC_GROUP_ID: syncGroupId
      DRY_RUN: dryRun
      REMOVE_PHOTOS: removePhotos
      REMOVAL_CONFIRMATIONS: removalConfirmations
      REMOVAL_LIMIT: removalLimit
      REVERIFY_DAYS: reverifyDays
      LEAVER_DAYS: leaverDays
      THUMBNAIL_SIZES: thumbnailSizes
      TIME_BUDGET_SECONDS: timeBudgetSeconds
      MAX_CONCURRENCY: maxConcurrency
      PILOT: pilot
      PORTAL_CLIENT_ID: portalClientId
      COMPANY: company
    }
    instanceMemoryMB: instanceMemoryMB
    subnetId: virtualNetwork ? network!.outputs.appSubnetId : ''
    portal: {
      clientId: portalClientId
      tenantId: empty(targetTenantId) ? tenant().tenantId : targetTenantId
      access: portalAccess
      // The identity can be a credential of an app registration of its own tenant only.
      signIn: empty(targetTenantId) ? portalSignIn : 'idToken'
    }
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'photo-sync-alerts'
  scope: group
  params: {
    name: 'photo-sync-${token}'
    location: location
    tags: allTags
    appInsightsId: monitoring.outputs.id
    enabled: alertsEnabled
    email: alertEmail
    actionGroupId: alertActionGroupId
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'photo-sync-workbook'
  scope: group
  params: {
    location: location
    tags: allTags
    title: 'Photo Sync nights (${environmentName})'
    appInsightsId: monitoring.outputs.id
  }
}

@description('Resource group of everything.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Name of the function app.')
output FUNCTION_APP_NAME string = app.outputs.name

@description('Where the functions answer.')
output FUNCTION_APP_URL string = app.outputs.url

@description('Storage account of host and checkpoint.')
output STORAGE_ACCOUNT_NAME string = storage.outputs.name

@description('Application Insights component.')
output APPLICATION_INSIGHTS_NAME string = monitoring.outputs.name

@description('Client id of the identity.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId

@description('Object id of the identity, to which the Entra administrator grants the app roles.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('What is switched on. A value that azd cannot read, such as yes for true, has no effect and is missing here.')
output SWITCHED_ON string = switchedOn({
  virtualNetwork: virtualNetwork
  portalClientId: portalClientId
  alertEmail: alertsEnabled ? alertEmail : ''
  alertActionGroupId: alertsEnabled ? alertActionGroupId : ''
  alertsEnabled: alertsEnabled
  logAnalyticsWorkspaceId: logAnalyticsWorkspaceId
  targetTenantId: targetTenantId
  syncGroupId: syncGroupId
  narrowRoles: narrowRoles
  dryRun: dryRun
  pilot: pilot
})

@description('What the Entra administrator runs next, once, in bash.')
output GRANT_COMMAND string = grantCommand(grants, identity.outputs.principalId)

@description('The same for PowerShell.')
output GRANT_COMMAND_POWERSHELL string = grantCommandPowerShell(grants, identity.outputs.principalId)

@description('What the Entra administrator runs to register the portal, once, in bash.')
output PORTAL_COMMAND string = portalCommand(grants, identity.outputs.principalId, app.outputs.url)

@description('Where people find their photo. Empty: no portal.')
output PORTAL_URL string = empty(portalClientId) ? '' : '${app.outputs.url}/api/portal'

@description('Public address that Microsoft 365 sees when the virtual network is on.')
output OUTBOUND_ADDRESS string = virtualNetwork ? network!.outputs.outboundAddress : ''
