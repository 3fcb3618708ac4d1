metadata description = 'The nights as charts: users, outcomes, requests, throttling, duration.'

@description('Azure region.')
param location string

@description('Tags of the resource.')
param tags { *: string }

@description('Title in the portal.')
param title string

@description('Resource id of the Application Insights component.')
param appInsightsId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(appInsightsId, 'photo-sync-nights')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: title
    category: 'workbook'
    sourceId: appInsightsId
    serializedData: replace(loadTextContent('../workbook.json'), '<application insights>', appInsightsId)
  }
}

@description('Resource id of the workbook.')
output id string = workbook.id
