"""A small Django project around django-oauth-toolkit. It runs as a process (`python -m tests.oauth.server`) and is never
imported into ours."""
