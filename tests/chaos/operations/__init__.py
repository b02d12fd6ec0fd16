"""Many writes against a simulated system while workers die: what was wished, and nothing else, must stand there.

    make chaos SUITE=operations

`plan` says what is wished, `drive` wishes it, `havoc` kills, freezes and empties, `faults` spoils the system's answers,
`history` keeps what was seen, and `checker` judges it without asking anything of the platform.
"""
