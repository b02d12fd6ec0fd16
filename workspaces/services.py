"""Changes to workspaces and their members. Tokens have a module of their own."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from core.errors import ConflictError, FieldError, ValidationFailedError
from workspaces.choices import Role
from workspaces.models import Membership, Workspace


@transaction.atomic
def create_workspace(*, name: str, slug: str = "", owner: Any = None) -> Workspace:
    """Make a workspace, and `owner` (a user) its owner. The slug is made from the name unless given.

    ConflictError when the slug is taken.
    """
    slug = slug or slugify(name)[:60]
    if not name.strip() or len(name) > 120 or slugify(slug) != slug.lower() or not 1 <= len(slug) <= 60:
        detail = "A workspace needs a name of 1 to 120 characters and a slug of letters, digits and hyphens (--slug)."
        raise ValidationFailedError(detail, errors=(FieldError("/slug", "INVALID", detail),))
    try:
        with transaction.atomic():
            workspace: Workspace = Workspace.objects.create(name=name.strip(), slug=slug)
    except IntegrityError as error:
        raise ConflictError(f"There is a workspace {slug} already; choose another slug.") from error
    if owner is not None:
        Membership.objects.create(workspace=workspace, user=owner, role=Role.OWNER)
        let_in(owner)
    return workspace


def let_in(user: Any) -> None:
    """A member may enter the admin, where they see their workspaces and nothing else."""
    if not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
