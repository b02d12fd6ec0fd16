"""Vendors: every party, for Tryton marks none of them as a supplier."""

from __future__ import annotations

from integrations.entities import Vendor
from integrations.protocols.jsonrpc import SETTLE_SECONDS
from integrations.sdk.declarations import Field, Resource, Rule, Since, Write

READ = (
    "name",
    "code",
    "active",
    "create_date",
    "last_modified_at",
    "lang.code",
    "categories.name",
    "tax_identifier.code",
    "supplier_currency.code",
    "supplier_payment_term.name",
    "addresses.sequence",
    "addresses.party_name",
    "addresses.street",
    "addresses.city",
    "addresses.postal_code",
    "addresses.subdivision.name",
    "addresses.country.code",
    "addresses.country.name",
    "addresses.invoice",
    "addresses.delivery",
    "addresses.active",
    "addresses.last_modified_at",
    "contact_mechanisms.sequence",
    "contact_mechanisms.type",
    "contact_mechanisms.name",
    "contact_mechanisms.value",
    "contact_mechanisms.active",
    "contact_mechanisms.last_modified_at",
    "identifiers.type",
    "identifiers.code",
    "identifiers.last_modified_at",
)
# Flags are true and false, on SQLite 1 and 0.
ACTIVE = {"1": "active", "true": "active", "0": "inactive", "false": "inactive"}
IS_ACTIVE = "active!=`0` && active!=`false`"


def _first(kind: str) -> str:
    """The first contact mechanism of a kind that is in use; the party's own `email` and the like may show one that is not."""
    return f"(contact_mechanisms[?{IS_ACTIVE} && type=='{kind}'] | [0].value)"


_USES = {
    f"{yes}/{no}": kind
    for on, off in (("1", "0"), ("true", "false"))
    for yes, no, kind in ((on, on, "main"), (on, off, "billing"), (off, on, "shipping"), (off, off, "other"))
}
ACTIVE_ONLY = ("1", "true")
# Not the number: Tryton numbers parties by itself, and keeps the number they were made with.
_UPDATED = (
    *("name", "status", "email", "phone", "website", "currency", "payment_terms", "language", "addresses", "custom"),
)

vendors = Resource(
    Vendor,
    path="party.party",
    parameters={"fields": READ},
    changes=Since(
        "changed_at",
        parameter="last_modified_at",
        touched_by=("deleted addresses, contacts and identifiers", "names of categories, countries and payment terms"),
    ),
    writes=(
        Write("create", resolve="mark", mark="identifiers.code", settle_seconds=SETTLE_SECONDS),
        Write("update", fields=_UPDATED, settle_seconds=SETTLE_SECONDS),
        Write("delete", kind="deactivate", only_status=ACTIVE_ONLY, settle_seconds=SETTLE_SECONDS),
    ),
    rules=(
        Rule(
            "update",
            only_status=ACTIVE_ONLY,
            fields=("name", "currency", "payment_terms", "language"),
            reason="Tryton does not allow to modify it while the party is inactive; activate it first.",
        ),
        Rule("delete", only_status=ACTIVE_ONLY, reason="it is inactive already."),
    ),
    note="Tryton does not mark suppliers: every party is read, customers and the company itself included.",
    fields=(
        Field("number", "code"),
        Field("name", "name"),
        Field("status", "active", values=ACTIVE),
        Field("remote_status", "active", read_only=True),
        Field("category", "categories[].name", transforms=({"name": "join", "separator": ", "},)),
        Field("email", _first("email"), write="email"),
        Field("phone", f"{_first('phone')} || {_first('mobile')}", write="phone"),
        Field("website", _first("website"), write="website"),
        Field("tax_id", "tax_identifier.code", read_only=True),
        Field("currency", "supplier_currency.code", write="supplier_currency"),
        Field("payment_terms", "supplier_payment_term.name", write="supplier_payment_term"),
        Field("language", "lang.code", write="lang"),
        Field(
            "addresses",
            f"addresses[?{IS_ACTIVE}]",
            write="addresses",
            items=(
                Field("id", "id"),
                Field("kind", "join('/', [to_string(invoice), to_string(delivery)])", values=_USES, write="kind"),
                Field("name", "party_name"),
                Field("street", "street"),
                Field("city", "city"),
                Field("region", "subdivision.name", write="subdivision"),
                Field("postal_code", "postal_code"),
                Field("country_code", "country.code", write="country"),
                Field("country", "country.name", read_only=True),
            ),
        ),
        Field(
            "contacts",
            f"contact_mechanisms[?{IS_ACTIVE} && (type=='email' || type=='phone' || type=='mobile')]",
            items=(
                Field("id", "id"),
                Field("name", "name"),
                Field("email", "[@][?type=='email'] | [0].value"),
                Field("phone", "[@][?type!='email'] | [0].value"),
            ),
        ),
        Field("remote_created_at", "create_date", read_only=True),
        Field("remote_updated_at", "changed_at", read_only=True),
    ),
)
