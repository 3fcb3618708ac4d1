"""Everything needed to run Photo Sync on one machine: emulated tenant, functions host, demo."""
