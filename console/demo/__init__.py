"""`make demo`: a real ERP, connected and synced through the API as a customer would, on one machine."""
