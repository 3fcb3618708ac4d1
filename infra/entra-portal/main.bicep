metadata description = 'The app registration that people sign in to the portal with: one tenant, one role for the help desk, no secret, no permission on Microsoft Graph beyond the sign-in. For the Entra administrator (Cloud Application Administrator); register.sh does the same.'

extension microsoftGraphV1

@description('Addresses of the function app: the deployment output FUNCTION_APP_URL, and one for each custom domain.')
@minLength(1)
param appUrls string[]

@description('Object id of the managed identity (output IDENTITY_PRINCIPAL_ID), which takes the place of a secret. Empty: the portal signs people in with id tokens only (PORTAL_SIGN_IN=idToken), also when Microsoft 365 is in another tenant.')
param principalId string = ''

@description('Object ids of the people and groups of the help desk. Groups need Entra ID P1, and only their direct members count.')
param helpDesk string[] = []

@description('Key of the registration in this tenant. Another one makes another registration.')
@minLength(1)
param uniqueName string = 'photo-sync-portal'

@description('Name that people see when they sign in.')
param displayName string = 'Photo Sync'

var helpDeskRole = 'a3f1c2de-7b54-4c1e-9a40-5d2f8e6b7c10'

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  web: {
    homePageUrl: '${appUrls[0]}/api/portal'
    redirectUris: [for url in appUrls: '${url}/.auth/login/aad/callback']
    implicitGrantSettings: {
      enableIdTokenIssuance: true
      enableAccessTokenIssuance: false
    }
  }
  appRoles: [
    {
      id: helpDeskRole
      value: 'HelpDesk'
      displayName: 'Help desk'
      description: 'Finds users in the Photo Sync portal and updates their photos.'
      allowedMemberTypes: ['User']
      isEnabled: true
    }
  ]
  optionalClaims: {
    idToken: [
      {
        name: 'acct' // tells guests from members
      }
    ]
  }
}

resource identityCredential 'Microsoft.Graph/applications/federatedIdentityCredentials@v1.0' = if (!empty(principalId)) {
  name: '${application.uniqueName}/photo-sync-identity'
  description: 'The managed identity of Photo Sync, in place of a secret.'
  issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
  subject: principalId
  audiences: ['api://AzureADTokenExchange']
}

resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

resource graph 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: '00000003-0000-0000-c000-000000000000'
}

// Without it, people are asked for consent, or told to ask an administrator for it.
resource consent 'Microsoft.Graph/oauth2PermissionGrants@v1.0' = {
  clientId: principal.id
  consentType: 'AllPrincipals'
  resourceId: graph.id
  scope: 'openid profile email'
}

resource assignments 'Microsoft.Graph/appRoleAssignedTo@v1.0' = [
  for member in helpDesk: {
    principalId: member
    resourceId: principal.id
    appRoleId: helpDeskRole
  }
]

@description('Client id of the registration: the value of PORTAL_CLIENT_ID.')
output PORTAL_CLIENT_ID string = application.appId
