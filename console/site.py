"""The admin site: the theme's, with our home page."""

from unfold.sites import UnfoldAdminSite


class AdminSite(UnfoldAdminSite):
    """The platform's admin."""

    site_header = "Lineshaft"
    site_title = "Lineshaft"
    index_title = "Sync status"
