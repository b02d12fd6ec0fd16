"""Django's settings. The environment is read in `base` alone."""

from config.settings.base import *  # noqa: F403
