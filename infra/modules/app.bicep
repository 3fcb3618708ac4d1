metadata description = 'The function app on Flex Consumption: one plan, one site, its settings, optionally Entra sign-in in front of SyncHttp.'

@description('Name of the function app.')
@minLength(2)
@maxLength(60)
param name string

@description('Name of the plan.')
param planName string

@description('Azure region.')
param location string

@description('Tags of the resources.')
param tags object

@description('Service name in azure.yaml, by which azd finds the site.')
param serviceName string

@description('Resource id of the identity the app runs as.')
param identityId string

@description('Client id of that identity.')
param identityClientId string

@description('Blob endpoint of the host storage, with trailing slash.')
param blobEndpoint string

@description('URL of the container for the deployment package.')
param packageContainerUrl string

@description('Connection string of Application Insights; it holds no secret, local authentication is off.')
param appInsightsConnectionString string

@description('Settings of the program, name to text.')
param syncSettings object

@description('Memory of an instance in MB.')
@allowed([ 512, 2048, 4096 ])
param instanceMemoryMB int

@description('Resource id of the subnet for outgoing traffic. Empty: none.')
param subnetId string

@description('Client id of an app registration: callers of SyncHttp must bring an Entra token for it. Empty: function key only.')
param signInClientId string

@description('Client ids that may call when sign-in is on. Empty: every application that gets a token for the registration.')
param signInAllowedApplications array

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { tier: 'FlexConsumption', name: 'FC1' }
  properties: { reserved: true }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': serviceName })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: 40 // the least Flex allows; the lease on run.json keeps the run single
      }
    }
  }
}

// Replaces the whole set on every deployment: what is not here does not exist.
resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(syncSettings, {
    AzureWebJobsStorage__blobServiceUri: blobEndpoint
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: appInsightsConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    MANAGED_IDENTITY_CLIENT_ID: identityClientId
  })
}

resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'ftp'
  properties: { allow: false }
}

resource noPublishingPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'scm'
  properties: { allow: false }
}

resource signIn 'Microsoft.Web/sites/config@2025-03-01' = if (!empty(signInClientId)) {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
    }
    httpSettings: { requireHttps: true }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: signInClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [ signInClientId, 'api://${signInClientId}' ]
          defaultAuthorizationPolicy: empty(signInAllowedApplications) ? {} : { allowedApplications: signInAllowedApplications }
        }
      }
    }
    login: { tokenStore: { enabled: false } }
  }
}

@description('Name of the function app.')
output name string = site.name

@description('Where SyncHttp answers.')
output url string = 'https://${site.properties.defaultHostName}'
