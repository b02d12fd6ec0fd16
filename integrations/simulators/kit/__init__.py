"""What every simulator is made of: store, paging, faults, journal, control plane, HTTP server. It knows no vendor."""
