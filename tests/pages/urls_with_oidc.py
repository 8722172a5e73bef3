"""The site's routes as they are where JOBMON_OIDC_ISSUER is set."""

from django.urls import include, path

from jobmon_site.urls import handler400, handler403, handler404, handler500
from jobmon_site.urls import urlpatterns as own

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]
urlpatterns = [path("oidc/", include("workflows.sign_in_oidc_urls")), *own]
