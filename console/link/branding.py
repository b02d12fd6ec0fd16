"""The face of a workspace on the pages its customers see."""

from __future__ import annotations

import re
from dataclasses import dataclass

from console.link.colours import DARK_PAGE, LIGHT_PAGE, as_text, text_on
from workspaces.models import Workspace

DEFAULT_COLOUR = "#0f766e"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Brand:
    """What a page needs. `support_link` is an address to click, `support_address` how it reads; empty when not given."""

    name: str
    has_logo: bool = False
    support_address: str = ""
    support_link: str = ""
    privacy_url: str = ""

    @property
    def initials(self) -> str:
        return initials_of(self.name)


def brand_of(workspace: Workspace) -> Brand:
    """As the workspace's owner set it."""
    support = workspace.support_address.strip()
    return Brand(
        name=workspace.display_name or workspace.name,
        has_logo=bool(workspace.logo_type),  # the picture itself is not read for it
        support_address=support.removeprefix("https://").rstrip("/"),
        support_link=support if support.startswith("https://") else f"mailto:{support}" if "@" in support else "",
        privacy_url=workspace.privacy_url if workspace.privacy_url.startswith("https://") else "",
    )


def theme_of(workspace: Workspace) -> str:
    """A stylesheet of variables: the colour of buttons, the text on it, and the colour as text in both schemes."""
    colour = workspace.colour.lower() if _COLOUR.fullmatch(workspace.colour) else DEFAULT_COLOUR
    return (
        f":root{{--brand:{colour};--on-brand:{text_on(colour)};--brand-text:{as_text(colour, LIGHT_PAGE)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{--brand-text:{as_text(colour, DARK_PAGE)}}}}}\n"
    )


def initials_of(name: str) -> str:
    """One or two letters that stand for a name where there is no picture."""
    words = re.findall(r"[^\W_]+", name) or ["?"]
    return "".join(word[0] for word in words[:2]).upper()
