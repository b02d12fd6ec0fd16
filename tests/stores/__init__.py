"""Secrets managers for tests: moto's server for AWS, small servers of our own, from the documented protocols, for Vault
and Azure Key Vault. All on loopback and free ports; the official clients speak to them over HTTP."""
