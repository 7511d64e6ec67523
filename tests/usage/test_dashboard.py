from __future__ import annotations

from django.test import Client
from django.utils import timezone

from tests.usage.believable import history


def test_it_works(admin_client: Client) -> None:
    history(timezone.localdate(), 50)
    page = admin_client.get("/dashboard/")
    assert page.status_code == 200
    open("/tmp/dash.html", "w").write(page.content.decode())
