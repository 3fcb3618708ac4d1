metadata description = 'What is printed after a deployment: the commands that the Entra administrator runs next, and what was switched on.'

@description('What the commands depend on; all values as in main.bicep.')
type grantsType = {
  cloud: string
  graphUrl: string
  targetTenantId: string
  targetClientId: string
  withGroup: bool
  narrow: bool
  sharePointTenant: string
  mySiteUrl: string
}

@description('Options as in main.bicep.')
type optionsType = {
  virtualNetwork: bool
  portalClientId: string
  alertEmail: string
  alertActionGroupId: string
  alertsEnabled: bool
  logAnalyticsWorkspaceId: string
  targetTenantId: string
  syncGroupId: string
  narrowRoles: bool
  dryRun: string
  pilot: string
}

@description('What a cloud is called where: Microsoft Graph, Connect-MgGraph, SharePoint.')
var clouds = {
  global: { graph: '', environment: '', sharePoint: 'sharepoint.com' }
  usgov: { graph: 'https://graph.microsoft.us', environment: 'USGov', sharePoint: 'sharepoint.us' }
  dod: { graph: 'https://dod-graph.microsoft.us', environment: 'USGovDoD', sharePoint: 'sharepoint-mil.us' }
  china: { graph: 'https://microsoftgraph.chinacloudapi.cn', environment: 'China', sharePoint: 'sharepoint.cn' }
}

func otherTenant(grants grantsType) bool => !empty(grants.targetTenantId) && !empty(grants.targetClientId)

func mySiteHost(grants grantsType) string =>
  empty(grants.mySiteUrl)
    ? '${grants.sharePointTenant}-my.${clouds[grants.cloud].sharePoint}'
    : split(replace(grants.mySiteUrl, 'https://', ''), '/')[0]

func graphRoot(grants grantsType) string => empty(grants.graphUrl) ? clouds[grants.cloud].graph : grants.graphUrl

func signInThere(grants grantsType) string =>
  otherTenant(grants) ? 'az login --tenant ${grants.targetTenantId} --allow-no-subscriptions && ' : ''

@export()
@description('Grants the app roles, in bash.')
func grantCommand(grants grantsType, principalId string) string =>
  join(
    concat(
      [
        '${signInThere(grants)}infra/permissions/grant.sh'
        otherTenant(grants) ? '--client-id ${grants.targetClientId}' : '--principal-id ${principalId}'
      ],
      grants.withGroup ? ['--with-group'] : [],
      grants.narrow ? ['--narrow --my-site ${mySiteHost(grants)}'] : [],
      empty(graphRoot(grants)) ? [] : ['--graph ${graphRoot(grants)}']
    ),
    ' '
  )

@export()
@description('Grants the app roles, in PowerShell.')
func grantCommandPowerShell(grants grantsType, principalId string) string =>
  join(
    concat(
      [
        'infra/permissions/grant.ps1'
        otherTenant(grants)
          ? '-TenantId ${grants.targetTenantId} -ClientId ${grants.targetClientId}'
          : '-PrincipalId ${principalId}'
      ],
      grants.withGroup ? ['-WithGroup'] : [],
      grants.narrow ? ['-Narrow -MySite ${mySiteHost(grants)}'] : [],
      empty(clouds[grants.cloud].environment) ? [] : ['-Environment ${clouds[grants.cloud].environment}']
    ),
    ' '
  )

@export()
@description('Registers the portal in Entra ID, in bash. In another tenant the identity cannot be its credential.')
func portalCommand(grants grantsType, principalId string, appUrl string) string =>
  join(
    concat(
      ['${signInThere(grants)}infra/entra-portal/register.sh --app-url ${appUrl}'],
      otherTenant(grants) ? [] : ['--principal-id ${principalId}'],
      empty(graphRoot(grants)) ? [] : ['--graph ${graphRoot(grants)}']
    ),
    ' '
  )

func isTrue(text string) bool => contains(['true', '1'], toLower(trim(text)))

@export()
@description('What was switched on, in words.')
func switchedOn(options optionsType) string =>
  join(
    concat(
      options.virtualNetwork ? ['virtual network'] : [],
      empty(options.portalClientId) ? [] : ['portal'],
      empty(options.alertEmail) ? [] : ['alerts by e-mail to ${options.alertEmail}'],
      empty(options.alertActionGroupId) ? [] : ['alerts to an existing action group'],
      options.alertsEnabled ? ['alert rules'] : [],
      empty(options.logAnalyticsWorkspaceId) ? [] : ['existing Log Analytics workspace'],
      empty(options.targetTenantId) ? [] : ['Microsoft 365 in tenant ${options.targetTenantId}'],
      empty(options.syncGroupId) ? [] : ['only members of group ${options.syncGroupId}'],
      options.narrowRoles ? ['narrow roles'] : [],
      isTrue(options.dryRun) ? ['dry run'] : [],
      isTrue(options.pilot) ? ['pilot calls'] : []
    ),
    ', '
  )
