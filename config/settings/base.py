"""Settings of the platform, from the typed environment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from config.gunicorn_settings import threads as WEB_THREADS  # noqa: F401  a quarter may wait for operations at once
from config.settings.development_keys import development_key
from config.settings.environment import read_environment
from config.settings.theme import UNFOLD  # noqa: F401

ENVIRONMENT = read_environment()
BASE_DIR = Path(__file__).resolve().parent.parent.parent
PRODUCTION = ENVIRONMENT.LINESHAFT_MODE == "production"
DEBUG = False  # pages of errors never show internals, in development either; the log does


def _secret(name: str) -> str:
    value = getattr(ENVIRONMENT, name)
    return value.get_secret_value() if value is not None else development_key(name)


SECRET_KEY = _secret("SECRET_KEY")
TOKEN_PEPPER = _secret("TOKEN_PEPPER")
ENCRYPTION_KEYS = _secret("ENCRYPTION_KEYS")  # also when they came from the file
ENCRYPTION_KEYS_FILE = ENVIRONMENT.ENCRYPTION_KEYS_FILE or ""
SECRET_CACHE_SECONDS = ENVIRONMENT.SECRET_CACHE_SECONDS
SECRET_STALE_SECONDS = ENVIRONMENT.SECRET_STALE_SECONDS

ALLOWED_HOSTS = ENVIRONMENT.ALLOWED_HOSTS
PUBLIC_URL = ENVIRONMENT.PUBLIC_URL
TRUSTED_PROXY_COUNT = ENVIRONMENT.TRUSTED_PROXY_COUNT
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL.startswith("https://") else []

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # the admin site is ours, not the one the theme would put in its place
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_ace",
    "pgtrigger",
    "axes",
    "pghistory",
    "core",
    "integrations",
    "workspaces",
    "connections",
    "webhooks",
    "syncs",
    "flows",
    "console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.middleware.RequestIdMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "workspaces.middleware.ScopeMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


CONNECTION_OPTIONS = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs", "connect_timeout"}
)


def _database(url: str | None) -> dict[str, Any]:
    """Django's form of a postgresql:// URL. Without one, only commands that need no database work."""
    if url is None:
        return {"ENGINE": "django.db.backends.dummy"}
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql") or not parts.path.strip("/"):
        raise ImproperlyConfigured("DATABASE_URL must look like postgresql://user:password@host:port/name")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := set(options) - CONNECTION_OPTIONS:
        raise ImproperlyConfigured(
            f"DATABASE_URL has options that are not known here: {', '.join(sorted(unknown))}."
            f" There are {', '.join(sorted(CONNECTION_OPTIONS))}."
        )
    web = ENVIRONMENT.LINESHAFT_PROCESS == "web"
    pool = {"pool": {"min_size": 1, "max_size": ENVIRONMENT.DATABASE_POOL_SIZE, "timeout": 10}}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": unquote(parts.hostname or ""),
        "PORT": parts.port or 5432,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "NAME": unquote(parts.path.lstrip("/")),
        # Threads of a web process share a pool; workers and ticks keep their one session.
        "CONN_MAX_AGE": 0 if web else None,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        "OPTIONS": {
            **options,
            **(pool if web else {}),
            "application_name": "lineshaft",
            # A session that stands still inside a transaction is ended before those that wait for its locks give up:
            # a frozen worker must not block the next. Nothing here waits for a network inside a transaction.
            "options": "-c idle_in_transaction_session_timeout=10000 -c lock_timeout=15000 -c jit=off -c TimeZone=UTC",
        },
    }


