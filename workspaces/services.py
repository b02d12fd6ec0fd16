"""Changes to workspaces and their members. Tokens have a module of their own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from core import ids
from core.errors import ConflictError, FieldError, ValidationFailedError
from workspaces import audit
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
    record_change("workspace.created", workspace)
    if owner is not None:
        Membership.objects.create(workspace=workspace, user=owner, role=Role.OWNER)
        let_in(owner)
        record_member("member.added", workspace.pk, owner, role=Role.OWNER)
    return workspace


def record_change(action: str, workspace: Workspace, **details: Any) -> None:
    """What was done to a workspace itself."""
    about = ("workspace", ids.show(Workspace.PREFIX, workspace.pk) or "")
    audit.record(action, workspace_id=workspace.pk, about=about, details=details)


def record_member(action: str, workspace_id: UUID, user: Any, **details: Any) -> None:
    """Who belongs to a workspace, or in which role."""
    about = ("member", user.get_username())
    audit.record(action, workspace_id=workspace_id, about=about, details={k: str(v) for k, v in details.items()})


def let_in(user: Any) -> None:
    """A member may enter the admin, where they see their workspaces and nothing else."""
    if not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
