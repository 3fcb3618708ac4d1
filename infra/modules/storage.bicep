metadata description = 'One storage account for the Functions host, the deployment package and the checkpoint: no keys, no public blobs, recoverable.'

@description('Name of the storage account: 3 to 24 lower-case letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@description('Azure region.')
param location string

@description('Tags of the resources.')
param tags { *: string }

@description('Object id of the identity that reads and writes the blobs.')
param principalId string

@description('Container of the deployment package.')
param packageContainer string

@description('Container of state and run reports (CHECKPOINT_CONTAINER).')
param checkpointContainer string

@description('Close the public endpoint: the account is then reached through a private endpoint only.')
param privateOnly bool

@description('Days for which deleted blobs, containers and overwritten versions can be brought back.')
@minValue(7)
@maxValue(365)
param recoveryDays int

@description('Days after which run reports and broken documents are deleted. They name users.')
@minValue(7)
@maxValue(3650)
param reportRetentionDays int

@description('Days after which the audit log of the portal is deleted.')
@minValue(7)
@maxValue(3650)
param auditRetentionDays int

// Storage Blob Data Owner: what the Functions host needs for its own locks, timers and keys.
var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateOnly ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: true, days: recoveryDays }
    containerDeleteRetentionPolicy: { enabled: true, days: recoveryDays }
  }
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: packageContainer
  properties: { publicAccess: 'None' }
}

resource checkpoint 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: checkpointContainer
  properties: { publicAccess: 'None' }
}

// Rules about versions are accepted only where versioning is on already, hence dependsOn.
// No rule deletes a current blob of the package, of the host or of state/: the app needs them for
// as long as it exists. Their earlier versions go, wherever they are.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  dependsOn: [blobs]
  properties: {
    policy: {
      rules: [
        {
          name: 'old-versions'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: recoveryDays } } }
          }
        }
        {
          name: 'old-run-reports'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: {
              blobTypes: ['blockBlob', 'appendBlob']
              prefixMatch: ['${checkpointContainer}/runs/', '${checkpointContainer}/broken/']
            }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: reportRetentionDays } } }
          }
        }
        {
          name: 'old-audit-logs'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['appendBlob'], prefixMatch: ['${checkpointContainer}/audit/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: auditRetentionDays } } }
          }
        }
        {
          name: 'old-portal-limits' // how often a person called within the last hour
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${checkpointContainer}/portal/limits/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 1 } } }
          }
        }
      ]
    }
  }
}

resource mayUseBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, blobDataOwner)
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataOwner)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Resource id of the account.')
output id string = account.id

@description('Name of the account.')
output name string = account.name

@description('Blob endpoint with trailing slash.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('URL of the container that receives the deployment package.')
output packageContainerUrl string = '${account.properties.primaryEndpoints.blob}${package.name}'
