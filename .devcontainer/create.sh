#!/usr/bin/env bash
# Prepares a new container: packages, Azurite, Azure Functions Core Tools, settings for `func start`.
set -euo pipefail
cd "$(dirname "$0")/.."
make setup
npm install --global azure-functions-core-tools@4
if [ ! -e local.settings.json ]; then cp local.settings.sample.json local.settings.json; fi
