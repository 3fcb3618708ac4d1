metadata description = 'What wakes somebody: one log alert for each way a night can go wrong. The queries read the summary line that every run logs.'

@description('Part of every name.')
param name string

@description('Azure region.')
param location string

@description('Tags of the resources.')
param tags { *: string }

@description('Resource id of the Application Insights component.')
param appInsightsId string

@description('Whether the rules are evaluated. Off is for a long first run.')
param enabled bool

@description('Address that gets an e-mail. Empty: no action group is created.')
param email string

@description('Resource id of an existing action group that is notified too. Empty: none.')
param actionGroupId string

var rules = [
  {
    key: 'night-missing'
    severity: 1
    title: 'Photo Sync: no run completed in the last 30 hours'
    query: loadTextContent('../queries/night-missing.kql')
  }
  {
    key: 'run-stopped'
    severity: 1
    title: 'Photo Sync: the last run stopped early'
    query: loadTextContent('../queries/run-stopped.kql')
  }
  {
    key: 'run-unfinished'
    severity: 2
    title: 'Photo Sync: the nightly window ended before the run did'
    query: loadTextContent('../queries/run-unfinished.kql')
  }
  {
    key: 'many-failures'
    severity: 2
    title: 'Photo Sync: the last run failed for many users'
    query: loadTextContent('../queries/many-failures.kql')
  }
  {
    key: 'removals-held-back'
    severity: 2
    title: 'Photo Sync: more photos vanished than the removal limit lets through'
    query: loadTextContent('../queries/removals-held-back.kql')
  }
  {
    key: 'source-fault'
    severity: 2
    title: 'Photo Sync: the list of users was empty or shrank by half'
    query: loadTextContent('../queries/source-fault.kql')
  }
]

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${name}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'photo-sync'
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

var mailGroups = empty(email) ? [] : [mail.id]
var givenGroups = empty(actionGroupId) ? [] : [actionGroupId]

resource alerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: 'alert-${name}-${rule.key}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      description: 'What to do: docs/operate.md, "${rule.key}".'
      severity: rule.severity
      enabled: enabled
      autoMitigate: true
      scopes: [appInsightsId]
      evaluationFrequency: 'PT1H'
      windowSize: 'P2D' // longer than any ago() in the queries, which choose their own span
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: union(mailGroups, givenGroups) }
    }
  }
]

@description('Names of the rules.')
output names string[] = [for rule in rules: 'alert-${name}-${rule.key}']
