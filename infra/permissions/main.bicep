metadata description = 'App roles of the identity in Microsoft 365, nothing more. For the Entra administrator (Privileged Role Administrator); grant.sh and grant.ps1 do the same. Removing a role here does not revoke it.'

extension microsoftGraphV1

@description('Object id of the managed identity (output IDENTITY_PRINCIPAL_ID), not its client id.')
@minLength(36)
@maxLength(36)
param principalId string

@description('Whether SYNC_GROUP_ID is used: adds the role that reads group members.')
param withGroup bool = false

@description('Adds the role that reads photos: only where photos are refused although users can be listed.')
param withPhotos bool = false

@description('Narrower variant: Sites.Selected instead of Sites.FullControl.All. Needs a write grant on the My Site host besides; grant.sh --narrow makes it.')
param narrow bool = false

var graphRoles = concat(
  ['User.Read.All'],
  withGroup ? ['GroupMember.Read.All'] : [],
  withPhotos ? ['ProfilePhoto.Read.All'] : []
)
var sharePointRoles = narrow
  ? ['User.ReadWrite.All', 'Sites.Selected']
  : ['User.ReadWrite.All', 'Sites.FullControl.All']

resource graph 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: '00000003-0000-0000-c000-000000000000'
}

resource sharePoint 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: '00000003-0000-0ff1-ce00-000000000000'
}

resource graphGrants 'Microsoft.Graph/appRoleAssignedTo@v1.0' = [
  for role in graphRoles: {
    principalId: principalId
    resourceId: graph.id
    appRoleId: filter(graph.appRoles, r => r.value == role && contains(r.allowedMemberTypes, 'Application'))[0].id
  }
]

resource sharePointGrants 'Microsoft.Graph/appRoleAssignedTo@v1.0' = [
  for role in sharePointRoles: {
    principalId: principalId
    resourceId: sharePoint.id
    appRoleId: filter(sharePoint.appRoles, r => r.value == role && contains(r.allowedMemberTypes, 'Application'))[0].id
  }
]

@description('The roles that the identity has now, with their resources.')
output GRANTED string[] = concat(
  map(graphRoles, role => 'Microsoft Graph ${role}'),
  map(sharePointRoles, role => 'SharePoint ${role}')
)
