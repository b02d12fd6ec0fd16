"""Settings of processes that the tests of renewals start: as of the other chaos tests, with the connectors behind OAuth."""

from tests.oauth.connector import CONNECTORS as OURS
from tests.settings import *  # noqa: F403

CONNECTORS = list(OURS)
