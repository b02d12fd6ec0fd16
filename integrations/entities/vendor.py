"""Vendors: who delivers goods and services, with addresses and contacts."""

from __future__ import annotations

from typing import ClassVar, Literal

from integrations.entities.base import Entity
from integrations.entities.spec import EntitySpec
from integrations.entities.types import Address, Currency, Part, String, Text, about, list_of

Status = Literal["active", "blocked", "inactive", "unknown"]
AddressKind = Literal["main", "ordering", "billing", "shipping", "other", "unknown"]


class VendorAddress(Address):
    """One address of a vendor."""

    id: String = about("The source's id of the address.", writable=False)
    kind: AddressKind | None = about("What the address is for.")


class VendorContact(Part):
    """Somebody, or a mailbox, at the vendor's."""

    id: String = about("The source's id of the contact.", writable=False)
    name: String = about("Name of the person or the mailbox.", max_length=255)
    role: String = about("Position or department.", max_length=255)
    email: String = about("E-mail address.", max_length=320)
    phone: String = about("Telephone number as the source writes it.", max_length=64)


class Vendor(Entity):
    number: String = about("Vendor number as people know it.", filterable=True, max_length=128)
    name: String = about("Name of the vendor.", filterable=True, required_on_create=True, max_length=255)
    description: Text = about("Notes about the vendor.")
    status: Status | None = about("Unified state: `blocked` may not be ordered from at present.", filterable=True)
    remote_status: String = about("State as the source writes it.", writable=False)
    category: String = about("Group of vendors as the source names it.", max_length=255)
    email: String = about("Main e-mail address.", filterable=True, max_length=320)
    phone: String = about("Main telephone number as the source writes it.", max_length=64)
    website: String = about("Address of the website.", max_length=2048)
    tax_id: String = about("Tax number, such as the VAT number.", filterable=True, max_length=64)
    registration_number: String = about("Number in the trade register.", max_length=64)
    currency: Currency = about("Currency orders are usually in, ISO 4217.", max_length=3)
    payment_terms: String = about("Payment terms as the source names them, such as `30 days net`.", max_length=255)
    language: String = about("Language to write in, BCP 47, such as `de`.", max_length=35)
    addresses: list[VendorAddress] = list_of("Postal addresses.")
    contacts: list[VendorContact] = list_of("People and mailboxes.")

    describes: ClassVar = EntitySpec(
        name="vendor",
        plural="vendors",
        title="Vendor",
        id_prefix="ven",
        description="A supplier of goods or services, with addresses and contacts.",
    )
    example: ClassVar = {
        "number": "V-10077",
        "name": "Nordring Dichtungen GmbH",
        "description": "Seals and gaskets. Frame contract until 2027.",
        "status": "active",
        "remote_status": "active",
        "category": "Spare parts",
        "email": "orders@nordring.example",
        "phone": "+49 40 555 0177",
        "website": "https://nordring.example",
        "tax_id": "DE123456789",
        "registration_number": "HRB 20931 KI",
        "currency": "EUR",
        "payment_terms": "30 days net",
        "language": "de",
        "addresses": [
            {
                "name": "Nordring Dichtungen GmbH",
                "street": "Fabrikweg 7",
                "street2": None,
                "city": "Hamburg",
                "region": "Hamburg",
                "postal_code": "21107",
                "country_code": "DE",
                "country": "Germany",
                "id": "9001",
                "kind": "main",
            }
        ],
        "contacts": [
            {
                "id": "9105",
                "name": "Svea Hinrichs",
                "role": "Order desk",
                "email": "svea.hinrichs@nordring.example",
                "phone": "+49 40 555 0178",
            }
        ],
    }
