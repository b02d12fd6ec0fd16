"""Writing upstream: each operation is planned, sent once, looked up when its outcome is unknown, and read back."""
