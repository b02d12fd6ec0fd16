"""How fast the platform is, beside what the machine can do and beside the usual way. See README.md."""
