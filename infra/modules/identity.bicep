metadata description = 'The user-assigned identity that everything runs as. It exists before the app and survives it, so that an Entra administrator can grant its roles first and only once.'

@description('Name of the identity.')
@minLength(3)
param name string

@description('Azure region.')
param location string

@description('Tags of the resource.')
param tags { *: string }

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the identity.')
output id string = identity.id

@description('Client id: how the program names the identity when it asks for a token.')
output clientId string = identity.properties.clientId

@description('Object id: what roles are granted to.')
output principalId string = identity.properties.principalId
