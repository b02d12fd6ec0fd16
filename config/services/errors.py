"""The one way the local services fail that their user can mend."""

from dataclasses import dataclass

from core.errors import ConfigError


@dataclass(eq=False)
class LocalServicesError(ConfigError):
    """PostgreSQL or Valkey of this machine cannot be started; the detail says what to do about it."""

    default_code = "LOCAL_SERVICES_FAILED"
