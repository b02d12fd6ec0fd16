"""Settings of the platform's processes: ours, with the systems that give secrets away, and soon failing runs."""

from config.settings import *  # noqa: F403

CONNECTORS = [
    *(f"tests.canary.system.{kind}" for kind in ("ByHeader", "ByBasic", "ByQuery", "Careless")),
    *(f"tests.oauth.connector.{kind}" for kind in ("OAuthErp", "SessionErp")),
]
SYNC_RETRY_SECONDS = [0.2, 0.2]
