metadata description = 'The function app on Flex Consumption: one plan, one site, its settings, optionally sign-in with Entra ID for the portal.'

@description('Name of the function app.')
@minLength(2)
@maxLength(60)
param name string

@description('Name of the plan.')
param planName string

@description('Azure region.')
param location string

@description('Tags of the resources.')
param tags { *: string }

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
param syncSettings { *: string }

@description('Memory of an instance in MB.')
@allowed([2048, 4096])
param instanceMemoryMB int

@description('Resource id of the subnet for outgoing traffic. Empty: none.')
param subnetId string

@description('Sign-in to the portal; clientId empty: none.')
param portal portalType

type portalType = {
  @description('Client id of the app registration that people sign in to.')
  clientId: string
  @description('Tenant of that registration and of all who may sign in.')
  tenantId: string
  @description('What refuses people who are not signed in: the program, or App Service before it calls the program.')
  access: 'code' | 'platform'
  @description('federated: the managed identity is a federated credential of the registration. idToken: no credential.')
  signIn: 'federated' | 'idToken'
}

// Named in authsettingsV2 as the setting of the client secret, this setting holds the client id of
// the identity that takes the place of a secret (Microsoft Learn: Configure Microsoft Entra sign-in).
var federatedSetting = 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
var hasPortal = !empty(portal.clientId)
var federated = hasPortal && portal.signIn == 'federated'

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
  properties: union(
    syncSettings,
    {
      AzureWebJobsStorage__blobServiceUri: blobEndpoint
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: appInsightsConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      AzureWebJobsDisableHomepage: 'true'
      MANAGED_IDENTITY_CLIENT_ID: identityClientId
    },
    hasPortal ? { WEBSITE_AUTH_AAD_ALLOWED_TENANTS: portal.tenantId } : {},
    federated ? { '${federatedSetting}': identityClientId } : {}
  )
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

// The flag that App Service sets itself while this is on, WEBSITE_AUTH_ENABLED, must never be a
// setting: with it and without the layer in front, the host takes any forged identity for real.
resource signIn 'Microsoft.Web/sites/config@2025-03-01' = if (hasPortal) {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true, runtimeVersion: '~1' }
    globalValidation: portal.access == 'platform'
      ? {
          requireAuthentication: true
          unauthenticatedClientAction: 'RedirectToLoginPage'
          redirectToProvider: 'azureactivedirectory'
          excludedPaths: ['/api/sync', '/api/sync/*']
        }
      : {
          requireAuthentication: false
          unauthenticatedClientAction: 'AllowAnonymous'
          redirectToProvider: 'azureactivedirectory'
        }
    httpSettings: {
      requireHttps: true
      routes: { apiPrefix: '/.auth' }
      forwardProxy: { convention: 'NoProxy' }
    }
    login: {
      tokenStore: { enabled: false } // would need a secret; nobody reads the tokens
      cookieExpiration: { convention: 'FixedTime', timeToExpiration: '08:00:00' }
      nonce: { validateNonce: true, nonceExpirationInterval: '00:05:00' }
      preserveUrlFragmentsForLogins: false
      allowedExternalRedirectUrls: []
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: union(
          {
            clientId: portal.clientId
            openIdIssuer: '${environment().authentication.loginEndpoint}${portal.tenantId}/v2.0'
          },
          federated ? { clientSecretSettingName: federatedSetting } : {}
        )
        validation: { allowedAudiences: [portal.clientId] }
      }
    }
  }
  dependsOn: [settings] // the sign-in reads one of them
}

@description('Name of the function app.')
output name string = site.name

@description('Where the functions answer.')
output url string = 'https://${site.properties.defaultHostName}'
