"""What a report of an error may hold: files and lines, and no value. A command, an environment or a password may be among
a function's variables, and a token among what was posted."""

from __future__ import annotations

from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class NoValues(SafeExceptionReporterFilter):
    """In a site that is developed (DEBUG), Django's own rules hold."""

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> Any:
        if self.is_active(request):
            return []
        return super().get_traceback_frame_variables(request, tb_frame)

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_post_parameters(request)
        return dict.fromkeys(found, self.cleansed_substitute) if self.is_active(request) else found
