"""Render docs/guides/settings.md from the typed environment. Renew it with `python -m config.settings.documentation`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config.settings.environment import NEEDED_IN_PRODUCTION, Environment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "settings.md"
_TEXT = """\
# Settings

Everything an operator can choose is an environment variable. They are read once, at the start, in one place
(`config/settings/environment.py`, from which this page is rendered); a value that cannot be right stops the start and names
itself, never its value. An empty value counts as not set. [Production](production.md) says how the keys are made.

## The platform

Web, workers, tick and commands all take the same ones. **production** marks what `LINESHAFT_MODE=production` does
not start without. In development the keys are made at the first start and kept beside the local servers' data, and without
`DATABASE_URL` and `REDIS_URL` `manage.py` starts a PostgreSQL and a Valkey of its own.

| Variable | Type | Default | Meaning | Example |
|---|---|---|---|---|
(rows)

## The web server

gunicorn reads these (`config/gunicorn_settings.py`).

| Variable | Type | Default | Meaning | Example |
|---|---|---|---|---|
| `WEB_CONCURRENCY` | whole number | `2` | Web processes, of 8 threads each | `4` |
| `PORT` | whole number | `8000` | Port it listens on, unless `--bind` says otherwise; the health check of `web` asks there | `8080` |

## Secrets managers

Read by their clients, for [references and for tokens written into them](keeping-secrets.md#references). Only what you use is
needed.

| Variable | Type | Default | Meaning | Example |
|---|---|---|---|---|
| `VAULT_ADDR` | text | empty | Where HashiCorp Vault answers | `https://vault.internal:8200` |
| `VAULT_TOKEN` | secret | empty | Its token, unless AppRole is used | |
| `VAULT_ROLE_ID`, `VAULT_SECRET_ID` | text, secret | empty | AppRole's credentials | |
| `VAULT_APPROLE_PATH` | text | `approle` | Where AppRole is mounted | `plant-approle` |
| `VAULT_NAMESPACE` | text | empty | Namespace of Vault Enterprise | `plant` |
| `VAULT_CACERT`, `VAULT_CAPATH` | file, folder | the system's | Certificate authorities of Vault | `/etc/ssl/vault.pem` |
| `AWS_REGION` or `AWS_DEFAULT_REGION` | text | empty | Region of AWS Secrets Manager; its credentials as AWS's clients take them | `eu-central-1` |
| `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` | text | empty | Who signs in to Azure | |
| `AZURE_CLIENT_SECRET` | secret | empty | With this secret, or | |
| `AZURE_CLIENT_CERTIFICATE_PATH`, `AZURE_FEDERATED_TOKEN_FILE` | file | empty | with a certificate or a workload identity | |
| `AZURE_AUTHORITY_HOST` | text | the public cloud's | Where Azure signs in | `https://login.microsoftonline.us` |

## docker-compose.yml alone

Compose puts these into the services; `DATABASE_URL` and `REDIS_URL` are made of them.

| Variable | Type | Default | Meaning | Example |
|---|---|---|---|---|
| `POSTGRES_PASSWORD` | secret | none, required | Password of the database user; letters and digits only | the output of `python3 -c 'import secrets; print(secrets.token_hex(24))'` |
| `REDIS_PASSWORD` | secret | none, required | Password of Redis; letters and digits only | as above |
| `WEB_PORT` | whole number | `8000` | Port on the machine's loopback, for the TLS proxy | `8443` |

## Development machines

| Variable | Type | Default | Meaning | Example |
|---|---|---|---|---|
| `LINESHAFT_HOME` | folder | `$XDG_STATE_HOME` or `~/.local/state`, for root `/var/lib`, and in it a folder for each checkout | Data, keys and logs of the local servers | `/srv/lineshaft-dev` |
| `LINESHAFT_CACHE` | folder | `$XDG_CACHE_HOME/lineshaft`, else `~/.cache/lineshaft` | What can be made again: the sandbox ERP | `/var/cache/lineshaft` |
| `LINESHAFT_SKIP_BROWSER` | `1` | not set | Leave the browser tests out of `make test` | `1` |
"""


def render() -> str:
    """The whole page."""
    rows = "\n".join(_row(name, info) for name, info in Environment.model_fields.items())
    return _TEXT.replace("(rows)", rows)


def _row(name: str, info: FieldInfo) -> str:
    example = info.examples[0] if info.examples else ""
    return f"| `{name}` | {_type(info)} | {_default(name, info)} | {info.description} | {example} |"


def _type(info: FieldInfo) -> str:
    kind = info.annotation
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if SecretStr in get_args(kind):
        return "secret"
    if get_origin(kind) is list:
        return "list of numbers" if get_args(kind) == (float,) else "list"
    return f"whole number{_bounds(info)}" if kind is int else "text"


def _bounds(info: FieldInfo) -> str:
    limits = {limit: getattr(part, limit) for part in info.metadata for limit in ("ge", "le") if hasattr(part, limit)}
    return f", {limits['ge']} to {limits['le']}" if limits else ""


def _default(name: str, info: FieldInfo) -> str:
    if name in NEEDED_IN_PRODUCTION:
        return "**production**"
    if isinstance(info.default, list):
        return f"`{','.join(str(value) for value in info.default)}`" if info.default else "empty"
    return f"`{info.default}`" if info.default not in (None, "") else "empty"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
