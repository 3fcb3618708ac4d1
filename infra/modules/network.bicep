metadata description = 'Optional: a virtual network for the function app, a private endpoint for its blobs and one fixed public address for its calls to Microsoft 365.'

@description('Part of every name.')
param name string

@description('Azure region.')
param location string

@description('Tags of the resources.')
param tags { *: string }

@description('Address range of the network: /25 or larger, divided into two /26.')
param addressPrefix string

@description('Resource id of the storage account that gets the private endpoint.')
param storageAccountId string

var prefixLength = int(last(split(addressPrefix, '/')))
var range = prefixLength <= 25
  ? addressPrefix
  : fail('VIRTUAL_NETWORK_PREFIX=${addressPrefix} is too small: it must be a /25 or larger, because two subnets of /26 are taken from it.')
var blobZoneName = 'privatelink.blob.${environment().suffixes.storage}'

resource address 'Microsoft.Network/publicIPAddresses@2025-05-01' = {
  name: 'pip-${name}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

// Calls to Graph and SharePoint need a way out; this one has an address that Conditional Access can name.
resource gateway 'Microsoft.Network/natGateways@2025-05-01' = {
  name: 'ng-${name}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: {
    idleTimeoutInMinutes: 4
    publicIpAddresses: [{ id: address.id }]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: 'vnet-${name}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [range] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(range, 26, 0)
          natGateway: { id: gateway.id }
          delegations: [
            {
              name: 'flex'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(range, 26, 1)
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

resource appSubnet 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' existing = {
  parent: network
  name: 'app'
}

resource endpointSubnet 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' existing = {
  parent: network
  name: 'endpoints'
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: blobZoneName
  location: 'global'
  tags: tags
}

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: zone
  name: 'link-${name}'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: network.id }
  }
}

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = {
  name: 'pe-${name}-blob'
  location: location
  tags: tags
  properties: {
    subnet: { id: endpointSubnet.id }
    privateLinkServiceConnections: [
      {
        name: 'blob'
        properties: {
          privateLinkServiceId: storageAccountId
          groupIds: ['blob']
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = {
  parent: endpoint
  name: 'default'
  dependsOn: [link]
  properties: {
    privateDnsZoneConfigs: [
      {
        name: 'blob'
        properties: { privateDnsZoneId: zone.id }
      }
    ]
  }
}

@description('Resource id of the subnet for the function app.')
output appSubnetId string = appSubnet.id

@description('Public address that Microsoft 365 sees.')
output outboundAddress string = address.properties.ipAddress
