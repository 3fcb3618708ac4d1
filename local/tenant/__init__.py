"""Emulated Microsoft 365 tenant: Microsoft Graph, SharePoint, identity and login on loopback."""