DATABASES = {"default": _database(ENVIRONMENT.DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = ENVIRONMENT.REDIS_URL or ""
REDIS_PREFIX = ENVIRONMENT.REDIS_PREFIX

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # refuses who failed too often, before a password is looked at
    "workspaces.role_permissions.RoleBackend",
]
# Sign-in lock-out: five wrong passwords of one name from one address, then a quarter of an hour nothing.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "core.callers.address_of"
AXES_LOCKOUT_TEMPLATE = "workspaces/locked_out.html"
AXES_ENABLE_ADMIN = False  # its lists know no workspaces; the audit log tells of lock-outs
AXES_VERBOSE = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
CSRF_FAILURE_VIEW = "console.link.failures.csrf_failed"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION
STATIC_ROOT.mkdir(exist_ok=True)  # filled by collectstatic in production; WhiteNoise warns when it is missing
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# What the platform may reach
EGRESS_ALLOWED_NETWORKS = ENVIRONMENT.EGRESS_ALLOWED_NETWORKS

TOKEN_MAX_AGE_DAYS = ENVIRONMENT.TOKEN_MAX_AGE_DAYS

# Mail to members, about issues
EMAIL_HOST = ENVIRONMENT.EMAIL_HOST
EMAIL_PORT = ENVIRONMENT.EMAIL_PORT
EMAIL_HOST_USER = ENVIRONMENT.EMAIL_USER
EMAIL_HOST_PASSWORD = ENVIRONMENT.EMAIL_PASSWORD.get_secret_value() if ENVIRONMENT.EMAIL_PASSWORD else ""
EMAIL_USE_TLS, EMAIL_USE_SSL = ENVIRONMENT.EMAIL_TLS == "starttls", ENVIRONMENT.EMAIL_TLS == "tls"
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = ENVIRONMENT.EMAIL_FROM

# What callers may ask of the API, in requests a minute
RATE_LIMIT_TOKEN = ENVIRONMENT.RATE_LIMIT_TOKEN
RATE_LIMIT_CONNECTION = ENVIRONMENT.RATE_LIMIT_CONNECTION
RATE_LIMIT_HOOKS = ENVIRONMENT.RATE_LIMIT_HOOKS

# Work
SYNC_LEASE_MARGIN_SECONDS = ENVIRONMENT.SYNC_LEASE_MARGIN_SECONDS
SYNC_WORK_BUDGET_SECONDS = ENVIRONMENT.SYNC_WORK_BUDGET_SECONDS
SYNC_RETRY_SECONDS = ENVIRONMENT.SYNC_RETRY_SECONDS
UPSTREAM_CALL_DAYS = ENVIRONMENT.UPSTREAM_CALL_DAYS
OPERATION_SEND_SECONDS = ENVIRONMENT.OPERATION_SEND_SECONDS
OPERATION_JOB_SECONDS = ENVIRONMENT.OPERATION_JOB_SECONDS
OPERATION_LOOKUP_SECONDS = ENVIRONMENT.OPERATION_LOOKUP_SECONDS
HEALTH_POLL_SECONDS: float = ENVIRONMENT.HEALTH_POLL_SECONDS
# Connectors that may be chosen; tests and benchmarks add their own. The registry alone imports them, by name.
CONNECTORS = ["integrations.connectors.tryton.Tryton", "integrations.connectors.maintainx.MaintainX"]
# How long a webhook endpoint may take to answer, and what a claim of a delivery lasts beyond that; tests have shorter ones.
WEBHOOK_TIMEOUT_SECONDS, WEBHOOK_LEASE_MARGIN_SECONDS = 15.0, 30.0
# Makes the full payloads of webhooks: a function in a room above theirs that turns an event into JSON texts.
WEBHOOK_RENDERER = "syncs.webhook_payloads.render"
# What rooms above add to duties of rooms below: rules of issues, and what goes with a deleted connection.
ISSUE_RULES = ["syncs.services.issue_rules.RULES", "flows.services.issue_rules.RULES"]
PURGE_STEPS = ["flows.services.purging.STEPS", "console.activity.STEPS", "syncs.services.purging.STEPS"]
# What `manage.py tick` runs: dotted paths of functions without arguments that return how many rows they moved.
TICKS = [
    "syncs.ticks.stop_disconnected_work",
    "flows.ticks.stop_disconnected_runs",
    "syncs.ticks.make_missing_syncs",
    "syncs.ticks.notice_mapping_changes",
    "syncs.ticks.resume_after_recovery",
    "syncs.ticks.heed_inbound_hooks",
    "syncs.ticks.dispatch_due_syncs",
    "syncs.ticks.hint_due_runs",
    "syncs.ticks.hint_due_operations",
    "flows.ticks.start_scheduled_runs",
    "flows.ticks.wake_waiting_runs",
    "flows.ticks.admit_queued_runs",
    "flows.ticks.hint_due_runs",
    "flows.ticks.hint_followers",
    "webhooks.ticks.fan_out",
    "webhooks.ticks.hint_due_deliveries",
    "console.ticks.count_activity",
    "syncs.ticks.watch_issues",
    "syncs.ticks.mail_about_issues",
    "syncs.ticks.forget_resolved_issues",
    "syncs.ticks.forget_old_rows",
    "webhooks.ticks.forget_old_rows",
    "flows.ticks.forget_old_rows",
    "syncs.ticks.purge_deleted_connections",
    "connections.ticks.hint_due_polls",
    "connections.services.forget_old_calls",
    "connections.services.linking.forget_stale_links",
    "webhooks.inbound_ticks.forget_inbound_hooks",
    "console.ticks.forget_old_hours",
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["workspaces.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["workspaces.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["core.rendering.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.rendering.StrictJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "core.openapi.ProblemAutoSchema",
    "EXCEPTION_HANDLER": "core.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Lineshaft API",
    "DESCRIPTION": "One API for every plant system.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_NAME_OVERRIDES": {
        "SyncStateEnum": "syncs.choices.SyncState",
        "RunStatusEnum": "syncs.choices.RunStatus",
        "OperationKindEnum": "syncs.choices.OperationKind",
        "OperationStatusEnum": "syncs.choices.OperationStatus",
        "SyncModeEnum": "syncs.choices.Mode",
        "ConnectionStatusEnum": "connections.choices.ConnectionStatus",
        "TokenStatusEnum": "workspaces.choices.TokenStatus",
        "EnvironmentEnum": "workspaces.choices.Environment",
        "LinkStatusEnum": "connections.choices.LinkStatus",
        "AuditOutcomeEnum": "workspaces.choices.AuditOutcome",
        "ActorKindEnum": "workspaces.choices.ActorKind",
        "TypeEnum": "workspaces.choices.EventType",
        "TestTypeEnum": "webhooks.serializers.TEST_TYPES",
        "EndpointStatusEnum": "webhooks.choices.EndpointStatus",
        "DeliveryStatusEnum": "webhooks.choices.DeliveryStatus",
        "PayloadEnum": "webhooks.choices.Payload",
        "FlowRunStatusEnum": "flows.choices.FlowRunStatus",
        "StepStatusEnum": "flows.choices.StepStatus",
        "TriggerKindEnum": "flows.choices.TriggerKind",
        "TriggerEnum": "syncs.choices.Trigger",
        "FlowStateEnum": "flows.bodies.FLOW_STATES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "syncs.api.schema.add_entity_schemas",
        "webhooks.api.schema.add_webhooks",
    ],
}

# Safe by default
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
if PRODUCTION:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^healthz/"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        # The admin theme's Alpine evaluates its attribute expressions.
        "script-src": ["'self'", "'unsafe-eval'", "'unsafe-inline'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}

LOG_FORMAT = ENVIRONMENT.LOG_FORMAT
LOG_LEVEL = ENVIRONMENT.LOG_LEVEL
