"""Settings of the server; what a test chooses comes from the environment."""

import json
import os
from pathlib import Path

CHOSEN = json.loads(os.environ["OAUTH_SERVER"])
HERE = Path(__file__).parent

SECRET_KEY = "an OAuth server that lives for one test, and holds nothing of worth"
ALLOWED_HOSTS = ["*"]
DEBUG = False
ROOT_URLCONF = "tests.oauth.server.urls"
USE_TZ = True
STATIC_URL = "static/"
LOGIN_URL = "/accounts/login/"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "oauth2_provider",
]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
# Names of their own, for the browser sends cookies of one host to all its ports.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "oauth_server_session", "oauth_server_csrf"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": CHOSEN["database"],
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=wal;"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Tables straight from the models: the history of migrations takes seconds and tells a test nothing.
MIGRATION_MODULES = dict.fromkeys(("auth", "contenttypes", "sessions", "oauth2_provider"))
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
OAUTH2_PROVIDER = {
    "PKCE_REQUIRED": True,
    "SCOPES": {"read": "Read purchase orders and vendors", "write": "Change them"},
    "ACCESS_TOKEN_EXPIRE_SECONDS": CHOSEN["access_seconds"],
    "ROTATE_REFRESH_TOKEN": CHOSEN["rotates"],
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": CHOSEN["grace_seconds"],
}
