"""Below /link/. Names that are no tokens come first."""

from django.urls import path

from console.link import assets, oauth, views

urlpatterns = [
    path("link.js", assets.script, name="link-script"),
    path("oauth/callback", oauth.oauth_callback, name="link-oauth-callback"),
    path("systems/<slug:slug>/logo", assets.system_logo, name="link-system-logo"),
    path("<str:token>", views.Start.as_view(), name="link-start"),
    path("<str:token>/theme.css", assets.theme, name="link-theme"),
    path("<str:token>/logo", assets.logo, name="link-logo"),
    path("<str:token>/take-over", views.TakeOver.as_view(), name="link-take-over"),
    path("<str:token>/system", views.System.as_view(), name="link-system"),
    path("<str:token>/connect", views.Connect.as_view(), name="link-connect"),
    path("<str:token>/result", views.Result.as_view(), name="link-result"),
    path("<str:token>/places", views.Places.as_view(), name="link-places"),
    path("<str:token>/share", views.Share.as_view(), name="link-share"),
    path("<str:token>/cancel", views.Cancel.as_view(), name="link-cancel"),
]
