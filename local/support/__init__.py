"""Parts that the emulated tenant, the host, the demo, the tools and tests share."""
