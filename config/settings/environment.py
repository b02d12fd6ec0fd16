"""What the environment may say, typed. A bad value stops the start and names itself."""

from __future__ import annotations

import sys
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.encryption import ring_text

NEEDED_IN_PRODUCTION = ("SECRET_KEY", "TOKEN_PEPPER", "ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL")


class Environment(BaseSettings):
    """The settings an operator can make. docs/guides/settings.md lists them with examples."""

    model_config = SettingsConfigDict(case_sensitive=True, extra="ignore", env_ignore_empty=True)

    LINESHAFT_MODE: Literal["development", "production"] = Field(
        "development",
        description="production demands every key and answers https only; development runs on loopback",
        examples=["`production`"],
    )
    SECRET_KEY: SecretStr | None = Field(
        None,
        description="Signs sessions; 50 or more random characters",
        examples=["the output of `python3 -c 'import secrets; print(secrets.token_urlsafe(60))'`"],
    )
    TOKEN_PEPPER: SecretStr | None = Field(
        None,
        description="Mixed into stored API token digests; 32 or more characters",
        examples=["the output of `python3 -c 'import secrets; print(secrets.token_urlsafe(48))'`"],
    )
    ENCRYPTION_KEYS: SecretStr | None = Field(
        None,
        description="Key ring: `id:base64 of 32 bytes`, comma separated; the first encrypts, all decrypt",
        examples=["`k2:mXq…=,k1:9fT…=`"],
    )
    ENCRYPTION_KEYS_FILE: str | None = Field(
        None,
        description="File that holds the key ring instead of `ENCRYPTION_KEYS`, one key a line; readable by its owner alone",
        examples=["`/run/secrets/encryption_keys`"],
    )
    SECRET_CACHE_SECONDS: int = Field(
        30,
        ge=0,
        le=600,
        description="How long an answer of a secrets manager serves before it is asked again, in seconds",
        examples=["`60`"],
    )
    SECRET_STALE_SECONDS: int = Field(
        0,
        ge=0,
        le=600,
        description="How old that answer may get while the secrets manager is down, in seconds; 0 is never used then",
        examples=["`300`"],
    )
    AZURE_KEY_VAULT_URL: str = Field(
        "https://{vault}.vault.azure.net",
        pattern=r"^https://\{vault\}\.[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
        description="Address of an Azure Key Vault by its name; other clouds have others",
        examples=["`https://{vault}.vault.usgovcloudapi.net`"],
    )
    DATABASE_URL: str | None = Field(
        None,
        description="PostgreSQL 15 or newer; special characters in the parts are percent-encoded",
        examples=["`postgresql://lineshaft:secret@db.internal:5432/lineshaft`"],
    )
    REDIS_URL: str | None = Field(
        None, description="Redis or Valkey; carries hints only", examples=["`redis://:secret@redis.internal:6379/0`"]
    )
    ALLOWED_HOSTS: Annotated[list[str], NoDecode] = Field(
        ["localhost", "127.0.0.1", "[::1]"],
        description="Host names the web process answers to, comma separated",
        examples=["`lineshaft.example.com`"],
    )
    PUBLIC_URL: str = Field(
        "http://127.0.0.1:8000",
        description="Where users reach the platform",
        examples=["`https://lineshaft.example.com`"],
    )
    EGRESS_ALLOWED_NETWORKS: Annotated[list[str], NoDecode] = Field(
        [],
        description="Networks (CIDR) connections may reach although they are not public, comma separated",
        examples=["`10.20.0.0/16,192.168.7.0/24`"],
    )
    TRUSTED_PROXY_COUNT: int = Field(
        0, ge=0, le=5, description="Proxies in front whose X-Forwarded-For is believed", examples=["`1`"]
    )
    LOG_FORMAT: Literal["console", "json"] = Field(
        "json", description="json has one object a line; console is for people", examples=["`console`"]
    )
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least severe lines that are written", examples=["`WARNING`"]
    )
    LINESHAFT_PROCESS: Literal["web", "other"] = Field(
        "other", description="Set by the process itself: only web keeps a pool of database connections"
    )
    DATABASE_POOL_SIZE: int = Field(
        8, ge=1, le=200, description="Database connections a web process keeps at the most", examples=["`16`"]
    )
    SYNC_LEASE_MARGIN_SECONDS: int = Field(
        30, ge=5, le=600, description="What a lease lasts beyond one call's time limit, in seconds", examples=["`60`"]
    )
    SYNC_WORK_BUDGET_SECONDS: int = Field(
        300,
        ge=1,
        le=390,
        description="How long a run keeps a worker before it re-queues, in seconds",
        examples=["`120`"],
    )
    SYNC_RETRY_SECONDS: Annotated[list[float], NoDecode] = Field(
        [5, 15, 60, 180, 600],
        description="Waits after transient failures within one run, in seconds, comma separated; then it fails",
        examples=["`10,60,600`"],
    )
    OPERATION_SEND_SECONDS: int = Field(
        900,
        ge=10,
        le=86_400,
        description="How long an operation may wait to be sent (system away, rate limit) before it fails, in seconds",
        examples=["`3600`"],
    )
    OPERATION_JOB_SECONDS: int = Field(
        3600,
        ge=1,
        le=604_800,
        description="How long a system's own job may take before its outcome counts as unknown, in seconds",
        examples=["`600`"],
    )
    OPERATION_LOOKUP_SECONDS: int = Field(
        86_400,
        ge=60,
        le=604_800,
        description="How long an unknown outcome is looked up before a person must decide, in seconds",
        examples=["`3600`"],
    )
    TOKEN_MAX_AGE_DAYS: int = Field(
        90,
        ge=1,
        le=3650,
        description="The page Security asks to rotate tokens that are older, in days",
        examples=["`180`"],
    )
    RATE_LIMIT_TOKEN: int = Field(
        1200, ge=0, le=10_000_000, description="Requests a minute of one token; 0 is no limit", examples=["`600`"]
    )
    RATE_LIMIT_CONNECTION: int = Field(
        1200,
        ge=0,
        le=10_000_000,
        description="Requests a minute about one connection, of all tokens together; 0 is no limit",
        examples=["`600`"],
    )
    RATE_LIMIT_HOOKS: int = Field(
        3000,
        ge=0,
        le=10_000_000,
        description="Messages a minute that a system may send to one hook address; 0 is no limit",
        examples=["`600`"],
    )
    UPSTREAM_CALL_DAYS: int = Field(
        14,
        ge=1,
        le=365,
        description="How long calls of failed runs, of operations and by passthrough can be looked at, in days",
        examples=["`30`"],
    )
    HEALTH_POLL_SECONDS: int = Field(
        300,
        ge=10,
        le=86_400,
        description="A system that no good call was made to for so long is asked whether it answers, in seconds",
        examples=["`120`"],
    )
    EMAIL_HOST: str = Field(
        "",
        description="Server that takes mail (SMTP); empty: nobody is told of issues by mail",
        examples=["`smtp.example.com`"],
    )
    EMAIL_PORT: int = Field(587, ge=1, le=65_535, description="Its port", examples=["`465`"])
    EMAIL_USER: str = Field("", description="User name there; empty: no sign-in", examples=["`lineshaft`"])
    EMAIL_PASSWORD: SecretStr | None = Field(None, description="Password there", examples=["the mail server's"])
    EMAIL_TLS: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls begins in clear and changes over, tls is encrypted from the start (port 465), none never is",
        examples=["`tls`"],
    )
    EMAIL_FROM: str = Field(
        "lineshaft@localhost",
        description="Sender of mail",
        examples=["`Lineshaft <lineshaft@example.com>`"],
    )
    REDIS_PREFIX: str = Field(
        "",
        description="Prefix of queue names, so that several installations can share a Redis",
        examples=["`plant-a-`"],
    )

    @field_validator("ALLOWED_HOSTS", "EGRESS_ALLOWED_NETWORKS", "SYNC_RETRY_SECONDS", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("EGRESS_ALLOWED_NETWORKS")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for network in value:
            ip_network(network)
        return value

    @model_validator(mode="after")
    def _key_ring_from_file(self) -> Environment:
        if self.ENCRYPTION_KEYS_FILE is None:
            return self
        if self.ENCRYPTION_KEYS is not None:
            raise ValueError("ENCRYPTION_KEYS and ENCRYPTION_KEYS_FILE are both set; keep one of them")
        try:
            text = Path(self.ENCRYPTION_KEYS_FILE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ValueError(f"ENCRYPTION_KEYS_FILE cannot be read: {reason}") from None
        self.ENCRYPTION_KEYS = SecretStr(ring_text(text))
        return self

    @model_validator(mode="after")
    def _production_is_complete(self) -> Environment:
        if self.LINESHAFT_MODE == "production":
            missing = [name for name in NEEDED_IN_PRODUCTION if getattr(self, name) is None]
            if missing:
                raise ValueError(f"production needs {', '.join(missing)}")
        return self


@lru_cache
def read_environment() -> Environment:
    """Read it once, or stop with the names of what is wrong (values are not shown: they may be secrets)."""
    try:
        return Environment()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in problem["loc"]) or "environment"
            print(f"Lineshaft cannot start: {name}: {problem['msg']}", file=sys.stderr)
        raise SystemExit(78) from None
