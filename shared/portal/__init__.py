"""The portal: two web pages for people who are signed in with Entra ID.

`serve` is the way of a request; `routes` says who may call what; `principal`, `sign_in`,
`cross_site` and `proof` decide whom to believe; `rate_limit` and `audit` keep account; `program`
does the work with the rest of the program.
"""
