"""A CMMS in the manner of MaintainX's public API v1, made from the vendor's published OpenAPI document."""
