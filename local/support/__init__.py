"""Parts that the emulated tenant, the host, the demo, the tools and tests share.

`arguments` of command lines, `azurite` (storage), `certificate` for loopback servers, the virtual
`clock`, `stack` (tenant, storage and functions together), `terminal` output. They are imported by
module: some need large packages, and the tenant must not need the stack that holds it.
"""
